"""Enumeration of a space: every canonical configuration once, by index."""

from __future__ import annotations

import math

from nas_fusion.history import Claim
from nas_fusion.samplers.engine import Engine, Key, Known, Move
from nas_fusion.space import Configuration, SearchSpace


class Enumeration(Engine):
    """Counts completed configurations, not trials: what was given back unevaluated is asked for again.

    A cursor moves over the indices; what it has passed and is not evaluated is remembered, so that a decision takes the same
    time however large the space and however long the history.

    Args:
        space: What is enumerated.
        inherit: With `parent` and `baseline`, weights come from the baseline, which is then evaluated before all others.
    """

    def __init__(self, space: SearchSpace, inherit: str) -> None:
        self._space, self._inherit = space, inherit
        self._cursor = 0
        self._passed: list[int] = []

    def refresh(self, known: Known) -> None:
        self._passed = [index for index in self._passed if known.cost(self._key(index)) is None]
        while self._cursor < self._space.size and self._needs_none(self._cursor, known):
            self._cursor += 1

    def next_move(self, known: Known) -> Move | None:
        free = (index for index in self._passed if not known.is_claimed(self._key(index)))
        for index in free:
            return self._move(index)
        while self._cursor < self._space.size and not self._waits_for_baseline(known):
            index, self._cursor = self._cursor, self._cursor + 1
            if self._needs_none(index, known):
                continue
            self._passed.append(index)
            if not known.is_claimed(self._key(index)):
                return self._move(index)
        return None

    def is_complete(self, known: Known) -> bool:
        return self._cursor == self._space.size and all(known.cost(self._key(index)) is not None for index in self._passed)

    def path(self, known: Known) -> list[Configuration]:
        ranked = [(cost, key.configuration) for key in self.used(known) if not math.isinf(cost := _cost(known, key))]
        if not ranked:
            return []
        least = min(cost for cost, _ in ranked)
        tied = (self._space.configuration(index) for cost, index in sorted(ranked) if cost == least)
        best = min(tied, key=lambda configuration: len(self._space.active(configuration)))
        return list(dict.fromkeys((self._space.baseline, best)))

    def used(self, known: Known) -> list[Key]:
        return sorted(key for key in known.settled() if key == self._key(key.configuration))

    def _key(self, index: int) -> Key:
        return Key(index, 0 if self._inherit == "parent" and index > 0 else -1)

    def _move(self, index: int) -> Move:
        configuration, baseline = self._space.configuration(index), self._space.baseline
        if index == 0:
            return Move(self._key(0), Claim(baseline, None, (), 0))
        return Move(self._key(index), Claim(configuration, baseline, () if self._inherit == "none" else (baseline,), 1))

    def _needs_none(self, index: int, known: Known) -> bool:
        if known.cost(self._key(index)) is not None:
            return True
        if not self._space.is_constrained:
            return False
        configuration = self._space.configuration(index)
        return self._space.canonical(configuration) != configuration

    def _waits_for_baseline(self, known: Known) -> bool:
        return self._cursor > 0 and self._inherit != "none" and known.cost(self._key(0)) is None


def _cost(known: Known, key: Key) -> float:
    cost = known.cost(key)
    assert cost is not None, "Should not reach."
    return cost
