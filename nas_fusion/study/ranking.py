"""The ranking that a differentiable search begins with: made once by one worker, awaited by the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nas_fusion.space import SearchSpace
from nas_fusion.study.progress import EpochDone, Listener, RankingDone, WorkFailed

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler

    from nas_fusion.study.laboratory import Laboratory

LABEL = "supernet"


def check_rankable(sampler: BaseSampler, space: SearchSpace) -> None:
    """Raise unless a sampler needs no ranking, or the space has a supernet that can make one.

    Raises:
        ValueError: If the sampler needs what the space does not have.
    """
    if hasattr(sampler, "needs_ranking") and type(space).supernet is SearchSpace.supernet:
        raise ValueError(
            f"`sampler` must be one that works on the space {space.name!r}, but {type(sampler).__name__} needs a supernet, "
            "and this space has none."
        )


def supernet_epochs(sampler: BaseSampler, laboratory: Laboratory) -> int:
    """Return in how many epochs, over all folds, a supernet is trained for a sampler; none if it needs no ranking."""
    from nas_fusion.evaluation import SupernetPlan

    if not hasattr(sampler, "needs_ranking"):
        return 0
    stage = laboratory.space.supernet(laboratory.cohort.inputs)
    plan = replace(stage.plan, **laboratory.spec.plan)
    epochs = plan.inherited_epochs if laboratory.spec.inherit != "none" and plan.inherited_epochs else plan.epochs
    planned = replace(stage, plan=replace(plan, epochs=epochs, inherited_epochs=None))
    return laboratory.n_folds * SupernetPlan.of(sampler).epochs(planned)


def ensure_ranking(study: optuna.Study, laboratory: Laboratory, listener: Listener, *, worker: int) -> None:
    """Rank the configurations if the study's sampler needs that and nobody has done it; wait while another worker does.

    Raises:
        WorkFailed: If the supernet cannot be trained.
    """
    needs_ranking = getattr(study.sampler, "needs_ranking", None)
    if needs_ranking is None or not needs_ranking(study):
        return

    is_mine = False

    def on_epoch(fold: int, epoch: int, loss: float) -> None:
        nonlocal is_mine
        is_mine = True
        listener(EpochDone(worker, LABEL, fold, epoch, loss))

    try:
        ranking = laboratory.worker.rank(study, on_epoch=on_epoch)
    except ValueError:
        raise
    except Exception as error:  # a model may fail in any way; without it there is nothing to evaluate
        reason = f"{type(error).__name__}: {error}"
        raise WorkFailed(f"The supernet of {study.study_name!r} could not be trained: {reason}") from error
    if is_mine:
        choices, probability = ranking["configurations"][0]
        best = laboratory.label(laboratory.space.canonical(choices))
        listener(RankingDone(worker, best, probability, int(ranking["cost"]["epochs"])))
