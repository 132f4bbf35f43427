"""Who searches: our samplers and Optuna's, each with its defaults."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler

from nas_fusion import Landscape, SearchSpace, load_sampler
from nas_fusion.samplers.loading import OPTUNA_SAMPLERS
from nas_fusion.study.replay import replay


@dataclass(frozen=True)
class Searcher:
    """A sampler with its options.

    Attributes:
        name: As `load_sampler` knows it.
        options: The sampler's own.
        inherits: Whether candidates can inherit weights: ours say from whom, Optuna's samplers know no parent.
        ends: Whether it ends by itself, and is let do so; others are given a number of trials.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inherits: bool = True
    ends: bool = True

    def sampler(self, space: SearchSpace, *, n_trials: int, seed: int) -> BaseSampler:
        """Return the sampler; Optuna's as they are, not the ones that resume."""
        if self.name in OPTUNA_SAMPLERS:
            return OPTUNA_SAMPLERS[self.name](space, seed)
        return load_sampler(self.name, space, seed=seed, n_trials=None if self.ends else n_trials, **self.options)


OURS: Mapping[str, Searcher] = {
    "sfsa": Searcher("sfsa"),
    "sfsa patience 2": Searcher("sfsa", {"patience": 2}),
    "beam 2": Searcher("beam", {"width": 2}),
    "beam 3": Searcher("beam", {"width": 3}),
    "backward": Searcher("backward"),
    "floating": Searcher("floating"),
    "floating backward": Searcher("floating", {"direction": "backward"}),
    "surrogate": Searcher("surrogate"),
    "surrogate long": Searcher("surrogate", ends=False),
    "exhaustive": Searcher("exhaustive"),
}
PEERS: Mapping[str, Searcher] = {name: Searcher(name, inherits=False, ends=False) for name in OPTUNA_SAMPLERS}
SEARCHERS: Mapping[str, Searcher] = {**OURS, **PEERS}
KIND: Mapping[str, str] = {
    **dict.fromkeys(OURS, "ours"),
    **dict.fromkeys(PEERS, "peers"),
    "surrogate long": "long",
    **dict.fromkeys(["gp", "bruteforce", "grid", "exhaustive"], "slow"),
}
"""How many landscapes they search, see `COUNTS`: each trial of GP takes longer than the one before; others only enumerate."""


def search(landscape: Landscape, searcher: Searcher, *, n_trials: int, seed: int) -> list[int]:
    """Return the indices of the configurations in the order in which a searcher evaluates them, repetitions included.

    Args:
        landscape: The objective.
        searcher: Who searches.
        n_trials: The largest number of trials.
        seed: Of the sampler.
    """
    space = landscape.space
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        done = replay(landscape, searcher.sampler(space, n_trials=n_trials, seed=seed), n_trials=n_trials)
    return [space.index(configuration) for configuration in done.order]
