"""Landscapes of fusion points as problems of OptunaHub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optunahub.benchmarks import BaseProblem

from nas_fusion import Landscape
from nas_fusion.analysis.families import FAMILIES


class Problem(BaseProblem):
    """Which fusion points of a multi-stream network to switch on: a table of losses whose optimum is known.

    Args:
        landscape: Name of a synthetic family, one of `available_landscapes`, or path of a recorded table (`.csv`).
        m: Number of points of a synthetic landscape.
        seed: Which landscape of the family.

    Raises:
        ValueError: If there is no such landscape, or a family has none with so many points.
    """

    available_landscapes = tuple(FAMILIES)

    def __init__(self, landscape: str | Path = "trap", *, m: int = 6, seed: int = 0) -> None:
        if landscape in FAMILIES:
            self.landscape = FAMILIES[str(landscape)](m, seed)
        elif Path(landscape).suffix == ".csv":
            self.landscape = Landscape.from_csv(landscape)
        else:
            known = ", ".join(FAMILIES)
            raise ValueError(f"`landscape` must be one of {known}, or the path of a table (.csv), but got {str(landscape)!r}.")

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """One categorical parameter a point, whose first choice means off."""
        return {name: CategoricalDistribution(choices) for name, choices in self.parameters.items()}

    @property
    def parameters(self) -> dict[str, tuple[str, ...]]:
        """The points and their choices, as the samplers of nas-fusion take them."""
        return dict(self.landscape.space.parameters)

    @property
    def directions(self) -> list[StudyDirection]:
        """The loss is minimised."""
        return [StudyDirection.MINIMIZE]

    def evaluate(self, params: Mapping[str, Any]) -> float:
        """Return the loss of a choice for every point, in nats."""
        return self.landscape.loss(params)

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the loss of what a trial suggests; where it is a mean over folds or seeds, they are written on the trial."""
        return self.landscape(trial)

    @property
    def optimum(self) -> dict[str, str]:
        """The choices with the lowest loss."""
        return self.landscape.optimum.to_dict()

    @property
    def minimum(self) -> float:
        """The lowest loss."""
        return self.landscape.minimum

    def regret(self, params: Mapping[str, Any]) -> float:
        """Return how far a choice for every point is above the lowest loss."""
        return self.landscape.regret(params)
