"""The brain network with its regions in the colour of the expert that serves them most."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from scipy.spatial import ConvexHull, QhullError

from nas_fusion.analysis.routing import Array, Regions, RoutingEvidence
from nas_fusion.visualization.routing_panels import Panel, last_panels
from nas_fusion.visualization.style import COLOURS, GRID, PALE, new_panels

_CELL = 215  # pixels
_SMALLEST, _LARGEST = 5.0, 15.0  # pixels: markers of even and of exclusive use
_BEYOND = 1.16  # of the outermost regions: the outline


@dataclass(frozen=True)
class _View:
    """Regions on a plane `(regions, 2)`, the name of the view, which are seen, and whether an outline makes sense."""

    title: str
    places: Array
    seen: npt.NDArray[np.bool_]
    outlined: bool


def brain_figure(evidence: RoutingEvidence) -> go.Figure:
    """Return the regions at their places from three sides, each in its expert's colour, a column a layer and kind of token.

    A region is the larger, the more its expert's mean gate exceeds an even one; grey lines are the strongest structural
    connections. Regions without coordinates stand on a circle, networks together.

    Raises:
        ValueError: If no layer's tokens are regions.
    """
    drawn = brain_panels(evidence)
    if not drawn or evidence.regions is None:
        raise ValueError("`evidence` must hold a layer whose tokens are regions, but got none.")
    views = _views(evidence.regions, drawn[0])
    upright = len(drawn) > 1 and len(views) > 1
    cells = [(panel, view) for view in views for panel in drawn] if upright else [(p, v) for p in drawn for v in views]
    columns = len(drawn) if upright else len(views) if len(views) > 1 else min(4, len(drawn))
    titles = [_title(panel, view, cell, columns, upright=upright) for cell, (panel, view) in enumerate(cells)]
    rows = -(-len(cells) // columns)
    spacing = {"horizontal_spacing": 0.01, "vertical_spacing": 0.09 / rows}
    figure = new_panels(titles, columns=columns, height=110 + _CELL * rows, **spacing)
    for cell, (panel, view) in enumerate(cells):
        place = {"row": cell // columns + 1, "col": cell % columns + 1}
        for trace in _traces(panel, view, evidence.regions):
            figure.add_trace(trace, **place)
        axis = figure.get_subplot(**place).xaxis.plotly_name.replace("axis", "")
        figure.update_xaxes(visible=False, **place)
        figure.update_yaxes(visible=False, scaleanchor=axis, scaleratio=1, **place)
    for i in range(max(panel.layer.n_experts for panel in drawn)):
        figure.add_trace(_entry(i), row=1, col=1)
    bottom = {"y": 0, "yref": "container", "yanchor": "bottom", "x": 0.5, "xanchor": "center"}
    return figure.update_layout(margin={"l": 10, "r": 10, "t": 60, "b": 45}, hovermode="closest", legend=bottom)


def brain_caption(evidence: RoutingEvidence) -> str:
    """Return what the figure shows, in words."""
    placed = evidence.regions is not None and evidence.regions.coordinates is not None
    where = "at its place, seen from three sides (from above, left is left)" if placed else "on a circle, networks together"
    edges = ""
    if evidence.regions is not None and len(evidence.regions.edges):
        edges = " Grey lines are the strongest connections of the mean structural connectome."
    return (
        f"Each region {where}, in the colour of the expert with its largest mean gate over validation subjects, the larger the "
        f"more that gate exceeds an even one; the last layer of each branch ({evidence.model}).{edges} Colours are numbers of "
        "experts within a layer and mean nothing across panels of different layers."
    )


def brain_panels(evidence: RoutingEvidence) -> list[Panel]:
    """Return the panels whose tokens are regions."""
    if evidence.regions is None:
        return []
    return [panel for panel in last_panels(evidence) if (panel.layer.regions[panel.tokens] >= 0).all()]


def _views(regions: Regions, panel: Panel) -> list[_View]:
    if regions.coordinates is not None:
        x, y, z = regions.coordinates.T
        return [
            _View("left, from the left", np.stack([-y, z], axis=1), x <= 0, True),
            _View("from above", np.stack([x, y], axis=1), x == x, True),
            _View("right, from the right", np.stack([y, z], axis=1), x >= 0, True),
        ]
    order = panel.layer.regions[panel.tokens]
    angles = np.zeros(len(regions.names))
    angles[order] = math.pi / 2 - 2 * math.pi * np.arange(len(order)) / len(order)
    return [_View("", np.stack([np.cos(angles), np.sin(angles)], axis=1), angles == angles, False)]


def _title(panel: Panel, view: _View, cell: int, columns: int, *, upright: bool) -> str:
    """Name the panel once, where its views begin, and each view once."""
    if not view.title:
        return panel.title
    if upright:
        return f"<b>{panel.title}</b><br>{view.title}" if cell < columns else view.title
    return f"<b>{panel.title}</b> {view.title}" if cell % columns == 0 else view.title


def _traces(panel: Panel, view: _View, regions: Regions) -> list[go.Scatter]:
    traces = [_outline(view.places[view.seen])] if view.outlined and view.seen.sum() > 3 else []
    return [*traces, _edges(view, regions), _dots(panel, view, regions)]


def _outline(places: Array) -> go.Scatter:
    try:
        corners = places[ConvexHull(places).vertices]
    except QhullError:  # all in a line
        corners = places[:0]
    middle = corners.mean(axis=0) if len(corners) else np.zeros(2)
    around = (np.vstack([corners, corners[:1]]) - middle) * _BEYOND + middle if len(corners) else corners
    line = {"color": PALE, "width": 1.5, "shape": "spline", "smoothing": 1.2}
    x, y = np.round(around, 2).T.tolist() if len(around) else ([], [])
    return go.Scatter(x=x, y=y, mode="lines", line=line, fill="toself", fillcolor="#FAFBFB", hoverinfo="skip", showlegend=False)


def _edges(view: _View, regions: Regions) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    for a, b in regions.edges[view.seen[regions.edges].all(axis=1)]:
        (x0, y0), (x1, y1) = np.round(view.places[[a, b]], 3).tolist()
        x += [x0, x1, None]
        y += [y0, y1, None]
    return go.Scatter(x=x, y=y, mode="lines", line={"color": GRID, "width": 1}, hoverinfo="skip", showlegend=False)


def _dots(panel: Panel, view: _View, regions: Regions) -> go.Scatter:
    seen = view.seen[panel.layer.regions[panel.tokens]]
    order, shares = panel.layer.regions[panel.tokens][seen], panel.shares[seen]
    chosen, even = shares.argmax(axis=1), 1 / panel.layer.n_experts
    excess = (shares.max(axis=1) - even) / max(1 - even, 1e-9)
    x, y = np.round(view.places[order], 3).T.tolist()
    networks = [f" ({regions.networks[r]})" if regions.networks else "" for r in order]
    texts = [
        f"{regions.names[region]}{network}<br>expert {expert + 1}: {share:.0%}"
        for region, network, expert, share in zip(order, networks, chosen, shares.max(axis=1), strict=True)
    ]
    marker = {
        "color": [COLOURS[i % len(COLOURS)] for i in chosen],
        "size": np.round(_SMALLEST + (_LARGEST - _SMALLEST) * excess, 2).tolist(),
        "line": {"color": "#FFFFFF", "width": 1},
    }
    return go.Scatter(
        x=x, y=y, mode="markers", marker=marker, text=texts, hovertemplate="%{text}<extra></extra>", showlegend=False
    )


def _entry(expert: int) -> go.Scatter:
    marker = {"color": COLOURS[expert % len(COLOURS)], "size": 10}
    return go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=f"expert {expert + 1}")
