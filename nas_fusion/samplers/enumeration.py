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
        self._passed: list[Key] = []

    def refresh(self, known: Known) -> None:
        self._passed = [key for key in self._passed if known.cost(key) is None]

    def next_move(self, known: Known) -> Move | None:
        for key in self._passed:
            if not known.is_claimed(key):
                return self._move(key)
        while self._cursor < self._space.size and not self._waits_for_baseline(known):
            key = self._key(self._cursor)
            self._cursor += 1
            if self._needs_none(key, known):
                continue
            self._passed.append(key)
            if not known.is_claimed(key):
                return self._move(key)
        return None

    def is_complete(self, known: Known) -> bool:
        rest = (self._key(index) for index in range(self._cursor, self._space.size))
        return all(known.cost(key) is not None for key in self._passed) and all(self._needs_none(key, known) for key in rest)

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

    def _move(self, key: Key) -> Move:
        baseline = self._space.baseline
        if key.configuration == 0:
            return Move(key, Claim(baseline, None, (), 0))
        configuration = self._space.configuration(key.configuration)
        return Move(key, Claim(configuration, baseline, () if self._inherit == "none" else (baseline,), 1))

    def _needs_none(self, key: Key, known: Known) -> bool:
        if known.cost(key) is not None:
            return True
        if not self._space.is_constrained:
            return False
        configuration = self._space.configuration(key.configuration)
        return self._space.canonical(configuration) != configuration

    def _waits_for_baseline(self, known: Known) -> bool:
        return self._cursor > 0 and self._inherit != "none" and known.cost(self._key(0)) is None


def _cost(known: Known, key: Key) -> float:
    cost = known.cost(key)
    assert cost is not None, "Should not reach."
    return cost
