"""All arms side by side: validation and test loss with their intervals, and what late fusion provably cannot reach."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.bootstrap import Estimate, bootstrap_scores
from nas_fusion.analysis.naming import points
from nas_fusion.record import Predictions
from nas_fusion.visualization.losses import draw_floors
from nas_fusion.visualization.style import COLOURS, interval_bars, new_figure

_SUBSETS = (("validation", COLOURS[0], "circle", 0.14), ("test", COLOURS[1], "square", -0.14))


@dataclass(frozen=True)
class _ArmInfo:
    """One arm: how it is labelled, and its loss on either subset with a bootstrap interval, `None` where untouched."""

    label: str
    validation: Estimate
    test: Estimate | None


def arms_figure(comparison: Comparison) -> go.Figure:
    """Return the loss of each arm on validation and test subjects, each with its 95 % bootstrap interval over subjects."""
    infos = _get_arms_info(comparison)
    rows = list(range(len(infos), 0, -1))
    figure = new_figure(height=170 + 46 * len(infos), margin={"l": 60, "r": 20, "t": 90, "b": 50})
    for subset, colour, symbol, shift in _SUBSETS:
        drawn = [(row + shift, getattr(info, subset)) for row, info in zip(rows, infos, strict=True)]
        found = [(row, estimate) for row, estimate in drawn if estimate is not None]
        if found:
            figure.add_trace(_dots(subset, found, colour, symbol))
    draw_floors(figure, comparison, horizontal=False)
    figure.update_layout(legend={"y": 0, "yref": "container", "yanchor": "bottom", "x": 1, "xanchor": "right"})
    figure.update_xaxes(title="loss (nats)", rangemode="tozero")
    return figure.update_yaxes(
        tickvals=rows, ticktext=[info.label for info in infos], showgrid=False, range=[0.4, len(infos) + 0.6], ticks=""
    )


def _get_arms_info(comparison: Comparison) -> list[_ArmInfo]:
    return [
        _ArmInfo(_label(comparison, arm), _estimate(arm.validation), None if arm.test is None else _estimate(arm.test))
        for arm in comparison.arms
    ]


def _label(comparison: Comparison, arm: Arm) -> str:
    title = f"{arm.title} (ours)" if arm.ours else arm.title
    if not arm.is_search or arm.best is None:
        return title
    return f'{title}<br><span style="font-size:11px">{points(comparison.space, arm.best)}</span>'


def _estimate(predictions: Predictions) -> Estimate:
    return bootstrap_scores(predictions, scores=("loss",))["loss"]


def _dots(subset: str, found: list[tuple[float, Estimate]], colour: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=[round(e.value, 5) for _, e in found],
        y=[row for row, _ in found],
        mode="markers",
        name=subset,
        marker={"color": colour, "size": 9, "symbol": symbol},
        error_x=interval_bars(*zip(*(e for _, e in found), strict=True), color=colour, thickness=1.5, width=4),
        hovertemplate="%{x:.3f} nats<extra>" + subset + "</extra>",
    )
