"""Which experts serve which regions, and which subjects: heat maps of mean gates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from nas_fusion.analysis.routing import Array, RoutingEvidence, Whole
from nas_fusion.visualization.routing_panels import Group, groups, labels, panels
from nas_fusion.visualization.style import INK, new_panels

_ROW, _BETWEEN, _ABOVE = 19, 30, 45  # pixels: an expert, between two panels, above all
_LOWEST, _BAR = 120, 220  # pixels: all experts together at least, the colour bar at most
_BELOW, _SLANTED = 35, 95  # pixels: below all, for names that stand upright or slanted
_CROWDED = 0.1  # share of the width: names of narrower groups are slanted
_SCALE = [[0.0, "#FFFFFF"], [0.15, "#D6E6F2"], [0.5, "#5BA3CF"], [0.8, "#0072B2"], [1.0, "#023858"]]


def usage_figure(evidence: RoutingEvidence) -> go.Figure:
    """Return the mean gate of each expert for each region, a panel a layer and kind of token; darker is more."""
    drawn = panels(evidence)
    slanted = _is_crowded(groups(drawn[-1], evidence.regions))
    experts = [panel.layer.n_experts for panel in drawn]
    figure = _heat_maps([panel.title for panel in drawn], experts, slanted=slanted)
    most = max(float(panel.shares.max()) for panel in drawn)
    for row, panel in enumerate(drawn, start=1):
        _add(figure, row, panel.shares, labels(panel, evidence.regions), "%{x}<br>%{y}: %{z:.0%} of its gates<extra></extra>")
        _mark(figure, row, groups(panel, evidence.regions), last=row == len(drawn))
    return _scaled(figure, experts, most)


def usage_caption(evidence: RoutingEvidence) -> str:
    """Return what the usage figure shows, in words."""
    regions = evidence.regions
    order = "in the order of the data"
    if regions is not None and (regions.networks or regions.coordinates is not None):
        order = "by network and, within one, left before right" if regions.networks else "left before right"
    return (
        f"The mean gate of each expert (row) for each region (column, {order}) over {len(evidence.layers[0].subjects)} "
        f"validation subjects{_whose(evidence)}; each column sums to 1. Columns that look alike mean that routing does not "
        "tell regions apart. Experts are numbered within a layer: expert 1 of one has nothing to do with expert 1 of another."
    )


def subjects_figure(evidence: RoutingEvidence) -> go.Figure:
    """Return the mean gate of each expert for each subject, a panel a layer, subjects ordered by class."""
    layers = evidence.layers
    order, found = _order(evidence)
    titles, experts = [layer.name for layer in layers], [layer.n_experts for layer in layers]
    figure = _heat_maps(titles, experts, slanted=_is_crowded(found))
    most = max(float(layer.by_subject.max()) for layer in layers)
    for row, layer in enumerate(layers, start=1):
        names = [f"{layer.subjects[i]} ({layer.classes[layer.labels[i]]})" for i in order]
        _add(figure, row, layer.by_subject[order], names, "%{x}<br>%{y}: %{z:.0%} of its gates<extra></extra>")
        _mark(figure, row, found, last=row == len(layers))
    return _scaled(figure, experts, most)


def subjects_caption(evidence: RoutingEvidence) -> str:
    """Return what the figure on subjects shows, in words."""
    return (
        f"The mean gate of each expert (row) over the regions of each validation subject (column){_whose(evidence)}. Subjects "
        "are grouped by class; within one they are in the order of their strongest difference, the same in all panels. Where "
        "columns differ, routing differs between subjects; whether the model needs that, the table below says."
    )


def _order(evidence: RoutingEvidence) -> tuple[Whole, list[Group]]:
    """Return subjects by class, within one by the expert whose share varies most, and the classes in that order."""
    layer = max(evidence.layers, key=lambda layer: float(layer.by_subject.var(axis=0).max()))
    shares = layer.by_subject[:, int(layer.by_subject.var(axis=0).argmax())]
    order = np.lexsort((-shares, layer.labels))
    present = [i for i in range(len(layer.classes)) if (layer.labels == i).any()]
    counts = [int((layer.labels == i).sum()) for i in present]
    firsts = np.cumsum([0, *counts])
    return order, [Group(layer.classes[i], int(firsts[n]), counts[n]) for n, i in enumerate(present)]


def _whose(evidence: RoutingEvidence) -> str:
    if evidence.selected:
        return f" in {evidence.model}"
    return f" in {evidence.model}, the best model with mixtures that was tried (it was not selected)"


def _heat_maps(titles: Sequence[str], experts: Sequence[int], *, slanted: bool) -> go.Figure:
    rows = max(sum(experts) * _ROW, _LOWEST)
    plot = rows + _BETWEEN * (len(titles) - 1)
    between = _BETWEEN / plot if len(titles) > 1 else 0.0
    below = _SLANTED if slanted else _BELOW
    height = plot + _ABOVE + below
    figure = new_panels(titles, columns=1, height=height, row_heights=list(experts), vertical_spacing=between)
    figure.update_annotations(x=0.0, xanchor="left")
    return figure.update_layout(margin={"l": 60, "r": 20, "t": _ABOVE, "b": below}, hovermode="closest")


def _add(figure: go.Figure, row: int, shares: Array, names: list[str], hover: str) -> None:
    experts = [f"expert {i + 1}" for i in range(shares.shape[1])]
    heat = go.Heatmap(
        z=np.round(shares.T, 4).tolist(),
        x=list(range(len(shares))),
        y=list(range(1, shares.shape[1] + 1)),
        customdata=[names] * shares.shape[1],
        coloraxis="coloraxis",
        hovertemplate=hover.replace("%{x}", "%{customdata}").replace("%{y}", "expert %{y}"),
    )
    figure.add_trace(heat, row=row, col=1)
    figure.update_yaxes(
        row=row,
        col=1,
        tickvals=list(range(1, len(experts) + 1)),
        ticktext=experts,
        autorange="reversed",
        showgrid=False,
        ticks="",
    )
    figure.update_xaxes(row=row, col=1, showgrid=False, range=[-0.5, len(shares) - 0.5], showticklabels=False, ticks="")


def _mark(figure: go.Figure, row: int, found: Sequence[Group], *, last: bool) -> None:
    """Draw lines between groups, and their names below the last panel."""
    for before, group in pairwise(found):
        assert before.first + before.count == group.first, "Should not reach."
        figure.add_vline(x=group.first - 0.5, row=row, col=1, line={"color": INK, "width": 1})
    if last and found:
        middle = [group.first + (group.count - 1) / 2 for group in found]
        figure.update_xaxes(
            row=row,
            col=1,
            showticklabels=True,
            tickvals=middle,
            ticktext=[group.title for group in found],
            tickangle=-35 if _is_crowded(found) else 0,
            tickfont={"size": 11},
        )


def _is_crowded(found: Sequence[Group]) -> bool:
    return bool(found) and min(group.count for group in found) < _CROWDED * sum(group.count for group in found)


def _scaled(figure: go.Figure, experts: Sequence[int], most: float) -> go.Figure:
    """Scale colours from 0 to the largest mean gate, but at least to twice an even one, so that small differences stay pale."""
    bar = {"title": {"text": "mean gate", "font": {"size": 12}}, "thickness": 10, "outlinewidth": 0, "tickformat": ".0%"}
    length = min(_BAR, figure.layout.height - _ABOVE - _BELOW)
    bar |= {"lenmode": "pixels", "len": length, "nticks": 5, "y": 1.0, "yanchor": "top"}
    largest = min(1.0, max(most, 2 / min(experts)))
    return figure.update_layout(coloraxis={"colorscale": _SCALE, "cmin": 0.0, "cmax": largest, "colorbar": bar})
