"""Jobs: the pieces of work that a worker process is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from optuna.storages import BaseStorage

from nas_fusion.record import Evaluation
from nas_fusion.space import Configuration
from nas_fusion.study.laboratory import Laboratory
from nas_fusion.study.progress import EpochDone, EvaluationDone, EvaluationFailed, Listener
from nas_fusion.study.search_loop import search
from nas_fusion.study.spec import load_study

if TYPE_CHECKING:
    from nas_fusion.study.cross_arms import CrossArm
    from nas_fusion.study.cross_folds import OuterFold


@dataclass(frozen=True)
class StudyJob:
    """Join a study until its search is complete.

    Attributes:
        study: Its name.
        trials: Another number of trials than the study was made with, `None` for that.
    """

    study: str
    trials: int | None = None


@dataclass(frozen=True)
class ConfigurationJob:
    """Evaluate one configuration that starts from the weights of a lineage."""

    configuration: Configuration
    lineage: tuple[Configuration, ...] = ()


@dataclass(frozen=True)
class ReferenceJob:
    """Evaluate one of the space's reference models."""

    name: str


@dataclass(frozen=True)
class FoldJob:
    """Train and score every arm of a cross-validation on one of its folds."""

    outer: OuterFold
    arms: tuple[CrossArm, ...]


Job: TypeAlias = StudyJob | ConfigurationJob | ReferenceJob | FoldJob


def get_ready(job: Job, laboratory: Laboratory) -> None:
    """Make what a job needs, so that what is wrong with it is no failure of a trial."""
    if not isinstance(job, FoldJob):  # which makes a worker on its own splits
        laboratory.worker  # noqa: B018


def perform(job: Job, laboratory: Laboratory, storage: BaseStorage, listener: Listener, *, worker: int) -> None:
    """Do a job; a model that cannot be trained is told to the listener and is no error.

    Args:
        job: What is to be done.
        laboratory: What it is done with.
        storage: Where the studies are.
        listener: Is told each epoch, evaluation and failure.
        worker: Index of this worker, for the listener.
    """
    if isinstance(job, StudyJob):
        study, spec = load_study(storage, job.study)
        own = laboratory.within(spec.module)
        get_ready(job, own)
        search(study, spec.replace(trials=job.trials or spec.trials), own, listener, worker=worker)
        return
    if isinstance(job, FoldJob):
        from nas_fusion.study.cross_scores import score_fold  # not at the top: it brings torch

        score_fold(job.outer, job.arms, laboratory, listener, worker=worker)
        return
    label = label_of(job) if isinstance(job, ReferenceJob) else laboratory.label(job.configuration)

    def on_epoch(fold: int, epoch: int, loss: float) -> None:
        listener(EpochDone(worker, label, fold, epoch, loss))

    try:
        evaluation = _evaluate(job, laboratory, on_epoch)
    except Exception as error:  # noqa: BLE001  # any model may fail in any way; the others go on
        listener(EvaluationFailed(worker, label, f"{type(error).__name__}: {error}"))
    else:
        listener(EvaluationDone(worker, label, evaluation.value, evaluation.trained))


def _evaluate(
    job: ConfigurationJob | ReferenceJob, laboratory: Laboratory, on_epoch: Callable[[int, int, float], None]
) -> Evaluation:
    if isinstance(job, ReferenceJob):
        return laboratory.worker.evaluate_reference(job.name, on_epoch=on_epoch)
    return laboratory.worker.evaluate(job.configuration, lineage=job.lineage, on_epoch=on_epoch)


def label_of(job: Job) -> str:
    """Return a few words that name a job."""
    match job:
        case StudyJob():
            return job.study
        case ReferenceJob():
            return job.name
        case ConfigurationJob():
            return " ".join(sorted(job.configuration.values()))
        case FoldJob():
            return job.outer.label
