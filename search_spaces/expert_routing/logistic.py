"""Logistic regression on connections, as a model that the worker evaluates like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from search_spaces.expert_routing.features import RegionFeatures
from search_spaces.expert_routing.network import module_name

if TYPE_CHECKING:
    from nas_fusion.cohorts import Batch, Modality
    from search_spaces.expert_routing.architecture import ModelOptions

Array = npt.NDArray[np.float64]

STRENGTHS = tuple(10.0**power for power in range(-6, 2))
"""Inverse strengths of L2 regularisation that are tried."""


class LogisticNetwork(nn.Module):
    """A linear map from all connections of some modalities to logits.

    A connection is an entry on or above the diagonal, transformed and standardised as the encoders' node features are.

    Args:
        modalities: Name, kind and shape `(regions, regions)` of each.
        classes: Number of classes.
        options: Transforms.
    """

    def __init__(self, modalities: tuple[Modality, ...], classes: int, options: ModelOptions) -> None:
        super().__init__()
        self.features = nn.ModuleDict({module_name(m.name): RegionFeatures(m, options) for m in modalities})
        self.linear = nn.Linear(sum(m.shape[0] * (m.shape[0] + 1) // 2 for m in modalities), classes)

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits `(batch, classes)`; `present` is not looked at."""
        logits: torch.Tensor = self.linear(self.connections(inputs))
        return logits

    def connections(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the connections of all modalities `(batch, connections)`."""
        return torch.cat([_above(features(inputs)) for features in self.features.values()], dim=1)


def fit_logistic(model: nn.Module, batch: Batch) -> None:
    """Fit a logistic network to the training subjects; the strength of regularisation is cross-validated among them."""
    assert isinstance(model, LogisticNetwork), "Should not reach."
    for features in model.features.values():
        assert isinstance(features, RegionFeatures), "Should not reach."
        features.prepare(batch.inputs)
    connections = model.connections(batch.inputs).double().cpu().numpy()
    weight, bias = fitted(connections, batch.labels.cpu().numpy(), classes=model.linear.out_features)
    model.linear.weight.copy_(torch.from_numpy(weight))
    model.linear.bias.copy_(torch.from_numpy(bias))


def _above(rows: torch.Tensor) -> torch.Tensor:
    """Return the entries on or above the diagonal `(batch, n)` of the first columns of `(batch, regions, features)`."""
    i, j = torch.triu_indices(rows.shape[1], rows.shape[1], device=rows.device)
    return rows[:, i, j]


def fitted(connections: Array, labels: npt.NDArray[np.int64], *, classes: int) -> tuple[Array, Array]:
    """Return the weights `(classes, connections)` and biases `(classes,)` of an L2-regularised logistic regression.

    With more connections than subjects it is fitted in the space that the subjects span, in which the solution lies: the
    penalty does not change under rotation. Of `STRENGTHS` that with the smallest log-loss in a stratified 5-fold
    cross-validation is taken.

    Args:
        connections: `(subjects, connections)`, standardised.
        labels: Class indices `(subjects,)`.
        classes: Number of classes; a class without training subjects has probability 0 (its logit is -1e4).
    """
    from sklearn.linear_model import LogisticRegression

    left, sizes, axes = np.linalg.svd(connections, full_matrices=False)
    rotated = left * sizes
    found = LogisticRegression(C=_strength(rotated, labels), max_iter=5000, tol=1e-7).fit(rotated, labels)
    weight, bias = np.zeros((classes, connections.shape[1])), np.full(classes, -1e4)
    rows, offsets = found.coef_ @ axes, found.intercept_
    if len(found.classes_) == 2:
        rows, offsets = np.concatenate([0 * rows, rows]), np.concatenate([0 * offsets, offsets])
    weight[found.classes_], bias[found.classes_] = rows, offsets
    return weight, bias


def _strength(rotated: Array, labels: npt.NDArray[np.int64]) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    folds = StratifiedKFold(min(5, int(np.bincount(labels).min())))
    losses = [
        -cross_val_score(LogisticRegression(C=c, max_iter=2000), rotated, labels, cv=folds, scoring="neg_log_loss").mean()
        for c in STRENGTHS
    ]
    return STRENGTHS[int(np.argmin(losses))]
