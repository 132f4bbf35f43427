"""What is on the lattice of a comparison: configurations in columns, the moves between them, each search's tree and path."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.naming import count_of_configurations, points, short_points
from nas_fusion.space import Configuration, SearchSpace

MOST = 100  # in larger spaces only what was evaluated is drawn
Edge = tuple[Configuration, Configuration]


@dataclass(frozen=True)
class Node:
    """A configuration on the lattice.

    Attributes:
        configuration: Which.
        label: Its short name, such as `1+3`.
        title: Its name.
        x: Number of active points.
        y: Height in [-1, 1].
        loss: On the landscape, else as first evaluated, in nats; `None` if unknown.
        tried_by: Names of the searches that evaluated it.
        accepted_by: Names of those on whose path it lies.
    """

    configuration: Configuration
    label: str
    title: str
    x: float
    y: float
    loss: float | None
    tried_by: tuple[str, ...]
    accepted_by: tuple[str, ...]


@dataclass(frozen=True)
class LatticeInfo:
    """What is drawn.

    Attributes:
        nodes: By index.
        moves: All single forward moves between them.
        trees: Search to the edges (parent, candidate) of its tree, those of its path left out; empty for a search that does not
            move through the lattice, such as an exhaustive one.
        paths: Search to the edges of its accepted path, empty for one that does not move.
        everything: Searches that evaluated every configuration.
        optimum: The best of all, `None` where not everything is known.
        left_out: Number of configurations that are not drawn; of a space that is too large to count, with all that are not
            canonical.
    """

    nodes: tuple[Node, ...]
    moves: tuple[Edge, ...]
    trees: Mapping[str, tuple[Edge, ...]]
    paths: Mapping[str, tuple[Edge, ...]]
    everything: frozenset[str]
    optimum: Configuration | None
    left_out: int

    @property
    def tallest(self) -> int:
        """Number of nodes in the fullest column."""
        return max(Counter(node.x for node in self.nodes).values())


def lattice_info(comparison: Comparison) -> LatticeInfo:
    """Return what is on the lattice of a comparison.

    Of a space of more than 100 configurations only what was evaluated is there, and of that nothing that only a search which
    evaluated everything has seen, unless there is no other search.
    """
    space, landscape = comparison.space, comparison.landscape
    total = count_of_configurations(space)
    everything = frozenset(arm.name for arm in comparison.searches if len(_tried(arm)) == total)
    optimum = landscape.optimum if landscape is not None and landscape.complete else None
    ordered = sorted(_shown(comparison, everything, total), key=space.index)
    drawn = set(ordered)
    moves = tuple((parent, child) for parent in ordered for child in space.forward_moves(parent) if child in drawn)
    losses = {e.configuration: e.value for arm in reversed(comparison.searches) for e in arm.evaluations if e.configuration}
    losses |= {} if landscape is None else dict(landscape.losses)
    place = _places(ordered, moves, {c: len(space.active(c)) for c in ordered})
    return LatticeInfo(
        nodes=tuple(_node(comparison, c, place[c], losses.get(c)) for c in ordered),
        moves=moves,
        trees={arm.name: _tree(space, arm) for arm in comparison.searches},
        paths={arm.name: _path(space, arm) for arm in comparison.searches},
        everything=everything,
        optimum=optimum,
        left_out=total - len(ordered),
    )


def is_move(space: SearchSpace, edge: Edge) -> bool:
    """Return whether an edge changes one parameter (with what follows from that), forward or back."""
    a, b = edge
    return sum(a[p] != b[p] for p in space.parameters) == 1 or b in space.forward_moves(a) or a in space.forward_moves(b)


def lanes(edges: Mapping[str, Sequence[Edge]], widths: Mapping[str, float], gap: float) -> dict[tuple[str, Edge], float]:
    """Return by how much each stroke is moved aside so that strokes between the same two nodes lie side by side.

    Args:
        edges: Stroke to its edges.
        widths: Stroke to its width.
        gap: Between two strokes, in the same unit.

    Returns:
        Stroke and edge to the distance of the stroke's middle from the line between the nodes; their middles balance.
    """
    users: dict[frozenset[Configuration], list[tuple[str, Edge]]] = {}
    for stroke, drawn in edges.items():
        for edge in drawn:
            users.setdefault(frozenset(edge), []).append((stroke, edge))
    shifts: dict[tuple[str, Edge], float] = {}
    for shared in users.values():
        left = -(sum(widths[stroke] for stroke, _ in shared) + gap * (len(shared) - 1)) / 2
        for stroke, edge in shared:
            shifts[stroke, edge] = left + widths[stroke] / 2
            left += widths[stroke] + gap
    return shifts


def _shown(comparison: Comparison, everything: frozenset[str], total: int) -> set[Configuration]:
    space = comparison.space
    if total <= MOST:
        return set(space.configurations())
    others = [arm for arm in comparison.searches if arm.name not in everything] or comparison.searches
    chosen = {c for arm in comparison.searches for c in arm.path}
    best = {comparison.landscape.optimum} if comparison.landscape is not None and comparison.landscape.complete else set()
    return {space.baseline} | chosen | best | {c for arm in others for c in _tried(arm)}


def _tried(arm: Arm) -> set[Configuration]:
    finished = {e.configuration for e in arm.evaluations if e.configuration is not None}
    return finished | {each.configuration for each in arm.unfinished}


def _node(comparison: Comparison, configuration: Configuration, place: tuple[float, float], loss: float | None) -> Node:
    space = comparison.space
    return Node(
        configuration,
        short_points(space, configuration),
        points(space, configuration),
        *place,
        loss,
        tuple(arm.name for arm in comparison.searches if configuration in _tried(arm)),
        tuple(arm.name for arm in comparison.searches if configuration in arm.path),
    )


def _tree(space: SearchSpace, arm: Arm) -> tuple[Edge, ...]:
    return tuple(edge for edge in _edges(space, arm) if edge not in set(pairwise(arm.path)))


def _path(space: SearchSpace, arm: Arm) -> tuple[Edge, ...]:
    return tuple(dict.fromkeys(pairwise(arm.path))) if _edges(space, arm) else ()


def _edges(space: SearchSpace, arm: Arm) -> tuple[Edge, ...]:
    """From parents to candidates; none where all start from the baseline however far away they are: that is no tree."""
    finished = ((parent, e.configuration) for parent, e in zip(arm.parents, arm.evaluations, strict=False))
    unfinished = ((each.parent, each.configuration) for each in arm.unfinished)
    pairs = dict.fromkeys((*finished, *unfinished))
    edges = tuple((a, b) for a, b in pairs if a is not None and b is not None and a != b)
    moves_on = any(parent != space.baseline for parent, _ in edges)
    return edges if moves_on or all(is_move(space, edge) for edge in edges) else ()


def _places(
    ordered: list[Configuration], moves: Iterable[Edge], layer: dict[Configuration, int]
) -> dict[Configuration, tuple[float, float]]:
    """Place configurations in columns by layer, shorter columns wider apart; within one the lowest index is at the top."""
    graph = nx.DiGraph()
    for configuration in ordered:
        graph.add_node(configuration, layer=layer[configuration])
    graph.add_edges_from(moves)
    layout = nx.multipartite_layout(graph, subset_key="layer", align="vertical")
    heights = {configuration: float(y) for configuration, (_, y) in layout.items()}
    tallest = max(map(abs, heights.values())) or 1.0
    fullest = max(Counter(layer.values()).values())
    places: dict[Configuration, tuple[float, float]] = {}
    for number in set(layer.values()):
        column = [configuration for configuration in ordered if layer[configuration] == number]
        stretch = math.sqrt(fullest / len(column)) / tallest
        descending = sorted((heights[configuration] * stretch for configuration in column), reverse=True)
        places |= {configuration: (float(number), y) for configuration, y in zip(column, descending, strict=True)}
    return places
