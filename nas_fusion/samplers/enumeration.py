"""Enumeration of a space: every allowed configuration once, by index."""

from __future__ import annotations

import math

from nas_fusion.history import Claim
from nas_fusion.samplers.engine import Engine, Key, Known, Move
from nas_fusion.samplers.moves import Moves
from nas_fusion.space import Configuration


class Enumeration(Engine):
    """Counts completed configurations, not trials: what was given back unevaluated is asked for again.

    A cursor moves over the indices; what it has passed and is not evaluated is remembered, so that a decision takes the same
    time however large the space and however long the history.

    Args:
        moves: What is enumerated.
        inherit: With `parent` and `baseline`, weights come from the start (the baseline, unless something is forced), which is
            then evaluated before all others.
    """

    def __init__(self, moves: Moves, inherit: str) -> None:
        self._moves, self._space, self._inherit = moves, moves.space, inherit
        self._start = self._space.index(moves.start)
        self._cursor = 0
        self._passed: list[Key] = []
        self._is_plain = not moves.is_restricted and not moves.space.is_constrained

    def refresh(self, known: Known) -> None:
        self._passed = [key for key in self._passed if known.cost(key) is None]

    def next_move(self, known: Known) -> Move | None:
        for passed in self._passed:
            if not known.is_claimed(passed):
                return self._move(passed)
        while self._cursor < self._moves.size and not self._waits_for_start(known):
            key = self._key(self._cursor)
            self._cursor += 1
            if key is None or known.cost(key) is not None:
                continue
            self._passed.append(key)
            if not known.is_claimed(key):
                return self._move(key)
        return None

    def is_complete(self, known: Known) -> bool:
        for position in range(self._cursor, self._moves.size):
            key = self._key(position)
            if key is not None and known.cost(key) is None:
                return False
        return all(known.cost(key) is not None for key in self._passed)

    def path(self, known: Known) -> list[Configuration]:
        ranked = [(cost, key.configuration) for key in self.used(known) if not math.isinf(cost := _cost(known, key))]
        if not ranked:
            return []
        least = min(cost for cost, _ in ranked)
        tied = (self._space.configuration(index) for cost, index in sorted(ranked) if cost == least)
        best = min(tied, key=lambda configuration: len(self._space.active(configuration)))
        return list(dict.fromkeys((self._moves.start, best)))

    def used(self, known: Known) -> list[Key]:
        return sorted(
            key
            for key in known.settled()
            if key == self._key_of(key.configuration) and self._moves.is_allowed(self._space.configuration(key.configuration))
        )

    def _key(self, position: int) -> Key | None:
        """Return the key of a position in the enumeration, `None` for what is not canonical."""
        if self._is_plain:
            return self._key_of(position)
        configuration = self._moves.configuration(position)
        return self._key_of(self._space.index(configuration)) if self._moves.is_allowed(configuration) else None

    def _key_of(self, index: int) -> Key:
        return Key(index, self._start if self._inherit == "parent" and index != self._start else -1)

    def _move(self, key: Key) -> Move:
        start = self._moves.start
        if key.configuration == self._start:
            return Move(key, Claim(start, None, (), 0))
        configuration = self._space.configuration(key.configuration)
        return Move(key, Claim(configuration, start, () if self._inherit == "none" else (start,), 1))

    def _waits_for_start(self, known: Known) -> bool:
        return self._cursor > 0 and self._inherit != "none" and known.cost(self._key_of(self._start)) is None


def _cost(known: Known, key: Key) -> float:
    cost = known.cost(key)
    assert cost is not None, "Should not reach."
    return cost
