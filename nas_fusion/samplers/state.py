"""How far a search has come."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas_fusion.samplers.engine import Engine
from nas_fusion.samplers.ledger import Ledger
from nas_fusion.space import Configuration, SearchSpace


@dataclass(frozen=True)
class SearchState:
    """How far a search has come.

    Attributes:
        path: Accepted configurations, the first what the search began with (the baseline, unless something is forced or it
            started elsewhere), the last the best; empty before the first evaluation.
        best: The last of them.
        complete: Whether the search has come to its end.
        used: Numbers of the trials that the search used, the baseline's first.
        in_vain: Numbers of the trials that were trained, but not used (as yet): speculation, repetitions.
        surplus: Numbers of the trials that were asked for when there was nothing to claim.
        skipped: Configurations given up because they failed too often.
    """

    path: tuple[Configuration, ...]
    best: Configuration | None
    complete: bool
    used: tuple[int, ...]
    in_vain: tuple[int, ...]
    surplus: tuple[int, ...]
    skipped: tuple[Configuration, ...]


def read_state(engine: Engine, ledger: Ledger) -> SearchState:
    """Return how far a search has come."""
    path = tuple(engine.path(ledger))
    used = [number for key in engine.used(ledger) if (number := ledger.number(key)) is not None]
    return SearchState(
        path=path,
        best=path[-1] if path else None,
        complete=engine.is_complete(ledger),
        used=(*used[:1], *sorted(used[1:])),
        in_vain=tuple(sorted({*ledger.evaluated} - {*used})),
        surplus=tuple(sorted(ledger.surplus)),
        skipped=tuple(ledger.skipped()),
    )


def best_configurations(space: SearchSpace, engine: Engine, ledger: Ledger, n: int) -> list[Configuration]:
    """Return the configurations of least cost of all that a search used, each once, controls left out.

    Raises:
        ValueError: If `n` is less than 1.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, but got {n}.")
    least: dict[int, float] = {}
    for key in engine.used(ledger):
        cost = ledger.cost(key)
        if cost is not None and math.isfinite(cost) and not key.is_control:
            least[key.configuration] = min(cost, least.get(key.configuration, cost))
    found = ((cost, space.configuration(index)) for index, cost in sorted(least.items()))
    ranked = sorted(found, key=lambda pair: (pair[0], len(space.active(pair[1]))))
    return [configuration for _, configuration in ranked[:n]]
