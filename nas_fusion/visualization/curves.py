"""Validation loss by epoch of everything that a search trained."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.naming import points
from nas_fusion.visualization.style import PALE, colour, new_figure


@dataclass(frozen=True)
class _CurveInfo:
    """One evaluation: its name, whether the search accepted it, and its loss by epoch, averaged over folds."""

    name: str
    accepted: bool
    losses: tuple[float, ...]


def curves_figure(comparison: Comparison) -> go.Figure:
    """Return the validation loss by epoch of the first search: in colour what it accepted, in grey what it only tried."""
    figure = new_figure(height=390)
    infos = sorted(_get_curves_info(comparison, comparison.searches[0]), key=lambda info: info.accepted)
    position = 0
    for info in infos:
        line = {"color": colour(position), "width": 3} if info.accepted else {"color": PALE, "width": 1.2}
        position += info.accepted
        figure.add_trace(
            go.Scatter(
                x=list(range(1, len(info.losses) + 1)),
                y=[round(loss, 4) for loss in info.losses],
                mode="lines+markers" if len(info.losses) == 1 else "lines",
                line=line,
                name=info.name,
                showlegend=info.accepted,
                hovertemplate="epoch %{x}: %{y:.4f} nats<extra>" + info.name + "</extra>",
            )
        )
    longest = max((len(info.losses) for info in infos), default=0)
    figure.update_xaxes(title="epoch", dtick=1 if longest <= 20 else None)
    return figure.update_yaxes(title="validation loss (nats)")


def _get_curves_info(comparison: Comparison, arm: Arm) -> list[_CurveInfo]:
    return [
        _CurveInfo(
            ("A₀" if e.configuration == comparison.space.baseline else points(comparison.space, e.configuration or {}))
            + (" (control)" if e.is_control else ""),
            e.configuration in arm.path and not e.is_control,
            tuple(sum(losses) / len(losses) for losses in zip(*e.curves, strict=False)),
        )
        for e in arm.evaluations
        if e.curves and e.configuration is not None
    ]
