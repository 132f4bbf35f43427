"""Landscapes without training, for the tests of samplers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import optuna

from nas_fusion.samplers import (
    BackwardSampler,
    BeamSampler,
    ExhaustiveSampler,
    FloatingSampler,
    SearchSampler,
    SFSASampler,
)
from nas_fusion.space import Configuration, SearchSpace

# A decoy (2) that greedy search takes, and a synergy ({1, 3}) behind two points that look poor alone.
PLANTED = {
    (): 0.65,
    (1,): 0.61,
    (2,): 0.52,
    (3,): 0.65,
    (4,): 0.63,
    (1, 2): 0.54,
    (1, 3): 0.30,
    (1, 4): 0.61,
    (2, 3): 0.54,
    (2, 4): 0.54,
    (3, 4): 0.65,
    (1, 2, 3): 0.34,
    (1, 2, 4): 0.55,
    (1, 3, 4): 0.31,
    (2, 3, 4): 0.55,
    (1, 2, 3, 4): 0.35,
}


def floating_backward(space: SearchSpace | Mapping[str, Sequence[str]], **options: object) -> FloatingSampler:
    return FloatingSampler(space, direction="backward", **options)  # type: ignore[arg-type]


UPWARDS: list[Callable[..., SearchSampler]] = [SFSASampler, BeamSampler, ExhaustiveSampler]
"""Those that evaluate the single points after the baseline, and stop where the lattice does not get better."""
SAMPLERS: list[Callable[..., SearchSampler]] = [*UPWARDS, BackwardSampler, FloatingSampler, floating_backward]
# What each of them needs and finds there.
EVALUATIONS = {
    SFSASampler: 8,
    BeamSampler: 13,
    BackwardSampler: 11,
    FloatingSampler: 16,
    floating_backward: 12,
    ExhaustiveSampler: 16,
}
_DOWN: list[tuple[int, ...]] = [(), (1, 2, 3, 4), (1, 3, 4), (1, 3)]
PATHS = {
    SFSASampler: [(), (2,)],
    BeamSampler: [(), (1,), (1, 3)],
    BackwardSampler: _DOWN,
    FloatingSampler: [(), (2,), (1, 2), (1, 2, 3), (1, 3)],
    floating_backward: _DOWN,
    ExhaustiveSampler: [(), (1, 3)],
}


def choices(m: int, modules: Iterable[str] = ("mmtm",)) -> dict[str, list[str]]:
    return {f"layer{i + 1}": ["none", *modules] for i in range(m)}


def points(configuration: Mapping[str, str]) -> tuple[int, ...]:
    """Numbers of the active points."""
    return tuple(int(name.removeprefix("layer")) for name, choice in configuration.items() if choice != "none")


def planted(trial: optuna.Trial) -> float:
    return PLANTED[points(SearchSpace(choices(4)).suggest(trial))]


def random_losses(space: SearchSpace, seed: int) -> dict[Configuration, float]:
    """A loss without ties for each canonical configuration."""
    configurations = list(space.configurations())
    return dict(zip(configurations, np.random.default_rng(seed).permutation(len(configurations)) / 7.0, strict=True))


def lookup(losses: Mapping[Configuration, float], space: SearchSpace) -> Callable[[optuna.Trial], float]:
    return lambda trial: float(losses[space.suggest(trial)])


def run(sampler: SearchSampler, objective: Callable[[optuna.Trial], float], **options: object) -> optuna.Study:
    """A study in memory, searched to the end."""
    study = optuna.create_study(sampler=sampler, direction=str(options.pop("direction", "minimize")))
    study.optimize(objective, **options)  # type: ignore[arg-type]
    return study


def evaluated(study: optuna.Study, space: SearchSpace) -> list[Configuration]:
    """What completed trials evaluated, by trial number."""
    return [space.canonical(t.params) for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
