"""The rounds of greedy, beam and backward search: every move of the survivors of the round before, in one direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import comb

from nas_fusion.samplers.checks import check_count
from nas_fusion.samplers.engine import Known
from nas_fusion.samplers.moves import Moves
from nas_fusion.samplers.policy import Front, Met, Node, Policy, Rule, Worthless
from nas_fusion.space import Configuration


class Rounds(Policy):
    """Each round evaluates every move of the survivors of the round before; the best of them survive.

    With one survivor and moves forward this is SFSA (arXiv 2505.02467, section III.D), with more beam search, with moves back
    backward elimination.

    Args:
        moves: What is searched.
        rule: What every search in rounds is told.
        opening: What is evaluated first, see `Policy`.
        width: Survivors of a round, at least 1.
        forward: Whether moves switch on, not off.
    """

    def __init__(
        self, moves: Moves, rule: Rule, opening: Sequence[Configuration], *, width: int = 1, forward: bool = True
    ) -> None:
        super().__init__(moves, rule, opening)
        self._width, self._forward = check_count("width", width), forward

    @property
    def width(self) -> int:
        """Survivors of a round."""
        return self._width

    def begun(self, front: Front, node: Node, met: Met) -> Front:
        return self._expanded(front, [node], met)

    def continued(self, front: Front, known: Known, met: Met) -> Front:
        results = self.results(front, known)
        front = self.judged(front, next(iter(results), None), known)
        front = replace(front, round=front.round + 1)
        return self._expanded(front, [] if self.is_over(front) else results[: self._width], met)

    def likely(self, front: Front, known: Known, met: Met) -> Front:
        likely = super().likely(front, known, met)
        if likely.candidates or self.is_opening(front) or all(known.cost(node.key) is not None for node in front.nodes):
            return likely
        # If the round goes on after all, then because of one that is still unknown: it takes a survivor's place.
        return self._expanded(likely, self.results(front, Worthless(known))[: self._width - 1], met)

    @property
    def max_evaluations(self) -> int:
        total, n_survivors = len(self.opening), 1
        for n_configurations, n_moves in self._levels():
            total += min(n_configurations, n_survivors * n_moves) + self.rule.control * n_survivors
            n_survivors = min(self._width, n_configurations)
        return total

    def _levels(self) -> Iterator[tuple[int, int]]:
        """Yield of each round at most how many configurations there are, and how many moves a survivor has.

        In a forward search the former is an elementary symmetric polynomial of the points' numbers of modules.
        """
        if not self._forward:
            n = self.moves.n_active(self.opening[-1])
            yield from ((comb(n, t), n - t + 1) for t in range(1, n))
            return
        modules = sorted(self.moves.n_modules(self.opening[-1]), reverse=True)
        at_level = [1] + [0] * len(modules)
        for n in modules:
            at_level = [a + n * b for a, b in zip(at_level, [0, *at_level], strict=False)]
        yield from ((at_level[t], sum(modules[: len(modules) - t + 1])) for t in range(1, len(modules) + 1))

    def _expanded(self, front: Front, survivors: Sequence[Node], met: Met) -> Front:
        """Return a front that evaluates the moves of survivors, better ones first: what two reach belongs to the better one.

        A move back may switch off several parameters that have no effect alone; what it reaches can have been met before.
        """
        reached: dict[int, Node] = {}
        for survivor in survivors:
            for configuration in self.steps(survivor, forward=self._forward):
                node = self.node(configuration, survivor)
                if node.key.configuration not in met:
                    reached.setdefault(node.key.configuration, node)
        candidates = tuple(reached.values())
        return replace(front, candidates=candidates, controls=self.controls(candidates))
