"""Graphs of connectomes: which regions are neighbours, precomputed for each subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from search_spaces.expert_routing.measures import measure
from search_spaces.expert_routing.transforms import transform

FORMS = {"gcn": "normalised", "gin": "binary", "graph_transformer": "binary"}
_AT_A_TIME = 64  # subjects: bounds the memory of the intermediate results


@dataclass(frozen=True)
class GraphRule:
    """Which pairs of regions are edges. A connection of zero is never one; regions are never their own neighbours.

    Attributes:
        threshold: For `density` the fraction of all pairs in [0, 1]; for `absolute` the least value of an edge.
        by: `density`, `absolute`, or `none` for every pair that is connected at all.
        sign: `signed` compares values, `absolute` their distance from zero.

    Raises:
        ValueError: If a value is unknown or out of its range.
    """

    threshold: float = 0.12
    by: str = "density"
    sign: str = "signed"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("threshold_by", self.by, ("density", "absolute", "none")),
            ("threshold_sign", self.sign, ("signed", "absolute")),
        ):
            if value not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, but got {value!r}.")
        if self.by == "density" and not 0 <= self.threshold <= 1:
            raise ValueError(f"`threshold` must be in [0, 1], a fraction of the pairs of regions, but got {self.threshold!r}.")


@dataclass(frozen=True)
class Graphs:
    """Precomputes what a model needs of each subject and that does not depend on other subjects.

    Adds to the inputs, for each modality, `<name>:graph` `(batch, regions, regions)`; where connectivity is transformed,
    `<name>:features` `(batch, regions, regions)`; with measures, `<name>:measures` `(batch, regions, measures)`. A model
    computes the same numbers itself where they are not among its inputs.

    Attributes:
        modalities: Name, kind (`matrix` or `covariance`) and transform of each modality.
        rule: Which pairs are edges.
        form: `normalised` (see `normalised`) or `binary`.
        measures: Names of graph measures.
    """

    modalities: tuple[tuple[str, str, str], ...]
    rule: GraphRule = GraphRule()
    form: str = "normalised"
    measures: tuple[str, ...] = ()

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return what is to be added to inputs of shape `(batch, regions, regions)`."""
        found: dict[str, torch.Tensor] = {}
        for name, kind, how in self.modalities:
            with torch.autocast(inputs[name].device.type, enabled=False):  # measures count: no half precision
                parts = [self._one(name, kind, how, part) for part in torch.split(inputs[name], _AT_A_TIME)]
            found |= {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        return found

    def _one(self, name: str, kind: str, how: str, matrices: torch.Tensor) -> dict[str, torch.Tensor]:
        edges = adjacency(correlations(matrices) if kind == "covariance" else matrices, self.rule)
        found = {f"{name}:graph": normalised(edges) if self.form == "normalised" else edges}
        if kind != "covariance" and how != "raw":
            found[f"{name}:features"] = transform(matrices, how)
        if self.measures:
            found[f"{name}:measures"] = torch.stack([measure(m, edges, matrices) for m in self.measures], dim=2)
        return found


def adjacency(matrices: torch.Tensor, rule: GraphRule) -> torch.Tensor:
    """Return which regions are neighbours: 0 or 1, symmetric, zero diagonal `(batch, regions, regions)`.

    Of equally strong connections at the edge of a fraction, those of lower region numbers are taken. The fraction is rounded
    to whole pairs, halves up.

    Args:
        matrices: Connectivity `(batch, regions, regions)`; where it is not symmetric, the mean of both directions counts.
        rule: Which pairs are edges.
    """
    n = matrices.shape[-1]
    rows, columns = torch.triu_indices(n, n, offset=1, device=matrices.device)
    values = (matrices[:, rows, columns] + matrices[:, columns, rows]) / 2
    strength = values.abs() if rule.sign == "absolute" else values
    kept = values != 0
    if rule.by == "absolute":
        kept &= strength >= rule.threshold
    elif rule.by == "density":
        kept &= _strongest(strength, int(rule.threshold * values.shape[1] + 0.5))
    edges = torch.zeros_like(matrices)
    edges[:, rows, columns] = kept.to(matrices.dtype)
    return edges + edges.transpose(1, 2)


def normalised(edges: torch.Tensor) -> torch.Tensor:
    """Return `D^-1/2 (A + I) D^-1/2`, D the degrees of A + I (Kipf and Welling 2017, arXiv 1609.02907, equation 2)."""
    looped = edges + torch.eye(edges.shape[-1], dtype=edges.dtype, device=edges.device)
    scale = looped.sum(-1).rsqrt()
    return looped * scale.unsqueeze(1) * scale.unsqueeze(2)


def correlations(covariances: torch.Tensor) -> torch.Tensor:
    """Return the correlations of covariances `(batch, regions, regions)`."""
    scale = covariances.diagonal(dim1=-2, dim2=-1).rsqrt()
    return covariances * scale.unsqueeze(1) * scale.unsqueeze(2)


def _strongest(strength: torch.Tensor, k: int) -> torch.Tensor:
    """Return which `k` values of each row `(batch, pairs)` are the largest; of equal ones, the first."""
    if k == 0:
        return torch.zeros_like(strength, dtype=torch.bool)
    last = strength.topk(k, dim=1).values[:, -1:]
    above, equal = strength > last, strength == last
    return above | (equal & (equal.cumsum(1) <= k - above.sum(1, keepdim=True)))
