"""What a budgeted search may evaluate: all of a space, or its most promising part where it is too large to list."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from nas_fusion.samplers.coding import Coded, Coding, Ints
from nas_fusion.samplers.moves import Moves
from nas_fusion.space import LISTED

_DRAWN = 1024


class Evaluation(NamedTuple):
    """Something that is known: what a batch is decided on; an infinite cost says no more than that it is worthless."""

    configuration: int
    cost: float
    losses: tuple[float, ...]


class Candidates:
    """The allowed configurations of a space as arrays of levels: the position of each unit's choice.

    Args:
        moves: The space with what is forced and grouped.
    """

    def __init__(self, moves: Moves) -> None:
        self.moves = moves
        space = moves.space
        radix, each = 1, {}
        for parameter, choices in space.parameters.items():
            each[parameter] = radix
            radix *= len(choices)
        self.sizes = tuple(len(space.parameters[unit[0]]) for unit in moves.units)
        self._radix = tuple(sum(each[parameter] for parameter in unit) for unit in moves.units)
        self._first = tuple(each[unit[0]] for unit in moves.units)
        self._offset = space.index(moves.start)
        self._allowed: dict[int, bool] = {}

    def __reduce__(self) -> tuple[type[Candidates], tuple[Moves]]:
        return Candidates, (self.moves,)  # what is listed can be listed again

    @property
    def is_listed(self) -> bool:
        """Whether all configurations are considered."""
        return self.moves.size <= LISTED

    @property
    def count(self) -> int:
        """The number of configurations; of a large space, that with those that are not canonical."""
        return len(self.listed) if self.is_listed else self.moves.size

    def index(self, levels: Ints) -> int:
        """Return the space's index of one row of levels."""
        return self._offset + sum(int(level) * radix for level, radix in zip(levels, self._radix, strict=True))

    def levels(self, indices: Sequence[int]) -> Ints:
        """Return the (n, units) levels of the space's indices."""
        rows = [[index // radix % size for radix, size in zip(self._first, self.sizes, strict=True)] for index in indices]
        return np.array(rows, dtype=np.intp).reshape(len(indices), len(self.sizes))

    def contains(self, index: int) -> bool:
        """Return whether the configuration of a space's index is allowed."""
        if not self.moves.is_restricted and not self.moves.space.is_constrained:
            return True
        if index not in self._allowed:
            self._allowed[index] = self.moves.is_allowed(self.moves.space.configuration(index))
        return self._allowed[index]

    @cached_property
    def coding(self) -> Coding:
        """How models see configurations: one categorical parameter a unit."""
        return Coding(self.sizes)

    def coded(self, levels: Ints) -> Coded:
        """Return configurations coded; of all that are listed, this is done once."""
        return self._all_coded if self.is_listed and levels is self.listed else self.coding.coded(levels)

    @cached_property
    def _all_coded(self) -> Coded:
        return self.coding.coded(self.listed)

    @cached_property
    def listed(self) -> Ints:
        """(count, units) array of all configurations, by number of active units, then by index."""
        radix = np.cumprod((1, *self.sizes[:-1]))
        levels = self.joined(np.arange(self.moves.size)[:, None] // radix % np.array(self.sizes))
        return levels[[self.contains(self.index(row)) for row in levels]] if self.moves.space.is_constrained else levels

    def drawn(self, seed: int) -> Ints:
        """Return random configurations, canonical or not, the same ones for the same seed."""
        generator = np.random.default_rng(seed)
        return self.joined(generator.integers(0, self.sizes, size=(_DRAWN, len(self.sizes))))

    def neighbours(self, levels: Ints) -> Ints:
        """Return what differs in one unit from one of the rows, canonical or not: moves forward, moves back and changes."""
        found = []
        for unit, size in enumerate(self.sizes):
            for shift in range(1, size):
                moved = levels.copy()
                moved[:, unit] = (moved[:, unit] + shift) % size
                found.append(moved)
        return np.vstack(found)

    def canonical(self, levels: Ints) -> Ints:
        """Return the canonical forms of some rows as far as they are allowed, each once, as `joined` orders them."""
        moves = self.moves
        if not moves.space.is_constrained:
            return self.joined(levels)
        forms = (moves.space.canonical(moves.space.configuration(self.index(row))) for row in levels)
        allowed = (form for form in forms if not moves.is_restricted or moves.is_allowed(form))
        return self.joined(self.levels([moves.index(form) for form in allowed]))

    def joined(self, *levels: Ints) -> Ints:
        """Return some rows, each once, by number of active units, then by index."""
        rows = np.unique(np.vstack(levels), axis=0)
        return rows[np.lexsort((*rows.T, (rows > 0).sum(1)))]
