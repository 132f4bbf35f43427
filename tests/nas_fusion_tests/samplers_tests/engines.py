"""Engines run in memory, without Optuna."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from nas_fusion.history import Claim
from nas_fusion.samplers.engine import Engine, Key, Move
from nas_fusion.samplers.floating_rounds import FloatingRounds
from nas_fusion.samplers.lattice import Lattice
from nas_fusion.samplers.moves import Moves
from nas_fusion.samplers.policy import Policy, Rule
from nas_fusion.samplers.rounds import Rounds
from nas_fusion.space import SearchSpace

Cost = Callable[[Claim], float]


@dataclass(frozen=True)
class Table:
    """What is known, as a plain table."""

    costs: Mapping[Key, float]
    claims: Collection[Key] = ()
    parts: Mapping[Key, tuple[float, ...]] = field(default_factory=dict)

    def cost(self, key: Key) -> float | None:
        return self.costs.get(key)

    def losses(self, key: Key) -> tuple[float, ...]:
        return self.parts.get(key) or ((self.costs[key],) if key in self.costs else ())

    def is_claimed(self, key: Key) -> bool:
        return key in self.claims

    def rounds(self) -> Mapping[Key, int]:
        return {}

    def settled(self) -> Iterable[Key]:
        return self.costs


def policy(space: SearchSpace | Moves, rule: Rule | None = None, *, kind: str = "forward", width: int = 1) -> Policy:
    """A policy by name: forward, backward, floating_forward, floating_backward, strict_forward, strict_backward."""
    moves = space if isinstance(space, Moves) else Moves(space)
    is_forward = kind.endswith("forward")
    opening = [moves.start] if is_forward else [moves.start, moves.everything()]
    rule = Rule() if rule is None else rule
    if kind in ("forward", "backward"):
        return Rounds(moves, rule, opening, width=width, forward=is_forward)
    return FloatingRounds(moves, rule, opening, forward=is_forward, strict=kind.startswith("strict"))


KINDS = ("forward", "backward", "floating_forward", "floating_backward", "strict_forward", "strict_backward")


def searched(engine: Engine, cost: Cost) -> dict[Key, float]:
    """Evaluate what an engine asks for, one after the other, to the end."""
    costs: dict[Key, float] = {}
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
) -> tuple[Engine, dict[Key, float], list[Move]]:
    """Evaluate what an engine asks for by several workers that end in any order; now and then a new process takes over."""
    engine, costs, running = make(), dict[Key, float](), dict[Key, Move]()
    asked: list[Move] = []
    while not engine.is_complete(Table(costs)):
        if chance.random() < 0.1:
            engine = make()
        engine.refresh(Table(costs))
        while len(running) < n_workers and (move := engine.next_move(Table(costs, running))) is not None:
            assert move.key not in costs and move.key not in running
            running[move.key] = move
            asked.append(move)
        key = chance.choice(sorted(running))
        costs[key] = cost(running.pop(key).claim)
    engine.refresh(Table(costs))
    return engine, costs, asked


def lattice(space: SearchSpace | Moves, rule: Rule | None = None, *, kind: str = "forward", width: int = 1) -> Lattice:
    return Lattice(policy(space, rule, kind=kind, width=width))
