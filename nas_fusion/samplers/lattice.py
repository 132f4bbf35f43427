"""Search through the lattice of configurations in rounds of forward moves: a pure function of space, history and rule.

Round 0 evaluates the baseline. Round t evaluates every forward move of the survivors of round t-1; the best of them survive.
With one survivor this is SFSA (arXiv 2505.02467, section III.D), otherwise beam search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas_fusion.history import Claim
from nas_fusion.samplers.engine import Engine, Key, Known, Move, key_of
from nas_fusion.space import Configuration, SearchSpace


@dataclass(frozen=True)
class Rule:
    """What a search in rounds is told.

    Attributes:
        width: Survivors of a round, at least 1.
        tolerance: How much better than the best so far a round's best must be, at least 0.
        patience: Rounds in a row without improvement after which the search ends, at least 1.
        inherit: Where weights come from: `parent`, `baseline` or `none`.
        speculate: Whether to begin the next round where it can be guessed, when all of a round is being evaluated.
    """

    width: int = 1
    tolerance: float = 0.0
    patience: int = 1
    inherit: str = "none"
    speculate: bool = True

    def __post_init__(self) -> None:
        for name in ("width", "patience"):
            if not isinstance(getattr(self, name), int):
                raise ValueError(f"`{name}` must be a whole number, but got {getattr(self, name)}.")
        for name, least in (("width", 1), ("patience", 1), ("tolerance", 0)):
            if not getattr(self, name) >= least or math.isinf(getattr(self, name)):
                raise ValueError(f"`{name}` must be a finite number of at least {least}, but got {getattr(self, name)}.")


@dataclass(frozen=True, eq=False)
class Node:
    """A configuration with the way the search came to it."""

    configuration: Configuration
    parent: Node | None
    key: Key

    @property
    def ancestors(self) -> tuple[Configuration, ...]:
        """Configurations on the way, the root first, the parent last."""
        return () if self.parent is None else (*self.parent.ancestors, self.parent.configuration)


@dataclass(frozen=True)
class Front:
    """Where a search stands between two rounds.

    Attributes:
        round: The round to evaluate.
        candidates: What the round evaluates; empty if the search is complete.
        best: The best node of the finished rounds.
        best_cost: Its cost, infinite if nothing had a finite one.
        stale: Rounds since it was found.
        behind: The nodes of the finished rounds.
    """

    round: int
    candidates: tuple[Node, ...]
    best: Node | None = None
    best_cost: float = math.inf
    stale: int = 0
    behind: tuple[Node, ...] = ()


def start(space: SearchSpace, rule: Rule) -> Front:
    """Return the front before the first evaluation: the baseline."""
    return Front(0, (_node(space, space.baseline, None, rule),))


def advance(space: SearchSpace, front: Front, known: Known, rule: Rule) -> Front:
    """Return the front after as many finished rounds as are known."""
    while front.candidates and all(known.cost(node.key) is not None for node in front.candidates):
        front = _finish_round(space, front, known, rule)
    return front


def next_node(space: SearchSpace, front: Front, known: Known, rule: Rule) -> tuple[int, Node] | None:
    """Return the next node to evaluate, with its round: the first one free of this round, or else of a likely next round."""
    node = _first_free(front.candidates, known)
    if node is not None:
        return front.round, node
    if not rule.speculate or not front.candidates:
        return None
    node = _first_free(_expand(space, _likely_survivors(space, front, known, rule), rule), known)
    return None if node is None else (front.round + 1, node)


def max_evaluations(space: SearchSpace, width: int) -> int:
    """Return the largest number of evaluations that a search of a width can ask for.

    In round t no more than `width` survivors move at the points they have left, and no more than all configurations with t
    active points (an elementary symmetric polynomial of the numbers of modules) can be met.
    """
    modules = sorted((len(choices) - 1 for choices in space.parameters.values()), reverse=True)
    at_level = [1] + [0] * len(modules)
    for n in modules:
        at_level = [a + n * b for a, b in zip(at_level, [0, *at_level], strict=False)]
    m = len(modules)
    rounds = (min(at_level[t], (width if t > 1 else 1) * sum(modules[: m - t + 1])) for t in range(1, m + 1))
    return 1 + sum(rounds)


class Lattice(Engine):
    """The engine that remembers which rounds are over."""

    def __init__(self, space: SearchSpace, rule: Rule) -> None:
        self._space, self._rule = space, rule
        self._front = start(space, rule)

    def refresh(self, known: Known) -> None:
        self._front = advance(self._space, self._front, known, self._rule)

    def next_move(self, known: Known) -> Move | None:
        found = next_node(self._space, self._front, known, self._rule)
        if found is None:
            return None
        round_, node = found
        parent = None if node.parent is None else node.parent.configuration
        return Move(node.key, Claim(node.configuration, parent, self._lineage(node), round_))

    def is_complete(self, known: Known) -> bool:
        return not advance(self._space, self._front, known, self._rule).candidates

    def path(self, known: Known) -> list[Configuration]:
        best = self._front.best
        return [] if best is None or math.isinf(self._front.best_cost) else [*best.ancestors, best.configuration]

    def used(self, known: Known) -> list[Key]:
        nodes = (*self._front.behind, *self._front.candidates)
        return list(dict.fromkeys(node.key for node in nodes if known.cost(node.key) is not None))

    def _lineage(self, node: Node) -> tuple[Configuration, ...]:
        return {"parent": node.ancestors, "baseline": node.ancestors[:1], "none": ()}[self._rule.inherit]


def _node(space: SearchSpace, configuration: Configuration, parent: Node | None, rule: Rule) -> Node:
    before = None if parent is None else parent.configuration
    return Node(configuration, parent, key_of(space, configuration, before, rule.inherit))


def _first_free(nodes: tuple[Node, ...], known: Known) -> Node | None:
    return next((node for node in nodes if known.cost(node.key) is None and not known.is_claimed(node.key)), None)


def _expand(space: SearchSpace, survivors: tuple[Node, ...], rule: Rule) -> tuple[Node, ...]:
    """Return the moves of the survivors, better ones first: what two of them reach belongs to the better one."""
    reached: dict[Configuration, Node] = {}
    for survivor in survivors:
        for configuration in space.forward_moves(survivor.configuration):
            if configuration not in reached:
                reached[configuration] = _node(space, configuration, survivor, rule)
    return tuple(reached.values())


def _ranked(space: SearchSpace, front: Front, known: Known) -> list[tuple[float, Node]]:
    """Return the round's candidates of known finite cost, the best first; ties by fewer active modules, then by index."""
    costs = ((known.cost(node.key), node) for node in front.candidates)
    finite = [(cost, node) for cost, node in costs if cost is not None and not math.isinf(cost)]
    return sorted(finite, key=lambda pair: (pair[0], len(space.active(pair[1].configuration)), pair[1].key.configuration))


def _improves(ranked: list[tuple[float, Node]], front: Front, rule: Rule) -> bool:
    return bool(ranked) and ranked[0][0] < front.best_cost - rule.tolerance


def _finish_round(space: SearchSpace, front: Front, known: Known, rule: Rule) -> Front:
    ranked = _ranked(space, front, known)
    behind = front.behind + front.candidates
    survivors = tuple(node for _, node in ranked[: rule.width])
    if front.round == 0:  # the search goes on from the baseline even if nothing is known of its loss
        best, best_cost, stale, survivors = front.candidates[0], ranked[0][0] if ranked else math.inf, 0, front.candidates
    elif _improves(ranked, front, rule):
        (best_cost, best), stale = ranked[0], 0
    else:
        assert front.best is not None
        best, best_cost, stale = front.best, front.best_cost, front.stale + 1
    candidates = () if stale >= rule.patience else _expand(space, survivors, rule)
    return Front(front.round + 1, candidates, best, best_cost, stale, behind)


def _likely_survivors(space: SearchSpace, front: Front, known: Known, rule: Rule) -> tuple[Node, ...]:
    """Return those who would survive if no other candidate of the round were better than what is known.

    A candidate that others may inherit from is only taken when it has been evaluated.
    """
    if front.round == 0:
        return front.candidates if rule.inherit == "none" else ()
    ranked = _ranked(space, front, known)
    continues = _improves(ranked, front, rule) or front.stale + 1 < rule.patience
    # If the round goes on only because of a candidate that is still unknown, that one takes a survivor's place.
    return tuple(node for _, node in ranked[: rule.width if continues else rule.width - 1])
