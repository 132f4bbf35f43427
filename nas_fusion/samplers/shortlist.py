"""A shortlist: the start, then the configurations that a ranking holds for the most probable."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from nas_fusion.history import Claim
from nas_fusion.samplers.engine import Engine, Key, Known, Move, key_of
from nas_fusion.samplers.moves import Moves
from nas_fusion.space import Configuration


class Shortlist(Engine):
    """Evaluates the start and the k most probable other configurations of a ranking; waits as long as there is none.

    Args:
        moves: What is allowed; its start is A_0 unless something is forced.
        inherit: With `parent` and `baseline`, weights come from the start, which is then evaluated before all others.
        k: How many configurations are evaluated beside the start, at least 1.
    """

    def __init__(self, moves: Moves, inherit: str, k: int) -> None:
        self._moves, self._space, self._start = moves, moves.space, moves.start
        self._inherit, self._k = inherit, k
        self._keys: list[Key] | None = None

    @property
    def is_ranked(self) -> bool:
        """Whether it knows a ranking."""
        return self._keys is not None

    def take(self, ranking: Mapping[str, Any]) -> None:
        """Take a ranking, as `history.ranking_of` returns it."""
        best = islice(self._others(ranking), self._k)
        self._keys = [self._key(configuration) for configuration in (self._start, *best)]

    def refresh(self, known: Known) -> None:
        """Nothing is kept that changes."""

    def next_move(self, known: Known) -> Move | None:
        keys = self._keys or []
        if keys and self._inherit != "none" and known.cost(keys[0]) is None:
            keys = keys[:1]
        for key in keys:
            if known.cost(key) is None and not known.is_claimed(key):
                return self._move(key)
        return None

    def is_complete(self, known: Known) -> bool:
        return self._keys is not None and all(known.cost(key) is not None for key in self._keys)

    def path(self, known: Known) -> list[Configuration]:
        ranked = [(known.cost(key), key.configuration) for key in self.used(known)]
        finite = [
            (cost, len(self._space.active(self._space.configuration(index))), index)
            for cost, index in ranked
            if cost is not None and not math.isinf(cost)
        ]
        if not finite:
            return []
        best = self._space.configuration(min(finite)[2])
        return list(dict.fromkeys((self._start, best)))

    def used(self, known: Known) -> list[Key]:
        return [key for key in self._keys or () if known.cost(key) is not None]

    def _others(self, ranking: Mapping[str, Any]) -> Iterator[Configuration]:
        """Yield the ranked configurations that are allowed and others than the start, most probable first, each once."""
        canonical = (self._space.canonical(choices) for choices, _ in ranking["configurations"])
        for configuration in dict.fromkeys(canonical):
            if configuration != self._start and self._moves.is_allowed(configuration):
                yield configuration

    def _key(self, configuration: Configuration) -> Key:
        return key_of(self._space, configuration, self._parent(configuration), self._inherit)

    def _parent(self, configuration: Configuration) -> Configuration | None:
        return None if configuration == self._start else self._start

    def _move(self, key: Key) -> Move:
        configuration = self._space.configuration(key.configuration)
        parent = self._parent(configuration)
        lineage = () if parent is None or self._inherit == "none" else (parent,)
        return Move(key, Claim(configuration, parent, lineage, 0 if parent is None else 1))
