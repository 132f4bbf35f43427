"""Policies of searches in rounds: what the first round evaluates, and what the next one does after a finished round."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from nas_fusion.samplers.acceptance import Acceptance
from nas_fusion.samplers.checks import check_count, check_switch
from nas_fusion.samplers.engine import Key, Known
from nas_fusion.samplers.moves import Moves
from nas_fusion.space import Configuration


@dataclass(frozen=True)
class Rule:
    """What every search in rounds is told.

    Attributes:
        patience: Rounds in a row without improvement after which the search ends, at least 1; `None` for no such end.
        inherit: Where weights come from: `parent`, `baseline` or `none`.
        speculate: Whether to begin the next round where it can be guessed, when all of a round is being evaluated.
        acceptance: When a loss is an improvement, and what is selected in the end.
        control: Whether a move must also improve on its parent trained on without a new module.
    """

    patience: int | None = 1
    inherit: str = "none"
    speculate: bool = True
    acceptance: Acceptance = field(default_factory=Acceptance)
    control: bool = False

    def __post_init__(self) -> None:
        if self.patience is not None:
            check_count("patience", self.patience)
        check_switch("speculate", self.speculate)
        if check_switch("control", self.control) and self.inherit != "parent":
            raise ValueError(f'`control` must go with inherit="parent", but got {self.inherit!r}.')


@dataclass(frozen=True, eq=False)
class Node:
    """A configuration with the way the search came to it. A control is its own parent's configuration once more."""

    configuration: Configuration
    parent: Node | None
    key: Key

    @property
    def ancestors(self) -> tuple[Configuration, ...]:
        """Configurations on the way, the root first, the parent last."""
        way, node = [], self.parent
        while node is not None:
            way.append(node.configuration)
            node = node.parent
        return tuple(reversed(way))

    @property
    def root(self) -> Node:
        """Where the way began."""
        node = self
        while node.parent is not None:
            node = node.parent
        return node


@dataclass(frozen=True)
class Front:
    """Where a search stands between two rounds.

    Attributes:
        round: The round to evaluate.
        candidates: What the round evaluates; empty if the search is complete.
        controls: What the round evaluates beside them: their parents, trained on without a new module.
        best: The best of the finished rounds: what is accepted.
        incumbent: What the next round must improve on: the best, in a search from the other end the best on its way from there.
        stale: Rounds since the incumbent was found.
    """

    round: int
    candidates: tuple[Node, ...]
    controls: tuple[Node, ...] = ()
    best: Node | None = None
    incumbent: Node | None = None
    stale: int = 0

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All that the round evaluates."""
        return self.candidates + self.controls


FrontT = TypeVar("FrontT", bound=Front)
Met = MutableMapping[int, Node]
"""The first node of each configuration that the search has come to, by the configuration's index."""


class Policy(ABC):
    """Which rounds a search consists of: a pure function.

    Args:
        moves: What is searched.
        rule: What every search in rounds is told.
        opening: What is evaluated first, one a round, the root first. The search goes on from the last one, whatever its cost,
            and never comes back to the root.
    """

    def __init__(self, moves: Moves, rule: Rule, opening: Sequence[Configuration]) -> None:
        self.moves, self.rule, self.opening = moves, rule, tuple(dict.fromkeys(opening))

    @property
    @abstractmethod
    def max_evaluations(self) -> int:
        """The largest number of evaluations that the search can ask for."""

    @abstractmethod
    def begun(self, front: Front, node: Node, met: Met) -> Front:
        """Return the front of the first round after the opening, whose last node is given. `met` must not be changed."""

    @abstractmethod
    def continued(self, front: Front, known: Known, met: Met) -> Front:
        """Return the front after a finished round behind the opening. `met` must not be changed."""

    def first(self) -> Front:
        """Return the front before the first evaluation."""
        return Front(0, (self.node(self.opening[0], None),))

    def following(self, front: Front, known: Known, met: Met) -> Front:
        """Return the front after a finished round: everything of it is known."""
        if not self.is_opening(front):
            return self.continued(front, known, met)
        (node,) = front.candidates
        self._check_losses(node, known)
        best = node if front.best is None or self.improves(node, front.best, known) else front.best
        front = Front(front.round + 1, (), (), best, node)
        if self.is_opening(front):
            return replace(front, candidates=(self.node(self.opening[front.round], node),))
        return self.begun(front, node, met)

    def likely(self, front: Front, known: Known, met: Met) -> Front:
        """Return the front after a round of which not everything is known, as if what is unknown turned out worthless."""
        return self.following(front, Worthless(known), met)

    def is_opening(self, front: Front) -> bool:
        """Return whether a round belongs to the opening."""
        return front.round < len(self.opening)

    def is_over(self, front: Front) -> bool:
        """Return whether patience has come to its end."""
        return self.rule.patience is not None and front.stale >= self.rule.patience

    def judged(self, front: FrontT, node: Node | None, known: Known) -> FrontT:
        """Return the front with the best, the incumbent and how stale it is after a round with this result."""
        if node is None or not self.beats_control(node, known):
            return replace(front, stale=front.stale + 1)
        is_better = self.improves(node, front.incumbent, known)
        return replace(
            front,
            best=node if self.improves(node, front.best, known) else front.best,
            incumbent=node if is_better else front.incumbent,
            stale=0 if is_better else front.stale + 1,
        )

    def node(self, configuration: Configuration, parent: Node | None) -> Node:
        """Return the node of a configuration that is reached from a parent, `None` for a root."""
        before = -1 if parent is None or self.rule.inherit != "parent" else parent.key.configuration
        return Node(configuration, parent, Key(self.moves.index(configuration), before))

    def steps(self, node: Node, *, forward: bool) -> list[Configuration]:
        """Return what is one move from a node, except for the root."""
        step = self.moves.forward if forward else self.moves.backward
        return [configuration for configuration in step(node.configuration) if configuration != self.opening[0]]

    def controls(self, candidates: Iterable[Node]) -> tuple[Node, ...]:
        """Return the candidates' parents trained on, if the rule asks for it."""
        parents = dict.fromkeys(node.parent for node in candidates if self.rule.control)
        return tuple(_control(parent) for parent in parents if parent is not None)

    def improves(self, node: Node, incumbent: Node | None, known: Known) -> bool:
        """Return whether a node is an improvement; where no more is demanded, fewer modules at the same cost are one."""
        cost, least, acceptance = cost_of(node, known), cost_of(incumbent, known), self.rule.acceptance
        if incumbent is None or math.isinf(least) or math.isinf(cost):
            return cost < least
        if cost == least and acceptance.rule != "paired" and acceptance.tolerance == 0:
            return self.rank(node, known) < self.rank(incumbent, known)
        return cost < least and acceptance.improves(known.losses(node.key), known.losses(incumbent.key))

    def beats_control(self, node: Node, known: Known) -> bool:
        """Return whether a node improves on its parent trained on without a new module, if the rule asks for it."""
        if not self.rule.control or node.parent is None:
            return True
        return self.improves(node, _control(node.parent), known)

    def ranked(self, nodes: tuple[Node, ...], known: Known) -> list[Node]:
        """Return the nodes of known finite cost, the best first; ties by fewer active modules, then by index."""
        finite = [node for node in nodes if not math.isinf(cost_of(node, known))]
        return sorted(finite, key=lambda node: (*self.rank(node, known), node.key.configuration))

    def rank(self, node: Node, known: Known) -> tuple[float, int]:
        """Return the cost and the number of active parameters: what is less is better."""
        return cost_of(node, known), len(self.moves.space.active(node.configuration))

    def results(self, front: Front, known: Known) -> list[Node]:
        """Return a round's candidates, ranked; those that do not beat their control come after those that do."""
        return sorted(self.ranked(front.candidates, known), key=lambda node: not self.beats_control(node, known))

    def _check_losses(self, node: Node, known: Known) -> None:
        """Raise at the first evaluation what the rule of acceptance would raise in the end, if there are too few losses."""
        losses = known.losses(node.key)
        if losses:
            self.rule.acceptance.improves(losses, ())
            self.rule.acceptance.select([losses], [0])


class Worthless(NamedTuple):
    """What would be known if everything that is unknown turned out worthless."""

    known: Known

    def cost(self, key: Key) -> float:
        """Return what is known, else infinity."""
        cost = self.known.cost(key)
        return math.inf if cost is None else cost

    def losses(self, key: Key) -> tuple[float, ...]:
        """Return what is known."""
        return self.known.losses(key)

    def is_claimed(self, key: Key) -> bool:
        """Return whether somebody is evaluating it."""
        return self.known.is_claimed(key)

    def rounds(self) -> Mapping[Key, int]:
        """Return what searches chose, with the round in which they did."""
        return self.known.rounds()

    def settled(self) -> Iterable[Key]:
        """Return the keys that have a cost."""
        return self.known.settled()


def cost_of(node: Node | None, known: Known) -> float:
    """Return the cost of a node, infinite for none and where nothing is known."""
    cost = None if node is None else known.cost(node.key)
    return math.inf if cost is None else cost


def _control(node: Node) -> Node:
    """Return a node trained on without a new module."""
    return Node(node.configuration, node, Key(node.key.configuration, node.key.configuration))
