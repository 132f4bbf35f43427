"""What is known of a trained configuration: the evaluation and its predictions. Plain data, no torch."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nas_fusion.space import Configuration


@dataclass(frozen=True)
class Evaluation:
    """One trained configuration (or reference model).

    Attributes:
        key: Digest of (canonical configuration, parent's key, training plan, seed, cohort fingerprint, split, precision).
        value: Mean validation loss over folds and training seeds, in nats, at the selected epoch.
        fold_losses: Validation loss of each fold, the mean over its training seeds.
        metrics: Name (`accuracy`, `f1`, `sensitivity`, `specificity`, `auc`) to its value in each fold, on validation subjects;
            the mean over training seeds.
        cost: `parameters`, `flops`, `epochs`, `lineage_epochs`, `samples`, `lineage_samples`, `seconds`, `peak_memory`.
        configuration: What was trained, `None` for a reference.
        reference: The reference's name, `None` for a configuration.
        lineage: Configurations whose weights were inherited one after the other, the root first, the parent last.
        epochs: The selected epoch of each training, counted from 1 (epoch 0, the inherited state, is never selected), fold
            after fold, in a fold training seed after training seed.
        curves: Validation loss by epoch, of each training in that order.
        device: Where it was trained, such as `cpu`.
        versions: Of nas-fusion, torch, optuna, monai.
        trained: Whether this call trained it; `False` if the store answered.
        seeds: Training seeds of each fold.
    """

    key: str
    value: float
    fold_losses: tuple[float, ...]
    metrics: Mapping[str, tuple[float, ...]]
    cost: Mapping[str, float]
    configuration: Configuration | None = None
    reference: str | None = None
    lineage: tuple[Configuration, ...] = ()
    epochs: tuple[int, ...] = ()
    curves: tuple[tuple[float, ...], ...] = ()
    device: str = "cpu"
    versions: Mapping[str, str] = field(default_factory=dict)
    trained: bool = True
    seeds: int = 1

    @property
    def losses(self) -> tuple[float, ...]:
        """What the value is the mean of: one loss a fold; where there is one fold, one a training seed."""
        if len(self.fold_losses) != 1 or len(self.curves) < 2:
            return self.fold_losses
        return tuple(curve[epoch - 1] for curve, epoch in zip(self.curves, self.epochs, strict=True))

    @property
    def standard_error(self) -> float:
        """Standard error of the value: over folds, or over the training seeds of one fold; not a number with one loss."""
        n = len(self.losses)
        return float(np.std(self.losses, ddof=1)) / math.sqrt(n) if n > 1 else math.nan

    @property
    def is_control(self) -> bool:
        """Whether the configuration was trained on from its own weights: no candidate, but what candidates have to beat."""
        return bool(self.lineage) and self.lineage[-1] == self.configuration


@dataclass(frozen=True)
class Predictions:
    """What a model said of subjects that it was not trained on.

    Attributes:
        subjects: Ids, `n` of them; with folds and training seeds, each subject as often as it was predicted.
        fold: Which fold's model predicted, `(n,)`.
        labels: Class indices `(n,)`.
        probabilities: `(n, classes)`, rows sum to 1.
        seed: Which training seed's model predicted, counted from 0, `(n,)`; `None` where there is one.
        groups: The group of each row (participant, site), `n` of them, `None` where every subject stands for itself: what is
            said of other people than these draws groups, as the subjects of one are alike.
    """

    subjects: tuple[str, ...]
    fold: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    seed: npt.NDArray[np.int64] | None = None
    groups: tuple[str, ...] | None = None

    @property
    def units(self) -> npt.NDArray[np.str_]:
        """What was drawn independently, of each row `(n,)`: its group if there are at least two, else its subject."""
        grouped = self.groups is not None and len(set(self.groups)) > 1
        return np.array(self.groups if grouped else self.subjects)

    def grouped(self, groups: Mapping[str, str] | None) -> Predictions:
        """Return the same predictions with the group of each subject, `None` for none."""
        return self if groups is None else replace(self, groups=tuple(groups[subject] for subject in self.subjects))

    def of(self, subjects: Collection[str]) -> Predictions:
        """Return the rows of some subjects, in their order here; others of them are passed over."""
        wanted = set(subjects)
        rows = np.array([subject in wanted for subject in self.subjects], dtype=bool)
        return Predictions(
            subjects=tuple(subject for subject, kept in zip(self.subjects, rows, strict=True) if kept),
            fold=self.fold[rows],
            labels=self.labels[rows],
            probabilities=self.probabilities[rows],
            seed=None if self.seed is None else self.seed[rows],
            groups=None if self.groups is None else tuple(g for g, kept in zip(self.groups, rows, strict=True) if kept),
        )

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """Cross-entropy of each row, in nats, `(n,)`; probabilities below 1e-12 count as 1e-12."""
        chosen = self.probabilities[np.arange(len(self.labels)), self.labels]
        return -np.log(np.clip(chosen, 1e-12, None))
