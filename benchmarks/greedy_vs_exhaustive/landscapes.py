"""What is searched: landscapes of synthetic families, and those that real training has recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.record_landscapes import LANDSCAPES, MADE
from nas_fusion import Landscape, SearchSpace
from nas_fusion.analysis.families import FAMILIES, ORDERS

SIZES = (4, 6, 8, 10)
LEAST = {"nk5": 6, "two-synergies": 5}
"""Families that need more points than the smallest size has."""
HORIZON = {4: 16, 6: 64, 8: 128, 10: 128}
"""How many evaluations are looked at, by number of points."""
COUNTS = {
    "ours": {4: 50, 6: 50, 8: 50, 10: 30},
    "peers": {4: 50, 6: 50, 8: 20, 10: 20},
    "long": {4: 20, 6: 20, 8: 10, 10: 6},
    "slow": {4: 6, 6: 6, 8: 5, 10: 3},
}
"""How many landscapes of each family are searched, by number of points: each kind of searcher takes the first ones."""
TURNS = {"ours": 10, "peers": 10, "long": 3, "slow": 2}
"""In how many orders of its points each recorded landscape is searched."""
SHARE = {4: 0.75, 6: 0.4, 8: 0.2, 10: 0.1}
"""The share of all configurations within which an optimum should be found, by number of points."""
RECORDED = "recorded"


@dataclass(frozen=True)
class Problem:
    """One landscape to search.

    Attributes:
        family: A name in `FAMILIES`, or `recorded` and what was recorded.
        m: Number of points.
        seed: Of the family's draws; for a recorded landscape of the order of its points.
        table: The recorded table, `None` for a synthetic landscape.
    """

    family: str
    m: int
    seed: int
    table: Path | None = None

    @property
    def group(self) -> str:
        """What makes it independent of others: the table, or the seed."""
        return str(self.seed) if self.table is None else self.table.stem

    def build(self) -> Landscape:
        """Return the landscape."""
        if self.table is None:
            return FAMILIES[self.family](self.m, self.seed)
        return shuffled(Landscape.from_csv(self.table), self.seed)


@dataclass(frozen=True)
class Target:
    """What finding an optimum means.

    Attributes:
        minimum: The lowest loss.
        limit: The largest loss that cannot be told from it: one standard error of the optimum's mean above, where there are
            several folds or seeds.
        scale: How far the mean loss of all configurations is above the lowest: the regret of a configuration drawn blindly.
    """

    minimum: float
    limit: float
    scale: float

    @classmethod
    def of(cls, landscape: Landscape) -> Target:
        """Return the target of a landscape."""
        losses = np.array(list(landscape.losses.values()))
        limit = max(landscape.losses[configuration] for configuration in landscape.optima(standard_errors=1.0))
        return cls(float(losses.min()), limit + 1e-12, float(losses.mean() - losses.min()))


def synthetic(families: Sequence[str], counts: Mapping[int, int]) -> list[Problem]:
    """Return the synthetic problems of the first seeds, which no sampler was tuned on: so many for each number of points."""
    return [
        Problem(family, m, seed)
        for m, n in counts.items()
        for family in families
        if m >= LEAST.get(family, 1)
        for seed in range(n)
    ]


def recordings(sizes: Sequence[int], orders: int, folder: Path = LANDSCAPES) -> list[Problem]:
    """Return the recorded problems, each with its points in several orders: samplers break ties by them."""
    made = json.loads((folder / MADE).read_text()) if (folder / MADE).exists() else {}
    return [
        Problem(f"{RECORDED} {name.rsplit('_seed', 1)[0]}", len(facts["parameters"]), order, folder / f"{name}.csv")
        for name, facts in made.items()
        if len(facts["parameters"]) in sizes
        for order in range(orders)
    ]


def shuffled(landscape: Landscape, seed: int) -> Landscape:
    """Return a landscape with its points in a drawn order."""
    names = list(landscape.space.parameters)
    order = np.random.default_rng(seed).permutation(len(names))
    space = SearchSpace({names[i]: landscape.space.parameters[names[i]] for i in order})
    return Landscape(dict(landscape.samples), space)


def order_of(family: str) -> int | None:
    """Return the order of the highest interaction of a synthetic family, `None` where it is not known or there is noise."""
    return ORDERS.get(family)
