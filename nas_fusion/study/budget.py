"""When a search ends: by itself, or after a number of evaluations for samplers that never would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import optuna
from optuna.trial import TrialState

from nas_fusion import history
from nas_fusion.samplers import state_of

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from nas_fusion.space import SearchSpace
    from nas_fusion.study.spec import StudySpec

OPEN = "open"
EXHAUSTIVE = "exhaustive"
_FINITE = ("grid", "bruteforce")  # Optuna's samplers that end when they have been everywhere


def max_evaluations(spec: StudySpec, sampler: BaseSampler, space: SearchSpace) -> int:
    """Return the largest number of evaluations that a search can ask for.

    Raises:
        ValueError: If the sampler has no end of its own and no number of trials is given.
    """
    own = getattr(sampler, "max_evaluations", None)
    if own is not None:
        return int(own)
    if spec.sampler in _FINITE:
        return min(spec.trials or space.size, space.size)
    if spec.trials is None:
        raise ValueError(f"`--trials` must be given for the sampler {spec.sampler!r}, which has no end of its own.")
    return spec.trials


def equal_budgets(
    specs: Mapping[str, StudySpec], samplers: Mapping[str, BaseSampler], space: SearchSpace
) -> dict[str, StudySpec]:
    """Return the specifications of a comparison's arms, those without an end of their own with the budget of the others.

    Where no number of trials is given that is the most that any other arm can ask for; an exhaustive arm counts only where
    there is no other.
    """
    ended = {name: spec for name, spec in specs.items() if spec.trials is not None or has_end(spec, samplers[name])}
    most = {name: max_evaluations(spec, samplers[name], space) for name, spec in ended.items()}
    budget = max([n for name, n in most.items() if name not in (EXHAUSTIVE, *_FINITE)] or most.values(), default=None)
    return {name: spec if name in ended else spec.replace(trials=budget) for name, spec in specs.items()}


def has_end(spec: StudySpec, sampler: BaseSampler) -> bool:
    """Return whether a search ends by itself."""
    return getattr(sampler, "max_evaluations", None) is not None or spec.sampler in _FINITE


def outlook(study: optuna.Study, spec: StudySpec, space: SearchSpace) -> str:
    """Return what a trial would find: `open` (something to evaluate), `waiting` (for other processes) or `complete`."""
    own = getattr(study.sampler, "outlook", None)
    if callable(own):
        return str(own(study))
    most = max_evaluations(spec, study.sampler, space)
    trials = study.get_trials(deepcopy=False)
    running = sum(trial.state == TrialState.RUNNING for trial in trials)
    ended = sum(trial.state.is_finished() and not _is_void(trial) for trial in trials)
    if ended >= most or (spec.sampler in _FINITE and state_of(study, space, study.sampler).complete):
        return history.COMPLETE
    return OPEN if ended + running < most else history.WAITING


def _is_void(trial: optuna.trial.FrozenTrial) -> bool:
    return history.is_surplus(trial) or history.is_abandoned(trial)
