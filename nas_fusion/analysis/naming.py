"""How configurations and arms are named in tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

from nas_fusion.analysis.arms import Arm
from nas_fusion.space import SearchSpace

_SEARCHES = {
    "sfsa": "SFSA",
    "beam": "Beam search",
    "exhaustive": "Exhaustive search",
    "random": "Random search",
    "tpe": "TPE",
    "gp": "Gaussian process",
    "nsgaii": "NSGA-II",
    "bruteforce": "Brute force",
    "grid": "Grid search",
}


def search_title(sampler: str) -> str:
    """Return how a sampler is called at the beginning of a sentence: `SFSA`; a plug-in's by its own name."""
    return _SEARCHES.get(sampler, sampler)


def points(space: SearchSpace, configuration: Mapping[str, str]) -> str:
    """Return what is active in words: `layer1 + layer3`, with the choices where there are several, `none` for the baseline."""
    return " + ".join(_point(space, p, p, choice) for p, choice in space.active(configuration).items()) or "none"


def short_points(space: SearchSpace, configuration: Mapping[str, str]) -> str:
    """Return the same without what all parameters' names begin with: `1+3`, and `A₀` for the baseline; for figures."""
    shared = 0 if len(space.parameters) == 1 else len(list(takewhile(_equal, zip(*space.parameters, strict=False))))
    names = {p: p[shared:] or p for p in space.parameters}
    return "+".join(_point(space, p, names[p], choice) for p, choice in space.active(configuration).items()) or "A₀"


def in_words(space: SearchSpace, configuration: Mapping[str, str]) -> str:
    """Return the same as `points` for use in a sentence: `the baseline` where nothing is active."""
    return points(space, configuration) if space.active(configuration) else "the baseline"


def chosen_in_words(space: SearchSpace, arm: Arm) -> str:
    """Return what an arm selected, for use in a sentence."""
    return arm.title if arm.best is None else in_words(space, arm.best)


def chosen_points(space: SearchSpace, arm: Arm) -> str:
    """Return what an arm selected in words, nothing for a reference that is no configuration."""
    return "" if arm.best is None else points(space, arm.best)


def _point(space: SearchSpace, parameter: str, name: str, choice: str) -> str:
    return name if len(space.parameters[parameter]) == 2 else f"{name}:{choice}"


def _equal(letters: tuple[str, ...]) -> bool:
    return len(set(letters)) == 1
