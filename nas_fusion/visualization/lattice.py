"""The lattice of configurations, layered by the number of active parameters, with all searches' trees and paths on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.naming import short_choices
from nas_fusion.space import SearchSpace
from nas_fusion.visualization.lattice_info import Edge, LatticeInfo, Node, is_move, lanes, lattice_info
from nas_fusion.visualization.style import GRID, INK, PALE, colour, glyph, legend_entry, new_figure

_LABELLED = 40  # with more nodes only the accepted ones carry their names, the others on hovering
_COLUMNS_WITH_LOSS = 8  # with more there is room for the name only
_TRIED, _ACCEPTED, _JUMP, _GAP = 1.6, 4.0, 2.0, 1.6  # pixels
_ROW, _SMALL_ROW, _TALLEST = 76, 36, 940  # pixels
_COLUMN = 170  # pixels between two columns on a page of ordinary width
_HIDDEN = '<span style="color:#0000">'
_ABOVE, _BELOW = 34, 48  # pixels beyond the outermost nodes


def lattice_figure(comparison: Comparison) -> go.Figure:
    """Return the lattice: left the baseline, one parameter more in each column, darker where the loss is lower.

    Each search has a colour and a symbol. Its symbol stands above what it evaluated, filled where it accepted it; a thin line
    leads from a parent to a candidate, a thick one along the accepted path, a dotted one where several parameters changed at
    once. In spaces of more than 100 configurations only what was evaluated is drawn, see `lattice_info`.
    """
    info = lattice_info(comparison)
    figure = new_figure(height=180 + round(_plot(info)), hovermode="closest")
    place = {node.configuration: (node.x, node.y) for node in info.nodes}
    x, y = _segments(info.moves, [(*place[a], *place[b]) for a, b in info.moves])
    figure.add_trace(go.Scatter(x=x, y=y, mode="lines", line={"color": GRID, "width": 1}, hoverinfo="skip", showlegend=False))
    for position, arm in enumerate(comparison.searches):
        figure.add_traces(_strokes(comparison, info, position, arm))
    figure.add_traces(_markers(comparison, info))
    for position, arm in enumerate(comparison.searches):
        figure.add_traces([_glyphs(comparison, info, position, arm), _legend(info, position, arm)])
    if info.optimum is not None:
        figure.add_trace(_star(*place[info.optimum], small=_row(info) < _ROW))
    _label(figure, info)
    layers = max(round(node.x) for node in info.nodes)
    figure.update_xaxes(
        title=comparison.space.words.active, tickvals=list(range(layers + 1)), showgrid=False, range=[-0.5, layers + 0.5]
    )
    heights, unit = [node.y for node in info.nodes], _unit(info)
    return figure.update_yaxes(visible=False, range=[min(heights) - _BELOW / unit, max(heights) + _ABOVE / unit])


def lattice_caption(comparison: Comparison) -> str:
    """Return what the lattice shows, in words."""
    info, words = lattice_info(comparison), comparison.space.words
    text = (
        f"Every dot is a configuration, darker where its validation loss is lower; {words.baseline} A₀ is at the left, and "
        f"each column has one active {words.parameter} more. A search's symbol stands above what it evaluated, filled where it "
        "accepted it; thin lines lead from a parent to what was tried from it, thick ones with an arrow along what was "
        f"accepted, dotted where several {words.parameters} changed at once. The legend shows and hides searches."
    )
    abbreviated = ", ".join(f"{short} {choice}" for choice, short in _shortened(comparison.space).items())
    if abbreviated:
        text += f" {words.choices.capitalize()} are shortened: {abbreviated}."
    if info.everything:
        text += " A search that evaluated everything is marked where it accepted only."
    if info.left_out:
        is_counted = comparison.space.n_configurations is not None
        text += f" Of {info.left_out + len(info.nodes)} configurations, {info.left_out} are" if is_counted else " Most are"
        text += " not drawn, for lack of room: "
        text += (
            "what is drawn was evaluated by a search that did not evaluate everything, or was accepted, or is the best of all."
        )
    return text


def _shortened(space: SearchSpace) -> dict[str, str]:
    """Return the choices that are drawn as their beginnings, which those are not for which the space has names of its own."""
    own, short = space.words.short, short_choices(space)
    drawn = {c for p, choices in space.parameters.items() for c in choices if len(choices) > 2 and f"{p}={c}" not in own}
    return {choice: short[choice] for choice in short if choice in drawn and short[choice] != choice}


def _strokes(comparison: Comparison, info: LatticeInfo, position: int, arm: Arm) -> list[go.Scatter]:
    """Tree and path of a search: thin, thick, and either dotted where an edge is no single move."""
    drawn = {node.configuration for node in info.nodes}
    strokes = {
        f"{kind}:{name}": tuple(edge for edge in edges if set(edge) <= drawn)
        for kind, found in (("tried", info.trees), ("accepted", info.paths))
        for name, edges in found.items()
    }
    widths = {stroke: _TRIED if stroke.startswith("tried") else _ACCEPTED for stroke in strokes}
    shifts = lanes(strokes, widths, _GAP)
    traces = []
    for kind in ("tried", "accepted"):
        stroke = f"{kind}:{arm.name}"
        for dash in ("solid", "dot"):
            edges = [edge for edge in strokes[stroke] if is_move(comparison.space, edge) == (dash == "solid")]
            ends = [_moved(info, edge, shifts[stroke, edge]) for edge in edges]
            line = {"color": colour(position), "width": widths[stroke] if dash == "solid" else _JUMP, "dash": dash}
            if edges:
                traces.append(_lines(f"{arm.title}: {kind}", edges, ends, line, arrows=kind == "accepted", group=arm.name))
    return traces


def _moved(info: LatticeInfo, edge: Edge, pixels: float) -> tuple[float, float, float, float]:
    """Both ends of an edge, moved aside by some pixels (measured across the line, on a page of ordinary width)."""
    place = {node.configuration: (node.x, node.y) for node in info.nodes}
    (x0, y0), (x1, y1) = place[edge[0]], place[edge[1]]
    unit = _unit(info)
    slope = (y1 - y0) * unit / (max(abs(x1 - x0), 0.1) * _COLUMN)
    aside = pixels * math.hypot(1, slope) / unit
    return x0, y0 + aside, x1, y1 + aside


def _lines(
    name: str,
    edges: Sequence[Edge],
    ends: Sequence[tuple[float, float, float, float]],
    line: dict[str, Any],
    *,
    arrows: bool,
    group: str,
) -> go.Scatter:
    x, y = _segments(edges, ends)
    arrow = {"symbol": "arrow", "angleref": "previous", "size": [0, 13, 0] * len(edges), "standoff": 9, "color": line["color"]}
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers" if arrows else "lines",
        marker=arrow if arrows else None,
        line=line,
        name=name,
        legendgroup=group,
        showlegend=False,
        hoverinfo="skip",
    )


def _segments(
    edges: Sequence[Edge], ends: Sequence[tuple[float, float, float, float]]
) -> tuple[list[float | None], list[float | None]]:
    x: list[float | None] = []
    y: list[float | None] = []
    for _, (x0, y0, x1, y1) in zip(edges, ends, strict=True):
        x += [x0, x1, None]
        y += [round(y0, 4), round(y1, 4), None]
    return x, y


def _markers(comparison: Comparison, info: LatticeInfo) -> list[go.Scatter]:
    titles = {arm.name: arm.title for arm in comparison.searches}
    size = 20 if _row(info) == _ROW else max(4.0, min(12.0, _row(info) / 3))
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
        "size": size,
    }
    white = {"color": "#FFFFFF", "line": {"width": 1.5, "color": PALE}, "size": size}
    return [_dots(unknown, white, "not evaluated", titles), _dots(known, colours, "evaluated", titles)]


def _dots(nodes: list[Node], marker: dict[str, Any], name: str, titles: dict[str, str]) -> go.Scatter:
    loss = [name if node.loss is None else f"{node.loss:.4f} nats" for node in nodes]
    tried = ["".join(f"<br>{titles[by]}{' accepted it' * (by in node.accepted_by)}" for by in node.tried_by) for node in nodes]
    return go.Scatter(
        x=[node.x for node in nodes],
        y=[round(node.y, 4) for node in nodes],
        mode="markers",
        name=name,
        showlegend=False,
        customdata=[[node.title, *words] for node, words in zip(nodes, zip(loss, tried, strict=True), strict=True)],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}%{customdata[2]}<extra></extra>",
        marker=marker,
    )


def _glyphs(comparison: Comparison, info: LatticeInfo, position: int, arm: Arm) -> go.Scatter:
    """A search's symbol above its nodes, in a row with those of the others: theirs are there too, but not to be seen."""
    order = [other.name for other in comparison.searches]
    shown = [(node, by) for node in info.nodes if arm.name in (by := _shown_by(info, node))]
    texts = []
    for node, by in shown:
        row = [(name, glyph(order.index(name), filled=name in node.accepted_by)) for name in order if name in by]
        texts.append("".join(mark if name == arm.name else f"{_HIDDEN}{mark}</span>" for name, mark in row))
    return go.Scatter(
        x=[node.x for node, _ in shown],
        y=[round(node.y, 4) for node, _ in shown],
        mode="markers+text",
        marker={"size": 20 if _row(info) == _ROW else 8, "opacity": 0},
        text=texts,
        textposition="top center",
        textfont={"size": 13 if _row(info) == _ROW else 10, "color": colour(position)},
        name=f"{arm.title}: marks",
        legendgroup=arm.name,
        showlegend=False,
        hoverinfo="skip",
    )


def _shown_by(info: LatticeInfo, node: Node) -> set[str]:
    """Whose symbols stand above a node: not those of searches that evaluated everything anyway, nor of all where all begin."""
    if node.x == 0 and set(node.tried_by) >= info.trees.keys():
        return set()
    return {name for name in node.tried_by if name not in info.everything} | set(node.accepted_by)


def _legend(info: LatticeInfo, position: int, arm: Arm) -> go.Scatter:
    title = f"{arm.title} (everything)" if arm.name in info.everything else arm.title
    return legend_entry(title, arm.name, position, line=bool(info.trees[arm.name] or info.paths[arm.name]))


def _star(x: float, y: float, *, small: bool) -> go.Scatter:
    marker = {"symbol": "star", "size": 7 if small else 11, "color": "#FFFFFF", "line": {"width": 1, "color": INK}}
    return go.Scatter(x=[x], y=[round(y, 4)], mode="markers", marker=marker, name="best of all", hoverinfo="skip")


def _label(figure: go.Figure, info: LatticeInfo) -> None:
    every, few = len(info.nodes) <= _LABELLED, len({node.x for node in info.nodes}) <= _COLUMNS_WITH_LOSS
    style = {"showarrow": False, "bgcolor": "rgba(255,255,255,0.75)", "borderpad": 0, "font": {"size": 11 if every else 10}}
    labels = []
    for node in info.nodes:
        if every or node.accepted_by or node.configuration == info.optimum:
            loss = "" if node.loss is None or not few else f"{'<br>' if every else ' '}{node.loss:.3f}"
            place = {"x": node.x, "y": round(node.y, 4), "yshift": -27 if every else -13}
            labels.append({**place, **style, "text": f"<b>{node.label}</b>{loss}"})
    figure.update_layout(annotations=labels)


def _row(info: LatticeInfo) -> float:
    """Pixels between two nodes of the fullest column."""
    return _ROW if len(info.nodes) <= _LABELLED else min(_SMALL_ROW, _TALLEST / info.tallest)


def _plot(info: LatticeInfo) -> float:
    """Height of the plot in pixels."""
    return max(280.0, _row(info) * (info.tallest - 1) + _ABOVE + _BELOW)


def _unit(info: LatticeInfo) -> float:
    """Pixels of the unit of the nodes' heights."""
    heights = [node.y for node in info.nodes]
    return (_plot(info) - _ABOVE - _BELOW) / ((max(heights) - min(heights)) or 2.0)
