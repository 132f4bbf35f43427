"""What is known of a trained configuration: the evaluation and its predictions. Plain data, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nas_fusion.space import Configuration


@dataclass(frozen=True)
class Evaluation:
    """One trained configuration (or reference model).

    Attributes:
        key: Digest of (canonical configuration, parent's key, training plan, seed, cohort fingerprint, split, precision).
        value: Mean validation loss over folds, in nats, at the selected epoch.
        fold_losses: Validation loss of each fold.
        metrics: Name (`accuracy`, `f1`, `sensitivity`, `specificity`, `auc`) to its value in each fold, on validation subjects.
        cost: `parameters`, `flops`, `epochs`, `lineage_epochs`, `samples`, `lineage_samples`, `seconds`, `peak_memory`.
        configuration: What was trained, `None` for a reference.
        reference: The reference's name, `None` for a configuration.
        lineage: Configurations whose weights were inherited one after the other, the root first, the parent last.
        epochs: The selected epoch of each fold, counted from 1 (epoch 0, the inherited state, is never selected).
        curves: Validation loss by epoch, of each fold.
        device: Where it was trained, such as `cpu`.
        versions: Of nas-fusion, torch, optuna, monai.
        trained: Whether this call trained it; `False` if the store answered.
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


@dataclass(frozen=True)
class Predictions:
    """What a model said of subjects that it was not trained on.

    Attributes:
        subjects: Ids, `n` of them; with folds, each subject as often as it was predicted.
        fold: Which fold's model predicted, `(n,)`.
        labels: Class indices `(n,)`.
        probabilities: `(n, classes)`, rows sum to 1.
    """

    subjects: tuple[str, ...]
    fold: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """Cross-entropy of each row, in nats, `(n,)`; probabilities below 1e-12 count as 1e-12."""
        chosen = self.probabilities[np.arange(len(self.labels)), self.labels]
        return -np.log(np.clip(chosen, 1e-12, None))
