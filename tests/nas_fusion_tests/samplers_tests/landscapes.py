"""Landscapes without training, for the tests of samplers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import optuna

from nas_fusion.samplers import BeamSampler, ExhaustiveSampler, SearchSampler, SFSASampler
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
SAMPLERS: list[Callable[..., SearchSampler]] = [SFSASampler, BeamSampler, ExhaustiveSampler]
# What each of them needs and finds there.
EVALUATIONS = {SFSASampler: 8, BeamSampler: 13, ExhaustiveSampler: 16}
PATHS = {SFSASampler: [(), (2,)], BeamSampler: [(), (1,), (1, 3)], ExhaustiveSampler: [(), (1, 3)]}


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
