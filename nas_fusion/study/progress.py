"""What happens during a search or comparison, as plain data for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from nas_fusion.analysis.cross_validation import FoldScore


@dataclass(frozen=True)
class PhaseStarted:
    """A study, the reference models or the test evaluation begins.

    Attributes:
        title: Such as `sfsa`.
        total: The largest number of evaluations, `None` if unknown.
    """

    title: str
    total: int | None = None


@dataclass(frozen=True)
class EpochDone:
    """A worker finished an epoch.

    Attributes:
        worker: Index of the worker process.
        label: What is trained, such as `layer3=mmtm`.
        fold: Index of the fold.
        epoch: Counted from 1.
        loss: Validation loss in nats.
        epochs: How many there are at most, `None` if unknown.
    """

    worker: int
    label: str
    fold: int
    epoch: int
    loss: float
    epochs: int | None = None


@dataclass(frozen=True)
class EvaluationDone:
    """A worker finished an evaluation.

    Attributes:
        worker: Index of the worker process.
        label: What was evaluated.
        value: Mean validation loss in nats.
        trained: Whether it was trained now, rather than answered from the store.
    """

    worker: int
    label: str
    value: float
    trained: bool


@dataclass(frozen=True)
class EvaluationFailed:
    """An evaluation ended in an error, or its worker died.

    Attributes:
        worker: Index of the worker process.
        label: What was evaluated.
        message: Why it failed.
    """

    worker: int
    label: str
    message: str


@dataclass(frozen=True)
class EvaluationPruned:
    """An evaluation was ended early, because the search is shortened.

    Attributes:
        worker: Index of the worker process.
        label: What was evaluated.
        message: After what.
    """

    worker: int
    label: str
    message: str


@dataclass(frozen=True)
class RankingDone:
    """A study has its ranking of configurations.

    Attributes:
        worker: Index of the worker process.
        label: The most probable configuration.
        probability: How probable it is.
        epochs: Epochs in which the supernet was trained, over all folds.
    """

    worker: int
    label: str
    probability: float
    epochs: int


@dataclass(frozen=True)
class FoldScored:
    """A worker scored an arm of a cross-validation on the subjects that a fold holds out.

    Attributes:
        worker: Index of the worker process.
        label: The fold and the arm.
        score: What it scored.
    """

    worker: int
    label: str
    score: FoldScore


class WorkFailed(RuntimeError):
    """Work that cannot go on though nobody asked for anything wrong: every model fails, or processes die again and again."""


Event: TypeAlias = PhaseStarted | EpochDone | EvaluationDone | EvaluationFailed | EvaluationPruned | RankingDone | FoldScored
Listener: TypeAlias = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore an event."""
