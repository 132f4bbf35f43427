"""What each parameter is worth, and what two are worth together: Shapley values as bars, interactions as a map."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from nas_fusion.analysis.arms import Comparison
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.naming import short_points
from nas_fusion.analysis.shapley import PointValues
from nas_fusion.analysis.worth import importance_in_words, point_name, worth_of_points
from nas_fusion.space import SearchSpace
from nas_fusion.visualization.style import COLOURS, DIVERGING, INK, new_figure

_NUMBERED = 8  # with more points the numbers are shown on hovering only


@dataclass(frozen=True)
class _ImportanceInfo:
    """Names of the points, short ones, values, errors, and the interactions `(points, points)`: the lower half."""

    names: tuple[str, ...]
    short: tuple[str, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...] | None
    interactions: tuple[tuple[float | None, ...], ...]


def importance_figure(comparison: Comparison) -> go.Figure:
    """Return the Shapley values of the points as bars, and beside them the Shapley interactions of each pair.

    Raises:
        ValueError: If not every configuration of the landscape is known.
    """
    worth = worth_of_points(comparison)
    if worth is None:
        raise ValueError("`comparison` must hold a complete landscape, but got none.")
    info = _get_importance_info(comparison.space, worth)
    figure = new_figure(height=170 + max(200, 44 * len(info.names)))
    figure.add_traces([_bars(info), _map(info)])
    shared = [abs(value) for row in info.interactions for value in row if value is not None]
    figure.update_layout(coloraxis=_scale(max([NEGLIGIBLE, *shared])), showlegend=False, margin={"t": 60})
    order = {"autorange": "reversed", "showgrid": False, "ticks": ""}
    figure.update_layout(
        xaxis={"domain": [0.0, 0.4], "title": "Shapley value (nats)", "zeroline": True, "zerolinecolor": INK, **_reach(info)},
        yaxis={"tickvals": list(range(len(info.names))), "ticktext": _labels(info), **order},
        xaxis2={"domain": [0.54, 1.0], "anchor": "y2", "side": "top", "showgrid": False, "ticks": "", "type": "category"},
        yaxis2={"anchor": "x2", "automargin": True, "type": "category", **order},
    )
    return figure


def importance_caption(comparison: Comparison) -> str:
    """Return what the figure shows, in words, and what strikes in it."""
    worth = worth_of_points(comparison)
    if worth is None:
        return ""
    words = comparison.space.words
    several = ", ".join(f"{p} means {c}" for p, c in worth.on.items() if len(comparison.space.parameters[p]) > 2)
    text = (
        f"Left: by how many nats a {words.parameter} lowers the loss, averaged over all orders in which {words.parameters} "
        f"can be switched on (positive: it helps); the values sum to what all {words.parameters} on bring over "
        f"{words.baseline}, {worth.gain:.3f} nats. "
        f"Right: what two {words.parameters} bring together beyond what they bring one by one, "
        "averaged over what else is on; blue (positive) is synergy, orange (negative) redundancy. "
    )
    errors = "Whiskers are standard errors over folds or seeds. " if worth.errors else ""
    chosen = f"Of several {words.choices}: {several}. " if several else ""
    return text + errors + chosen + importance_in_words(comparison.space, worth)


def _get_importance_info(space: SearchSpace, worth: PointValues) -> _ImportanceInfo:
    points = tuple(worth.values)
    return _ImportanceInfo(
        tuple(point_name(space, worth, p) for p in points),
        tuple(short_points(space, space.complete({p: worth.on[p]})) for p in points),
        tuple(worth.values.values()),
        None if worth.errors is None else tuple(worth.errors[p] for p in points),
        tuple(
            tuple(worth.interaction(one, other) if column < row else None for column, other in enumerate(points))
            for row, one in enumerate(points)
        ),
    )


def _reach(info: _ImportanceInfo) -> dict[str, object]:
    """Small values are not drawn large."""
    return {} if max(map(abs, info.values)) > NEGLIGIBLE else {"range": [-NEGLIGIBLE, NEGLIGIBLE]}


def _labels(info: _ImportanceInfo) -> list[str]:
    errors = info.errors or (None,) * len(info.names)
    numbers = [
        f"{value:+.3f}{'' if error is None else f' ± {error:.3f}'}" for value, error in zip(info.values, errors, strict=True)
    ]
    return [f'{name}<br><span style="font-size:11px">{number}</span>' for name, number in zip(info.names, numbers, strict=True)]


def _bars(info: _ImportanceInfo) -> go.Bar:
    whiskers = (
        {"type": "data", "array": [round(e, 5) for e in info.errors], "color": INK, "thickness": 1.5} if info.errors else None
    )
    return go.Bar(
        x=[round(value, 5) for value in info.values],
        y=list(info.names),
        orientation="h",
        marker={"color": [COLOURS[0] if value >= 0 else COLOURS[1] for value in info.values]},
        error_x=whiskers,
        hovertemplate="%{y}: %{x:.4f} nats<extra></extra>",
        width=0.6,
    )


def _map(info: _ImportanceInfo) -> go.Heatmap:
    z = [[None if shared is None else round(shared, 5) for shared in row[:-1]] for row in info.interactions[1:]]
    return go.Heatmap(
        x=list(info.short[:-1]),
        y=list(info.short[1:]),
        z=z,
        xaxis="x2",
        yaxis="y2",
        coloraxis="coloraxis",
        xgap=2,
        ygap=2,
        hoverongaps=False,
        texttemplate="%{z:+.3f}" if len(info.names) <= _NUMBERED else "",
        hovertemplate="%{y} with %{x}: %{z:.4f} nats<extra></extra>",
    )


def _scale(largest: float) -> dict[str, object]:
    bar = {"title": {"text": "nats"}, "thickness": 10, "len": 0.9, "outlinewidth": 0}
    return {"colorscale": DIVERGING, "cmin": -largest, "cmax": largest, "colorbar": bar}
