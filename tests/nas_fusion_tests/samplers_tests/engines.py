"""Engines run in memory, without Optuna."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from nas_fusion.history import Claim
from nas_fusion.samplers.engine import Engine, Key, Move
from nas_fusion.samplers.floating_rounds import Back, FloatingRounds
from nas_fusion.samplers.lattice import Lattice
from nas_fusion.samplers.moves import Moves
from nas_fusion.samplers.policy import Policy, Rule
from nas_fusion.samplers.rounds import Rounds
from nas_fusion.space import SearchSpace

Cost = Callable[[Claim], float | tuple[float, ...]]
"""What an evaluation ends with: its loss, or the losses of its folds."""


@dataclass(frozen=True)
class Table:
    """What is known, as a plain table: a loss each, or the losses of folds."""

    costs: Mapping[Key, float | tuple[float, ...]]
    claims: Collection[Key] = ()

    def cost(self, key: Key) -> float | None:
        found = self.costs.get(key)
        return statistics.fmean(found) if isinstance(found, tuple) else found

    def losses(self, key: Key) -> tuple[float, ...]:
        found = self.costs.get(key)
        if found is None or found == math.inf:
            return ()
        return found if isinstance(found, tuple) else (found,)

    def is_claimed(self, key: Key) -> bool:
        return key in self.claims

    def rounds(self) -> Mapping[Key, int]:
        return {}

    def settled(self) -> Iterable[Key]:
        return self.costs


def policy(space: SearchSpace | Moves, rule: Rule | None = None, *, kind: str = "forward", width: int = 1) -> Policy:
    """A policy by name: forward, backward; floating_, strict_ or changing_ before either."""
    moves = space if isinstance(space, Moves) else Moves(space)
    is_forward = kind.endswith("forward")
    opening = [moves.start] if is_forward else [moves.start, moves.everything()]
    rule = Rule() if rule is None else rule
    if kind in ("forward", "backward"):
        return Rounds(moves, rule, opening, width=width, forward=is_forward)
    back = Back(strict=kind.startswith("strict"), changes=kind.startswith("changing"))
    return FloatingRounds(moves, rule, opening, forward=is_forward, back=back)


KINDS = (
    *("forward", "backward", "floating_forward", "floating_backward", "strict_forward", "strict_backward"),
    *("changing_forward", "changing_backward"),
)


def searched(engine: Engine, cost: Cost) -> dict[Key, float | tuple[float, ...]]:
    """Evaluate what an engine asks for, one after the other, to the end."""
    costs: dict[Key, float | tuple[float, ...]] = {}
    while True:
        engine.refresh(Table(costs))
        move = engine.next_move(Table(costs))
        if move is None:
            assert engine.is_complete(Table(costs))
            return costs
        assert not engine.is_complete(Table(costs))
        assert move.key not in costs
        costs[move.key] = cost(move.claim)


def searched_by_several(
    make: Callable[[], Engine], cost: Cost, n_workers: int, chance: random.Random
) -> tuple[Engine, dict[Key, float | tuple[float, ...]]]:
    """Evaluate what an engine asks for by several workers that end in any order; now and then a new process takes over."""
    engine, running = make(), dict[Key, Move]()
    costs: dict[Key, float | tuple[float, ...]] = {}
    while not engine.is_complete(Table(costs)):
        if chance.random() < 0.1:
            engine = make()
        engine.refresh(Table(costs))
        while len(running) < n_workers and (move := engine.next_move(Table(costs, running))) is not None:
            assert move.key not in costs and move.key not in running
            running[move.key] = move
        key = chance.choice(sorted(running))
        costs[key] = cost(running.pop(key).claim)
    engine.refresh(Table(costs))
    return engine, costs


def lattice(space: SearchSpace | Moves, rule: Rule | None = None, *, kind: str = "forward", width: int = 1) -> Lattice:
    return Lattice(policy(space, rule, kind=kind, width=width))
