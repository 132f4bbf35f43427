"""The lattice of configurations, layered by the number of active parameters, with the searches' trees and paths on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx
import plotly.graph_objects as go

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.naming import points, short_points
from nas_fusion.space import Configuration
from nas_fusion.visualization.style import GRID, INK, PALE, colour, new_figure

_ALL = 100  # in larger spaces only what was evaluated is drawn
_LABELLED = 40  # with more nodes names are shown on hovering only
Edge = tuple[Configuration, Configuration]


@dataclass(frozen=True)
class _Node:
    """A configuration on the lattice: its names, its place, its loss (`None` if unknown), and the searches that tried it."""

    configuration: Configuration
    label: str
    title: str
    x: float
    y: float
    loss: float | None
    tried_by: tuple[str, ...]


@dataclass(frozen=True)
class _LatticeInfo:
    """What is drawn: nodes by index, all moves between them, and for each search its tree and its path as edges."""

    nodes: tuple[_Node, ...]
    moves: tuple[Edge, ...]
    trees: dict[str, tuple[Edge, ...]]
    paths: dict[str, tuple[Edge, ...]]
    optimum: Configuration | None


def lattice_figure(comparison: Comparison) -> go.Figure:
    """Return the lattice: left the baseline, one parameter more in each column, darker where the loss is lower.

    A thin line leads from a parent to a candidate that the search tried, a thick one along the path that it accepted. Beyond
    the first search's, trees wait in the legend. In spaces of more than 100 configurations only those evaluated are drawn.
    """
    info = _get_lattice_info(comparison)
    place = {node.configuration: (node.x, node.y) for node in info.nodes}
    figure = new_figure(height=_height(info), hovermode="closest")
    figure.add_trace(_lines(info.moves, place, "all moves", {"color": GRID, "width": 1}, visible=True, legend=False))
    for position, arm in enumerate(comparison.searches):
        shift = 0.012 * (position - (len(comparison.searches) - 1) / 2)
        shifted = {configuration: (x, y + shift) for configuration, (x, y) in place.items()}
        strokes = ((info.trees, "tried", 1.4, position == 0), (info.paths, "accepted", 5, _by_moves(comparison, arm)))
        for edges, word, width, visible in strokes:
            line = {"color": colour(position), "width": width}
            figure.add_trace(_lines(edges[arm.name], shifted, f"{arm.title}: {word}", line, visible=visible))
    figure.add_traces(_markers(info))
    if info.optimum is not None:
        figure.add_trace(_star(*place[info.optimum]))
    if len(info.nodes) <= _LABELLED:
        _label(figure, info)
    layers = max(round(node.x) for node in info.nodes)
    figure.update_xaxes(
        title="active fusion points", tickvals=list(range(layers + 1)), showgrid=False, range=[-0.5, layers + 0.5]
    )
    return figure.update_yaxes(visible=False, range=_reach(info))


def _get_lattice_info(comparison: Comparison) -> _LatticeInfo:
    space = comparison.space
    evaluated = {e.configuration: e.value for arm in reversed(comparison.searches) for e in arm.evaluations if e.configuration}
    losses = evaluated | dict(comparison.landscape.losses if comparison.landscape else {})
    shown = set(losses) | {space.baseline} | (set(space.configurations()) if space.size <= _ALL else set())
    ordered = sorted(shown, key=space.index)
    moves = tuple((parent, child) for parent in ordered for child in space.forward_moves(parent) if child in shown)
    place = _places(ordered, moves, {c: len(space.active(c)) for c in ordered})
    return _LatticeInfo(
        nodes=tuple(
            _Node(
                c,
                short_points(space, c),
                points(space, c),
                *place[c],
                losses.get(c),
                tuple(arm.name for arm in comparison.searches if any(e.configuration == c for e in arm.evaluations)),
            )
            for c in ordered
        ),
        moves=moves,
        trees={arm.name: _tree(arm) for arm in comparison.searches},
        paths={arm.name: tuple(pairwise(arm.path)) for arm in comparison.searches},
        optimum=comparison.landscape.optimum if comparison.landscape and comparison.landscape.complete else None,
    )


def _places(
    ordered: list[Configuration], moves: Iterable[Edge], layer: dict[Configuration, int]
) -> dict[Configuration, tuple[float, float]]:
    """Place configurations in columns by layer; within a column the lowest index is at the top."""
    graph = nx.DiGraph()
    for configuration in ordered:
        graph.add_node(configuration, layer=layer[configuration])
    graph.add_edges_from(moves)
    layout = nx.multipartite_layout(graph, subset_key="layer", align="vertical")
    heights = {configuration: float(y) for configuration, (_, y) in layout.items()}
    tallest = max(map(abs, heights.values())) or 1.0
    places: dict[Configuration, tuple[float, float]] = {}
    for number in set(layer.values()):
        column = [configuration for configuration in ordered if layer[configuration] == number]
        descending = sorted((heights[configuration] / tallest for configuration in column), reverse=True)
        places |= {configuration: (float(number), y) for configuration, y in zip(column, descending, strict=True)}
    return places


def _tree(arm: Arm) -> tuple[Edge, ...]:
    pairs = zip(arm.parents, arm.evaluations, strict=False)
    return tuple((parent, e.configuration) for parent, e in pairs if parent is not None and e.configuration is not None)


def _by_moves(comparison: Comparison, arm: Arm) -> bool:
    """Whether a path goes one parameter at a time: an exhaustive search's does not, and would hide the others."""
    return all(abs(len(comparison.space.active(b)) - len(comparison.space.active(a))) <= 1 for a, b in pairwise(arm.path))


def _lines(
    edges: Iterable[Edge],
    place: dict[Configuration, tuple[float, float]],
    name: str,
    line: Mapping[str, object],
    *,
    visible: bool,
    legend: bool = True,
) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    for parent, child in edges:
        if parent in place and child in place:
            x += [place[parent][0], place[child][0], None]
            y += [round(place[parent][1], 4), round(place[child][1], 4), None]
    shown = True if visible else "legendonly"
    return go.Scatter(x=x, y=y, mode="lines", line=line, name=name, hoverinfo="skip", showlegend=legend, visible=shown)


def _markers(info: _LatticeInfo) -> list[go.Scatter]:
    known = [node for node in info.nodes if node.loss is not None]
    unknown = [node for node in info.nodes if node.loss is None]
    losses = [round(node.loss, 5) for node in known if node.loss is not None]
    colours = {
        "color": losses,
        "colorscale": "Cividis",
        "cmin": min(losses, default=0.0),
        "cmax": max(losses, default=1.0),
        "colorbar": {"title": {"text": "loss"}, "thickness": 10, "len": 0.8, "outlinewidth": 0},
        "line": {"width": 1.5, "color": [INK if node.tried_by else PALE for node in known]},
    }
    white = {"color": "#FFFFFF", "line": {"width": 1.5, "color": PALE}}
    return [_dots(unknown, white, "not evaluated"), _dots(known, colours, "evaluated")]


def _dots(nodes: list[_Node], marker: dict[str, Any], name: str) -> go.Scatter:
    return go.Scatter(
        x=[node.x for node in nodes],
        y=[round(node.y, 4) for node in nodes],
        mode="markers",
        name=name,
        showlegend=False,
        customdata=[[node.title, name if node.loss is None else f"{node.loss:.4f} nats"] for node in nodes],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
        marker={"size": 20, **marker},
    )


def _star(x: float, y: float) -> go.Scatter:
    marker = {"symbol": "star", "size": 11, "color": "#FFFFFF", "line": {"width": 1, "color": INK}}
    return go.Scatter(x=[x], y=[round(y, 4)], mode="markers", marker=marker, name="best of all", hoverinfo="skip")


def _label(figure: go.Figure, info: _LatticeInfo) -> None:
    for node in info.nodes:
        loss = "" if node.loss is None else f"<br>{node.loss:.3f}"
        figure.add_annotation(
            x=node.x,
            y=round(node.y, 4),
            yshift=-27,
            text=f"<b>{node.label}</b>{loss}",
            showarrow=False,
            font={"size": 11},
            bgcolor="rgba(255,255,255,0.75)",
            borderpad=0,
        )


def _height(info: _LatticeInfo) -> int:
    columns: dict[float, int] = {}
    for node in info.nodes:
        columns[node.x] = columns.get(node.x, 0) + 1
    return 180 + max(280, (64 if len(info.nodes) <= _LABELLED else 26) * max(columns.values()))


def _reach(info: _LatticeInfo) -> list[float]:
    return [min(node.y for node in info.nodes) - 0.3, max(node.y for node in info.nodes) + 0.15]
