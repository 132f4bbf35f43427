"""How deceptive a landscape is: where searches by single moves stop, and whether the optimum is within their reach."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_fusion.analysis.landscape import Landscape
from nas_fusion.space import Configuration, SearchSpace

MOVES = ("forward", "backward", "all")
"""The kinds of moves: forward (a parameter is switched on), backward (off), all (these, and a change of an active choice)."""


@dataclass(frozen=True)
class Deceptiveness:
    """What single moves can and cannot reach on a landscape.

    A local optimum of a kind of moves is a configuration from which no such move lowers the loss. Its basin are the
    configurations from which steepest descent ends there: always to the best neighbour, as long as that is better.

    Attributes:
        optima: What counts as the optimum, the best first: all that cannot be told from it.
        path: The greedy search's: steepest descent by forward moves, from the baseline on.
        regret: How far the end of `path` is above the minimum, in nats.
        is_trapped: Whether the end of `path` is none of `optima`.
        is_reachable: Whether one of `optima` is reached from the baseline by forward moves that lower the loss each, by
            whichever: then a search of more than one path can find it without ever accepting a worse one.
        barrier: The least rise of the loss that a single forward move must be allowed for that, in nats: 0 where `is_reachable`
            (or where only moves without any change stand in between), infinite where forward moves do not lead there at all.
        basins: For each kind of moves its local optima, the best first, each with the size of its basin: the sizes sum to the
            number of configurations.
    """

    optima: tuple[Configuration, ...]
    path: tuple[Configuration, ...]
    regret: float
    is_trapped: bool
    is_reachable: bool
    barrier: float
    basins: Mapping[str, Mapping[Configuration, int]]


@dataclass(frozen=True)
class Escape:
    """What another search would have found on a landscape, and at what price.

    Attributes:
        sampler: Its name, as `load_sampler` takes it.
        options: Its options.
        evaluations: How many evaluations it takes to its end.
        found_after: After how many of these it had seen an optimum, `None` if it never did.
        regret: How far what it selects is above the minimum, in nats.
        finds: Whether what it selects cannot be told from the optimum.
        order: What it evaluates, one after the other.
    """

    sampler: str
    options: Mapping[str, Any] = field(default_factory=dict)
    evaluations: int = 0
    found_after: int | None = None
    regret: float = math.inf
    finds: bool = False
    order: tuple[Configuration, ...] = ()


def cheapest(escapes: Iterable[Escape]) -> Escape | None:
    """Return the escape that finds the optimum with the fewest evaluations, the first of equal ones; `None` if none does."""
    return min((escape for escape in escapes if escape.finds), key=lambda escape: escape.evaluations, default=None)


def deceptiveness(landscape: Landscape, *, standard_errors: float = 0.0) -> Deceptiveness:
    """Return what single moves can and cannot reach on a landscape.

    Args:
        landscape: Complete.
        standard_errors: So many standard errors above the minimum still count as the optimum, see `Landscape.optima`.

    Raises:
        ValueError: If a configuration is missing, or `standard_errors` is negative.
    """
    landscape.check_complete()
    lattice = _Lattice(landscape)
    optima = landscape.optima(standard_errors=standard_errors)
    path = [lattice.configurations[node] for node in lattice.descent(lattice.node[landscape.space.baseline])]
    barriers = lattice.barriers()
    barrier = min(barriers.get(lattice.node[optimum], math.inf) for optimum in optima)
    return Deceptiveness(
        optima=optima,
        path=tuple(path),
        regret=landscape.regret(path[-1]),
        is_trapped=path[-1] not in optima,
        is_reachable=barrier < 0,
        barrier=max(0.0, barrier),
        basins={kind: lattice.basins(kind) for kind in MOVES},
    )


class _Lattice:
    """A complete landscape as a graph: configurations by number, and for each kind of moves where they lead.

    Args:
        landscape: Complete.
    """

    def __init__(self, landscape: Landscape) -> None:
        self.space = landscape.space
        self.configurations = list(landscape.losses)
        self.losses = list(landscape.losses.values())
        self.node = {configuration: node for node, configuration in enumerate(self.configurations)}
        self.size = [len(self.space.active(configuration)) for configuration in self.configurations]
        # Configurations stand by index, so a node's number is the last tie rule.
        order = sorted(range(len(self.losses)), key=lambda node: (self.losses[node], self.size[node], node))
        self.best_first = order
        self.rank = [0] * len(order)
        for rank, node in enumerate(order):
            self.rank[node] = rank
        self.moves = {kind: [self._moves(kind, node) for node in range(len(order))] for kind in MOVES}

    def _moves(self, kind: str, node: int) -> list[int]:
        if self.space.is_constrained:
            return [self.node[other] for other in _MOVES[kind](self.space, self.configurations[node])]
        found, radix = [], 1
        for choices in self.space.parameters.values():
            digit = node // radix % len(choices)
            changed = {"forward": range(1, len(choices)) if digit == 0 else (), "backward": (0,) if digit else ()}
            found += [node + (other - digit) * radix for other in changed.get(kind, range(len(choices))) if other != digit]
            radix *= len(choices)
        return found

    def step(self, kind: str, node: int) -> int:
        """Return the best neighbour of a node, or the node itself where none has a lower loss."""
        best = min(self.moves[kind][node], key=self.rank.__getitem__, default=node)
        return best if self.losses[best] < self.losses[node] else node

    def descent(self, node: int) -> list[int]:
        """Return the nodes of steepest descent by forward moves, the given one first."""
        path = [node]
        while (following := self.step("forward", path[-1])) != path[-1]:
            path.append(following)
        return path

    def basins(self, kind: str) -> dict[Configuration, int]:
        """Return the local optima, the best first, with the number of nodes whose steepest descent ends there."""
        ends = list(range(len(self.losses)))
        for node in self.best_first:  # a descent goes to what has been settled already
            ends[node] = ends[following] if (following := self.step(kind, node)) != node else node
        sizes = Counter(ends)
        return {self.configurations[node]: sizes[node] for node in self.best_first if node in sizes}

    def barriers(self) -> dict[int, float]:
        """Return for what forward moves lead to from the baseline the least possible rise of the steepest move on the way.

        It is negative where each move lowers the loss, and minus infinity for the baseline itself. A forward move adds one
        active parameter, so by their number the nodes come in an order in which every way is known before it is used.
        """
        barriers = {self.node[self.space.baseline]: -math.inf}
        for node in sorted(range(len(self.losses)), key=self.size.__getitem__):
            for following in self.moves["forward"][node] if node in barriers else ():
                rise = max(barriers[node], self.losses[following] - self.losses[node])
                barriers[following] = min(rise, barriers.get(following, math.inf))
        return barriers


def _changes(space: SearchSpace, configuration: Configuration) -> list[Configuration]:
    changed = (
        space.canonical(configuration.with_choices({parameter: choice}))
        for parameter, choices in space.parameters.items()
        for choice in choices
    )
    return [other for other in dict.fromkeys(changed) if other != configuration]


_MOVES: Mapping[str, Callable[[SearchSpace, Configuration], list[Configuration]]] = {
    "forward": SearchSpace.forward_moves,
    "backward": SearchSpace.backward_moves,
    "all": _changes,
}
