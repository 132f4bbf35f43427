"""The rounds of floating search: a step along, then steps back as long as they find a better set of their size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nas_fusion.samplers.engine import Known
from nas_fusion.samplers.moves import Moves
from nas_fusion.samplers.policy import Front, Met, Node, Policy, Rule
from nas_fusion.space import Configuration


@dataclass(frozen=True)
class FloatingFront(Front):
    """Where a floating search stands between two rounds.

    Attributes:
        current: What the round's moves start from.
        barred: If the round looks for a step back, choices that must not come back: first those that the last step along
            changed, then none.
        records: The best node of each size that the search has gone through.
    """

    current: Node | None = None
    barred: Mapping[str, str] | None = None
    records: Mapping[int, Node] = field(default_factory=dict)


@dataclass(frozen=True)
class Back:
    """What a step back may be.

    Attributes:
        strict: Whether it must also improve on what it is taken from, and none ever undoes the last step along.
        changes: Whether it may also exchange one choice for another that is not off.
    """

    strict: bool = False
    changes: bool = False


class FloatingRounds(Policy):
    """Goes along in one direction by the best move, whatever its cost, and steps back after each such move.

    Each configuration has one node: where the search comes to one again, what is known of it counts.

    Source: Pudil, Novovicova and Kittler, Floating search methods in feature selection, Pattern Recognition Letters 15 (1994).

    Args:
        moves: What is searched.
        rule: What every search in rounds is told. Patience counts steps along.
        opening: What is evaluated first, see `Policy`.
        forward: Whether moves along switch on, not off.
        back: What a step back may be.
    """

    def __init__(
        self, moves: Moves, rule: Rule, opening: Sequence[Configuration], *, forward: bool = True, back: Back | None = None
    ) -> None:
        super().__init__(moves, rule, opening)
        self._forward, self._back_rule = forward, Back() if back is None else back

    @property
    def max_evaluations(self) -> int:
        return self.moves.n_configurations * (1 + self.rule.control)

    def begun(self, front: Front, node: Node, met: Met) -> Front:
        records = {self._size(node): node}
        opened = FloatingFront(front.round, (), (), front.best, front.incumbent, front.stale, node, records=records)
        return self._along(opened, node, met)

    def continued(self, front: Front, known: Known, met: Met) -> Front:
        assert isinstance(front, FloatingFront) and front.current is not None, "Should not reach."
        current = front.current
        results = self.results(front, known)
        front = replace(front, round=front.round + 1, candidates=(), controls=())
        if front.barred is None:
            result = next(iter(results), None)
            judged = self.judged(front, result, known)
            if result is None or self.is_over(judged):
                return judged
            old, new = current.configuration, result.configuration
            changed = {parameter: choice for parameter, choice in old.items() if choice != new[parameter]}
            return self._back(self._recorded(judged, result, known), result, changed, met)
        result = self._step_back(front, results, known)
        if result is None:
            return self._along(front, current, met)
        judged = self.judged(front, result, known)
        judged = replace(judged, stale=min(judged.stale, front.stale))
        barred = front.barred if self._back_rule.strict else {}
        return self._back(self._recorded(judged, result, known), result, barred, met)

    def _step_back(self, front: FloatingFront, results: Sequence[Node], known: Known) -> Node | None:
        """Return the best of the moves, ranked, that is worth it; of one size only the best can be."""
        of_size: dict[int, Node] = {}
        for node in results:
            of_size.setdefault(self._size(node), node)
        return next((node for node in of_size.values() if self._is_worth_it(front, node, known)), None)

    def _is_worth_it(self, front: FloatingFront, node: Node, known: Known) -> bool:
        """Return whether a step back is taken; where its size is new there is only what it is taken from to compare with."""
        record = front.records.get(self._size(node), front.current)
        return (
            self.improves(node, record, known)
            and self.beats_control(node, known)
            and (not self._back_rule.strict or self.improves(node, front.current, known))
        )

    def _recorded(self, front: FloatingFront, node: Node, known: Known) -> FloatingFront:
        record = front.records.get(self._size(node))
        if record is not None and self.rank(record, known) <= self.rank(node, known):
            return front  # each step back lowers a record: the search ends
        return replace(front, records={**front.records, self._size(node): node})

    def _along(self, front: FloatingFront, current: Node, met: Met) -> FloatingFront:
        steps = self.steps(current, forward=self._forward)
        return self._expanded(replace(front, current=current, barred=None), steps, met)

    def _back(self, front: FloatingFront, current: Node, barred: Mapping[str, str], met: Met) -> FloatingFront:
        steps = self.steps(current, forward=not self._forward)
        if self._back_rule.changes:
            steps += self.moves.changes(current.configuration)
        root = self.opening[0]
        steps = [step for step in steps if step != root and all(step[p] != choice for p, choice in barred.items())]
        if not steps:
            return self._along(front, current, met)
        return self._expanded(replace(front, current=current, barred=barred), steps, met)

    def _expanded(self, front: FloatingFront, steps: Sequence[Configuration], met: Met) -> FloatingFront:
        nodes = (self.node(configuration, front.current) for configuration in steps)
        candidates = tuple(met.get(node.key.configuration, node) for node in nodes)
        return replace(front, candidates=candidates, controls=self.controls(candidates))

    def _size(self, node: Node) -> int:
        return self.moves.n_active(node.configuration)
