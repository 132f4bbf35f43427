"""Samplers by name, ours and Optuna's, and the state of a search by any of them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from nas_fusion import history, plugins
from nas_fusion.samplers.checks import check_enumerable
from nas_fusion.samplers.continued import ContinuedSampler
from nas_fusion.samplers.state import SearchState
from nas_fusion.space import Configuration, SearchSpace

Space = SearchSpace | Mapping[str, Sequence[str]]


def _grid(space: SearchSpace, seed: int | None, **options: Any) -> BaseSampler:
    check_enumerable(space.size)  # it lists them
    return optuna.samplers.GridSampler({p: list(choices) for p, choices in space.parameters.items()}, seed=seed, **options)


def _seeded(kind: Callable[..., BaseSampler], space: SearchSpace, seed: int | None, **options: Any) -> BaseSampler:
    with warnings.catch_warnings():  # who asks for an experimental one by name knows it
        warnings.simplefilter("ignore", ExperimentalWarning)
        return kind(seed=seed, **options)


OPTUNA_SAMPLERS: Mapping[str, Callable[..., BaseSampler]] = {
    "random": partial(_seeded, optuna.samplers.RandomSampler),
    "tpe": partial(_seeded, optuna.samplers.TPESampler),
    "gp": partial(_seeded, optuna.samplers.GPSampler),
    "nsgaii": partial(_seeded, optuna.samplers.NSGAIISampler),
    "bruteforce": partial(_seeded, optuna.samplers.BruteForceSampler),
    "grid": _grid,
}
_FINITE = ("bruteforce", "grid")  # they look at what is evaluated, whatever their seed


def load_sampler(
    name: str,
    space: Space,
    *,
    seed: int | None = None,
    inherit: str | None = None,
    n_trials: int | None = None,
    **options: Any,
) -> BaseSampler:
    """Return a sampler by its name.

    Args:
        name: An entry point's (`sfsa`, `beam`, `exhaustive`, a plug-in's), or `random`, `tpe`, `gp`, `nsgaii`, `bruteforce` or
            `grid` for Optuna's.
        space: What is searched.
        seed: Of the sampler's generator. With one, Optuna's samplers go on where a study was left, see `ContinuedSampler`.
        inherit: The rule of inheritance, `None` for the space's own; Optuna's samplers know none.
        n_trials: The budget, for samplers that plan with one.
        **options: The sampler's own.

    Raises:
        ValueError: If there is no sampler of that name, or an option is not one of the sampler's or out of its range.
    """
    space = SearchSpace.of(space)
    try:
        if name in OPTUNA_SAMPLERS:
            sampler = OPTUNA_SAMPLERS[name](space, seed, **options)
            if seed is None or name in _FINITE:
                return sampler
            return ContinuedSampler(partial(OPTUNA_SAMPLERS[name], space, **options), seed)
        known = ", ".join(sorted({*OPTUNA_SAMPLERS, *plugins.names("samplers")}))
        if name not in plugins.names("samplers"):
            raise ValueError(f"`sampler` must be one of {known}, but got {name!r}.")
        factory = plugins.load("samplers", name)
        if "n_trials" in inspect.signature(factory).parameters:
            options["n_trials"] = n_trials
        sampler = factory(space, seed=seed, inherit=inherit, **options)
    except TypeError as error:
        raise ValueError(f"`options` must be options of the sampler {name!r}, but got {options}: {error}.") from None
    if not isinstance(sampler, BaseSampler):
        raise ValueError(f"`sampler` must make an Optuna sampler, but {name!r} made {type(sampler).__name__}.")
    return sampler


def state_of(study: optuna.Study, space: Space, sampler: BaseSampler) -> SearchState:
    """Return how far a search has come, by a sampler of ours or of Optuna's.

    For a sampler that knows no search, each first completed trial of a configuration is used, the best of these is accepted,
    and the search is complete when every configuration has been evaluated.
    """
    state = getattr(sampler, "state", None)
    if callable(state):
        found: SearchState = state(study)
        return found
    return _state_by_values(study, SearchSpace.of(space))


def _state_by_values(study: optuna.Study, space: SearchSpace) -> SearchState:
    maximises = study.direction == optuna.study.StudyDirection.MAXIMIZE
    first: dict[Configuration, optuna.trial.FrozenTrial] = {}
    in_vain: list[int] = []
    surplus: list[int] = []
    for trial in study.get_trials(deepcopy=False):
        configuration = history.configuration_of(trial.params, space)
        if history.is_surplus(trial):
            surplus.append(trial.number)
        elif trial.state == TrialState.COMPLETE and configuration is not None:
            if configuration in first:
                in_vain.append(trial.number)
            else:
                first[configuration] = trial

    def rank(configuration: Configuration) -> tuple[float, int, int]:
        value = first[configuration].value
        assert value is not None, "Should not reach."
        return -value if maximises else value, len(space.active(configuration)), space.index(configuration)

    best = min(first, key=rank, default=None)
    start = [space.baseline] if space.baseline in first else []
    return SearchState(
        path=() if best is None else tuple(dict.fromkeys((*start, best))),
        best=best,
        complete=len(first) == space.n_configurations,
        used=tuple(trial.number for trial in first.values()),
        in_vain=tuple(in_vain),
        surplus=tuple(surplus),
        skipped=(),
    )
