"""Loss by evaluation: what each search tried, and the best that it had until then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import plotly.graph_objects as go

from nas_fusion.analysis.arms import Comparison
from nas_fusion.analysis.naming import points
from nas_fusion.record import Evaluation
from nas_fusion.space import SearchSpace
from nas_fusion.visualization.style import FLOOR_TITLES, INK, colour, line_width, new_figure, symbol

_APART = 0.08  # nats


@dataclass(frozen=True)
class _LossesInfo:
    """One search: its losses in the order of its evaluations, what was evaluated, and the best so far."""

    title: str
    losses: tuple[float, ...]
    names: tuple[str, ...]
    best: tuple[float, ...]


def losses_figure(comparison: Comparison) -> go.Figure:
    """Return the validation loss of each evaluation of each search, and as a line the best so far."""
    figure = new_figure(height=390)
    infos = _get_losses_info(comparison)
    for position, info in enumerate(infos):
        count = list(range(1, len(info.losses) + 1))
        figure.add_trace(
            go.Scatter(
                x=count,
                y=[round(loss, 5) for loss in info.best],
                mode="lines",
                name=f"{info.title}: best so far",
                legendgroup=info.title,
                line={"color": colour(position), "width": line_width(position, len(infos)), "shape": "hv"},
                hoverinfo="skip",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=count,
                y=[round(loss, 5) for loss in info.losses],
                mode="markers",
                name=info.title,
                legendgroup=info.title,
                showlegend=False,
                marker={"color": colour(position), "size": 10, "symbol": f"{symbol(position)}-open"},
                text=list(info.names),
                hovertemplate="%{text}<br>%{y:.4f} nats<extra>" + info.title + "</extra>",
            )
        )
    draw_floors(figure, comparison, horizontal=True)
    longest = max(len(info.losses) for info in infos)
    figure.update_xaxes(title="evaluation", dtick=1 if longest <= 20 else None, range=[0.5, longest + 0.5])
    return figure.update_yaxes(title="validation loss (nats)")


def draw_floors(figure: go.Figure, comparison: Comparison, *, horizontal: bool) -> None:
    """Draw the provable floors of late fusion and of the joint label across a figure, where the cohort knows them."""
    for floor, title in floor_lines(comparison):
        line = {"color": INK, "width": 1, "dash": "dash"}
        font = {"size": 11}
        if horizontal:
            figure.add_hline(y=floor, line=line, annotation={"text": title, "font": font}, annotation_position="bottom right")
        else:
            note = {"text": title.replace(" of ", " of<br>", 1), "font": font, "yanchor": "bottom"}
            figure.add_vline(x=floor, line=line, annotation=note, annotation_position="top")


def floor_lines(comparison: Comparison) -> list[tuple[float, str]]:
    """Return where a floor is drawn and what is written there; floors too close for two texts share one line, the lower."""
    floors = comparison.cohort.get("floors") or {}
    lines: list[tuple[float, str]] = []
    for name, title in sorted(FLOOR_TITLES.items(), key=lambda item: float(floors.get(item[0], 0.0))):
        if name not in floors:
            continue
        text = f"{title} {floors[name]:.3f}"
        if lines and floors[name] - lines[-1][0] < _APART:
            lines[-1] = (lines[-1][0], f"{lines[-1][1]}, {text}")
        else:
            lines.append((float(floors[name]), f"floor of {text}"))
    return lines


def _name(space: SearchSpace, evaluation: Evaluation) -> str:
    if evaluation.configuration is None:
        return ""
    return points(space, evaluation.configuration) + (" (trained on: control)" if evaluation.is_control else "")


def _get_losses_info(comparison: Comparison) -> list[_LossesInfo]:
    return [
        _LossesInfo(
            arm.title,
            tuple(e.value for e in arm.evaluations),
            tuple(_name(comparison.space, e) for e in arm.evaluations),
            tuple(accumulate((math.inf if e.is_control else e.value for e in arm.evaluations), min)),
        )
        for arm in comparison.searches
    ]
