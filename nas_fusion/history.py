"""The one file that knows what is written on trials and studies: claims, parents, evaluations, descriptions.

Everything is a user attribute whose name begins with `nas_fusion:`, so that Optuna's own tools and the dashboard show it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from optuna import Study, Trial
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from nas_fusion.differences import as_json, differences
from nas_fusion.process import Process
from nas_fusion.record import Evaluation
from nas_fusion.space import Configuration, SearchSpace

PREFIX = "nas_fusion:"
_CLAIM = f"{PREFIX}claim"
_NON_FINITE = f"{PREFIX}non_finite"
_ABANDONED = f"{PREFIX}abandoned"
_ERROR = f"{PREFIX}error"
_SPENT = f"{PREFIX}spent"
_DESCRIPTION = f"{PREFIX}description"
_LOSSES = f"{PREFIX}losses"
_RANKING = f"{PREFIX}ranking"
WAITING = "waiting"
COMPLETE = "complete"


# --- claims: what a trial was asked for to evaluate, and by whom ---


class Claim(NamedTuple):
    """What a sampler wrote on a trial before the trial ran.

    Attributes:
        configuration: What the trial evaluates, `None` if the sampler left it open (surplus, or other parameters).
        parent: The configuration from which the search moved to it, `None` for a root.
        lineage: Configurations whose weights are inherited one after the other, the root first, the parent last.
        round: Round of the search, the baseline's is 0; `None` if the sampler did not choose the configuration.
        surplus: Why there was nothing to claim, `waiting` or `complete`; `None` for every other trial.
    """

    configuration: Configuration | None = None
    parent: Configuration | None = None
    lineage: tuple[Configuration, ...] = ()
    round: int | None = None
    surplus: str | None = None


def write_claim(study: Study, trial: FrozenTrial, claim: Claim) -> None:
    """Write a claim in the name of this process."""
    written: dict[str, Any] = {"trial": trial.number, "by": str(Process.current())}
    if claim.surplus is not None:
        written["surplus"] = claim.surplus
    if claim.configuration is not None:
        written["configuration"] = claim.configuration.to_dict()
        written["parent"] = None if claim.parent is None else claim.parent.to_dict()
        written["round"] = claim.round
        if claim.lineage:
            written["lineage"] = [ancestor.to_dict() for ancestor in claim.lineage]
    study._storage.set_trial_user_attr(trial._trial_id, _CLAIM, written)


def claim_of(trial: BaseTrial) -> Claim | None:
    """Return what a sampler of ours wrote on a trial, `None` if nothing.

    Args:
        trial: As Optuna hands it to an objective (the storage is read), or frozen.
    """
    written = _written(trial)
    if written is None:
        return None
    if "configuration" not in written:
        return Claim(surplus=written.get("surplus") if is_own_claim(trial) else None)
    return Claim(
        configuration=Configuration(written["configuration"]),
        parent=None if written["parent"] is None else Configuration(written["parent"]),
        lineage=tuple(Configuration(ancestor) for ancestor in written.get("lineage", ())),
        round=written["round"],
    )


def is_own_claim(trial: BaseTrial) -> bool:
    """Return whether a trial has a claim that was written for it, not copied from a failed trial that it repeats."""
    written = _written(trial)
    return written is not None and written["trial"] == trial.number


def is_dead(trial: FrozenTrial) -> bool:
    """Return whether a trial's claim is by a process that has ended on this host."""
    written = _written(trial)
    return written is not None and written["trial"] == trial.number and Process.of(written["by"]).is_dead()


def surplus_reason(trial: BaseTrial) -> str | None:
    """Return why there was nothing to claim for a trial, `waiting` or `complete`; `None` if there was."""
    claim = claim_of(trial)
    return None if claim is None else claim.surplus


def is_surplus(trial: BaseTrial) -> bool:
    """Return whether a trial was asked for when there was nothing to claim: all readers ignore it."""
    return surplus_reason(trial) is not None


def parent_of(trial: BaseTrial) -> Configuration | None:
    """Return the configuration from which the search moved to a trial's: the one whose weights to start from.

    An objective that starts from them tells the sampler so by `inherit="parent"` (or `"baseline"`): only then does no trial run
    before its parent has ended, and is a configuration that is reached from two parents evaluated from each.

    Args:
        trial: As Optuna hands it to an objective (the storage is read), or frozen.

    Returns:
        The parent in the search tree, `None` for a root such as the baseline, or where no sampler of ours wrote one.

    Example:
        >>> def objective(trial):
        ...     parent = nas_fusion.parent_of(trial)
        ...     weights = saved.get(parent)  # None for the baseline: from scratch
    """
    claim = claim_of(trial)
    return None if claim is None else claim.parent


def lineage_of(trial: BaseTrial) -> tuple[Configuration, ...] | None:
    """Return the configurations whose weights a trial inherits one after the other, the root first, the parent last.

    Returns:
        Empty for a start from scratch, `None` if no sampler of ours wrote it.
    """
    claim = claim_of(trial)
    return None if claim is None or claim.configuration is None else claim.lineage


def _written(trial: BaseTrial) -> Mapping[str, Any] | None:
    # What `before_trial` writes to the storage is not in the attributes that Optuna's trial object holds.
    stored = trial.storage.get_trial(trial._trial_id) if isinstance(trial, Trial) else trial
    return stored.user_attrs.get(_CLAIM)


# --- ends without a value ---


def mark_non_finite(trial: Trial, value: float) -> None:
    """Mark a trial whose loss is no finite number, before its value is returned: Optuna makes a failure of it.

    A marked trial counts as evaluated and not better; it is not repeated.
    """
    trial.set_user_attr(_NON_FINITE, repr(float(value)))


def is_non_finite(trial: FrozenTrial) -> bool:
    """Return whether a trial was marked by `mark_non_finite`."""
    return _NON_FINITE in trial.user_attrs


def is_abandoned(trial: FrozenTrial) -> bool:
    """Return whether a trial was failed because its process had ended: no failure of its configuration."""
    return _ABANDONED in trial.user_attrs


def fail_dead_trials(study: Study) -> list[int]:
    """Set trials to FAIL whose process has ended on this host.

    The search repeats them, and they do not count against `max_retries`. A process that was only thought dead can no longer
    tell a value for them: FAIL is final.

    Returns:
        Their numbers.
    """
    failed = []
    for trial in study._storage.get_all_trials(study._study_id, deepcopy=False, states=(TrialState.RUNNING,)):
        if is_dead(trial) and abandon(study, trial):
            failed.append(trial.number)
    return failed


def abandon(study: Study, trial: Trial | FrozenTrial) -> bool:
    """Give a running trial back: set it to FAIL in such a way that this is no failure of its configuration.

    Returns:
        Whether it was given back; `False` if it has ended otherwise meanwhile.
    """
    try:
        study._storage.set_trial_user_attr(trial._trial_id, _ABANDONED, True)
        return study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:  # somebody was faster
        return False


def write_spent(trial: Trial, spent: Mapping[str, float]) -> None:
    """Write what a training cost that ends without a value: `epochs` and `samples` of all stages, folds, seeds until then."""
    trial.set_user_attr(_SPENT, dict(spent))


def spent_of(trial: FrozenTrial) -> dict[str, float]:
    """Return what `write_spent` wrote on a trial, empty if nothing."""
    return dict(trial.user_attrs.get(_SPENT, {}))


def write_error(trial: Trial, message: str) -> None:
    """Write why a trial failed, for those who look at the study."""
    trial.set_user_attr(_ERROR, message)


def error_of(trial: FrozenTrial) -> str | None:
    """Return why a trial failed, `None` if nobody wrote a reason."""
    return trial.user_attrs.get(_ERROR)


# --- evaluations ---


def write_losses(trial: Trial, losses: Sequence[float]) -> None:
    """Write what a trial's value is the mean of: samplers that decide under noise read it.

    Args:
        trial: As Optuna hands it to an objective.
        losses: One a fold, each the mean over training seeds; one a training seed where there is one fold.

    Raises:
        ValueError: If there is none, or one is not finite.

    Example:
        >>> def objective(trial):
        ...     losses = [train_and_validate(trial, fold) for fold in range(5)]
        ...     nas_fusion.write_losses(trial, losses)
        ...     return sum(losses) / len(losses)
    """
    written = [float(loss) for loss in losses]
    if not written or not all(map(math.isfinite, written)):
        raise ValueError(f"`losses` must be finite numbers, at least one, but got {written}.")
    trial.set_user_attr(_LOSSES, written)


def losses_of(trial: FrozenTrial) -> tuple[float, ...]:
    """Return what `write_losses` wrote on a trial, empty if nothing."""
    written = trial.user_attrs.get(_LOSSES)
    return tuple(written) if written else ()


def write_evaluation(trial: Trial, evaluation: Evaluation) -> None:
    """Write an evaluation on a trial; its value is what the objective returns after it."""
    written = {
        "key": evaluation.key,
        "reference": evaluation.reference,
        "device": evaluation.device,
        "trained": evaluation.trained,
        "fold_losses": list(evaluation.fold_losses),
        "epochs": list(evaluation.epochs),
        "cost": dict(evaluation.cost),
        "versions": dict(evaluation.versions),
        "metrics": {name: list(folds) for name, folds in evaluation.metrics.items()},
        "curves": [list(curve) for curve in evaluation.curves],
        "lineage": [dict(ancestor) for ancestor in evaluation.lineage],
        "seeds": evaluation.seeds,
    }
    for name, value in written.items():
        trial.set_user_attr(f"{PREFIX}{name}", value)
    write_losses(trial, evaluation.losses)


def read_evaluation(trial: FrozenTrial, space: SearchSpace) -> Evaluation | None:
    """Return the evaluation that was written on a trial, `None` if none was, or the trial was not completed."""
    written = {name.removeprefix(PREFIX): value for name, value in trial.user_attrs.items() if name.startswith(PREFIX)}
    if trial.state != TrialState.COMPLETE or trial.value is None or "key" not in written:
        return None
    return Evaluation(
        key=written["key"],
        value=trial.value,
        fold_losses=tuple(written["fold_losses"]),
        metrics={name: tuple(folds) for name, folds in written["metrics"].items()},
        cost=written["cost"],
        configuration=configuration_of(trial.params, space),
        reference=written["reference"],
        lineage=tuple(Configuration(ancestor) for ancestor in written["lineage"]),
        epochs=tuple(written["epochs"]),
        curves=tuple(tuple(curve) for curve in written["curves"]),
        device=written["device"],
        versions=written["versions"],
        trained=written["trained"],
        seeds=written.get("seeds", 1),
    )


def was_trained(trial: Trial) -> bool:
    """Return whether the evaluation that was written on a running trial was trained for it, not answered from the store."""
    return bool(trial.user_attrs.get(f"{PREFIX}trained", True))


def configuration_of(parameters: Mapping[str, Any], space: SearchSpace) -> Configuration | None:
    """Return the canonical configuration that a trial's parameters make, `None` unless each of the space's is among them."""
    try:
        chosen = {parameter: parameters[parameter] for parameter in space.parameters}
        space.check(chosen)
    except (KeyError, ValueError):
        return None
    return space.canonical(chosen)


# --- the study ---


def describe(study: Study, wanted: Mapping[str, Any]) -> None:
    """Write what a study is made with: once, for all who resume or join it.

    Args:
        study: A new study, or one described in the same way.
        wanted: JSON-compatible.

    Raises:
        ValueError: If the study was described differently; the message names each difference.
    """
    stored = description(study)
    if stored is None:
        study.set_user_attr(_DESCRIPTION, as_json(wanted))
    elif found := differences(stored, wanted):
        raise ValueError(f"`study` must be resumed as it was made: {'; '.join(found)}.")


def description(study: Study) -> dict[str, Any] | None:
    """Return what a study was made with, `None` if it was never described."""
    stored: dict[str, Any] | None = study.user_attrs.get(_DESCRIPTION)
    return stored


def write_ranking(study: Study, ranking: Mapping[str, Any]) -> None:
    """Write how probable configurations are after a differentiable search.

    Args:
        study: Whose sampler evaluates the most probable ones.
        ranking: JSON-compatible: `configurations`, a list of pairs of choices and probability, the most probable first;
            `cost`, what it took (`epochs`, `samples`, `seconds`); `key`, the digest of what decides it; `trained`, the keys of
            what was trained for it. More is allowed.
    """
    study.set_user_attr(_RANKING, as_json(ranking))


def ranking_of(study: Study) -> dict[str, Any] | None:
    """Return what `write_ranking` wrote on a study, `None` if nothing."""
    stored: dict[str, Any] | None = study._storage.get_study_user_attrs(study._study_id).get(_RANKING)
    return stored
