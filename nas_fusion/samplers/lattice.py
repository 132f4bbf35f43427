"""Search through the lattice of configurations in rounds: a pure function of what is known and a policy.

The policy says which rounds there are. Everything else is the same for every search in rounds: what is evaluated next,
speculation on rounds to come, the path, and what was used.
"""

from __future__ import annotations

import math
from collections import ChainMap

from nas_fusion.history import Claim
from nas_fusion.samplers.engine import Engine, Key, Known, Move
from nas_fusion.samplers.policy import Front, Met, Node, Policy, cost_of
from nas_fusion.space import Configuration


class Lattice(Engine):
    """The engine that remembers which rounds are over."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self._rule = policy, policy.rule
        self.front = policy.first()
        self._behind: list[Node] = []  # all of the finished rounds
        self._met: Met = {node.key.configuration: node for node in self.front.candidates}
        self._cursor = 0  # how many of the round are known, counted from its first
        self._guessed: list[Front] = []
        self._guessed_by: list[int] = []

    def refresh(self, known: Known) -> None:
        while self.front.candidates:
            nodes = self.front.nodes
            while self._cursor < len(nodes) and known.cost(nodes[self._cursor].key) is not None:
                self._cursor += 1
            if self._cursor < len(nodes):
                return
            self._behind += nodes
            self.front, self._cursor = _meet(self._policy.following(self.front, known, self._met), self._met), 0
            self._guessed, self._guessed_by = [], []

    def next_move(self, known: Known) -> Move | None:
        node = _first_free(self.front.nodes[self._cursor :], known)
        if node is not None:
            return self._move(node, self.front.round)
        for front in self._likely_fronts(known):
            node = _first_free(tuple(n for n in front.nodes if self._is_ready(n, known)), known)
            if node is not None:
                return self._move(node, front.round)
        return None

    def is_complete(self, known: Known) -> bool:
        front, met = self.front, ChainMap({}, self._met)
        while front.candidates and all(known.cost(node.key) is not None for node in front.nodes):
            front = _meet(self._policy.following(front, known, met), met)
        return not front.candidates

    def path(self, known: Known) -> list[Configuration]:
        selected = self._selected(known)
        return [] if selected is None else [*selected.ancestors, selected.configuration]

    def used(self, known: Known) -> list[Key]:
        nodes = (*self._behind, *self.front.nodes)
        return list(dict.fromkeys(node.key for node in nodes if known.cost(node.key) is not None))

    def _likely_fronts(self, known: Known) -> list[Front]:
        """Return the rounds to come as far as they can be guessed: each as if the unknown of the one before were worthless."""
        if self._rule.speculate and self._n_known(known) != self._guessed_by:
            front, met = self.front, ChainMap({}, self._met)
            self._guessed = []
            while front.candidates:
                front = _meet(self._policy.likely(front, known, met), met)
                self._guessed.append(front)
            self._guessed_by = self._n_known(known)
        return self._guessed

    def _n_known(self, known: Known) -> list[int]:
        """Return what the guess depends on: how much is known of each round. What is known stays so."""
        return [sum(known.cost(node.key) is not None for node in front.nodes) for front in (self.front, *self._guessed)]

    def _is_ready(self, node: Node, known: Known) -> bool:
        """Return whether the weights that a node inherits are there, and of a lineage that the search has really come to.

        The latter since a key names no more of the lineage than the parent.
        """
        if node.parent is None or self._rule.inherit == "none":
            return True
        if self._rule.inherit == "baseline":
            return known.cost(node.root.key) is not None
        return known.cost(node.parent.key) is not None and self._met.get(node.parent.key.configuration) is node.parent

    def _move(self, node: Node, round_: int) -> Move:
        parent = None if node.parent is None else node.parent.configuration
        return Move(node.key, Claim(node.configuration, parent, self._lineage(node), round_))

    def _lineage(self, node: Node) -> tuple[Configuration, ...]:
        if self._rule.inherit == "none" or node.parent is None:
            return ()
        return node.ancestors if self._rule.inherit == "parent" else (node.root.configuration,)

    def _selected(self, known: Known) -> Node | None:
        """Return what is selected of the finished rounds, `None` if nothing finite is known."""
        best = self.front.best
        if best is None or math.isinf(cost_of(best, known)):
            return None
        others = {node.key: node for node in self._behind if self._may_be_selected(node, known) and node.key != best.key}
        order = [best, *self._policy.ranked(tuple(others.values()), known)]
        sizes = [len(self._policy.moves.space.active(node.configuration)) for node in order]
        return order[self._rule.acceptance.select([known.losses(node.key) for node in order], sizes)]

    def _may_be_selected(self, node: Node, known: Known) -> bool:
        """Return whether a node is no control, nor worse than its own: then longer training is all that it shows."""
        return not node.key.is_control and self._policy.beats_control(node, known)


def _meet(front: Front, met: Met) -> Front:
    for node in front.candidates:
        met.setdefault(node.key.configuration, node)
    return front


def _first_free(nodes: tuple[Node, ...], known: Known) -> Node | None:
    return next((node for node in nodes if known.cost(node.key) is None and not known.is_claimed(node.key)), None)
