"""Points and modules: what each single point gains with each module, as a map and with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import plotly.graph_objects as go

from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.modules import ModuleComparison, module_table, point_table
from nas_fusion.analysis.naming import short_points
from nas_fusion.space import SearchSpace
from nas_fusion.visualization.style import COLOURS, DIVERGING, INK, interval_bars, new_figure, new_panels

_BEST_OF_ALL = "best of all"
_PANELS = 3  # beside each other
_ROW, _LINE = 46, 26  # pixels


@dataclass(frozen=True)
class _ModulesInfo:
    """Gains `(points, modules)` with lower and upper ends, shares of being best, and the best configurations of all.

    Not a number where a model is not known.
    """

    points: tuple[str, ...]
    modules: tuple[str, ...]
    gains: tuple[tuple[float, ...], ...]
    lows: tuple[tuple[float, ...], ...]
    highs: tuple[tuple[float, ...], ...]
    shares: tuple[tuple[float, ...], ...]
    is_best: tuple[tuple[bool, ...], ...]
    best_of_all: tuple[str, ...]
    gains_of_all: tuple[float, ...]


def modules_figure(result: ModuleComparison) -> go.Figure:
    """Return the map: a row a point, a column a module, the gain over the baseline as colour and number.

    A star marks the best point of a module, below it stands the share of the bootstrap resamples in which it is the best. The
    last row has the best of all configurations known of the module.
    """
    info = _get_modules_info(result)
    rows = [*info.points, _BEST_OF_ALL]
    z = [*info.gains, info.gains_of_all]
    known = [abs(gain) for row in info.gains for gain in row if not math.isnan(gain)]
    most = max([NEGLIGIBLE, *known])
    figure = new_figure(height=150 + _ROW * len(rows), margin={"l": 60, "r": 20, "t": 60, "b": 20})
    figure.add_trace(
        go.Heatmap(
            x=list(info.modules),
            y=rows,
            z=[[None if math.isnan(gain) else round(gain, 5) for gain in row] for row in z],
            text=_texts(info),
            texttemplate="%{text}",
            hovertemplate="%{y} with %{x}: %{z:+.4f} nats<extra></extra>",
            colorscale=DIVERGING,
            zmin=-most,
            zmax=most,
            xgap=2,
            ygap=2,
            hoverongaps=False,
            colorbar={"title": {"text": "gain (nats)"}, "thickness": 10, "len": 0.9, "outlinewidth": 0},
        )
    )
    figure.add_hline(y=len(info.points) - 0.5, line={"color": INK, "width": 2})
    figure.update_xaxes(side="top", showgrid=False, ticks="", type="category")
    return figure.update_yaxes(autorange="reversed", showgrid=False, ticks="", type="category")


def module_intervals_figure(result: ModuleComparison) -> go.Figure:
    """Return a panel a module: the gain of each single point with its 95 % bootstrap interval, the best in orange."""
    info = _get_modules_info(result)
    columns = min(_PANELS, len(info.modules))
    rows = -(-len(info.modules) // columns)
    figure = new_panels(
        info.modules,
        columns=columns,
        height=90 + rows * (80 + _LINE * len(info.points)),
        shared_xaxes="all",
        shared_yaxes="all",
        horizontal_spacing=0.03,
        vertical_spacing=0.24 / rows,
    )
    for number in range(len(info.modules)):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        figure.add_trace(_dots(info, number), **place)
        figure.add_vline(x=0, line={"color": INK, "width": 1}, **place)
        if number // columns == (len(info.modules) - 1 - number % columns) // columns:
            figure.update_xaxes(title="gain (nats)", showticklabels=True, **place)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticks="")
    return figure.update_layout(showlegend=False, margin={"l": 60, "r": 20, "t": 40, "b": 50})


def modules_caption(result: ModuleComparison) -> str:
    """Return what the map shows, in words."""
    words, one = result.space.words, result.space.words.parameter
    return (
        f"By how many nats each {words.choice} (columns) at each single {one} (rows) lowers the validation loss below that of "
        f"{words.baseline}: blue is better, orange worse. A star marks the best {one} of a {words.choice}, with the share of "
        "bootstrap resamples of the subjects in which it is the best. The last row is the best of all its known combinations "
        f"of {words.parameters}, which was chosen and so flatters."
    )


def intervals_caption(result: ModuleComparison) -> str:
    """Return what the panels show, in words."""
    words = result.space.words
    return (
        f"The same gains with 95 % bootstrap intervals over subjects; the best {words.parameter} of each {words.choice} is "
        f"orange. What makes a subject hard is common to all models, so two {words.parameters} may well be told apart where "
        "their intervals overlap."
    )


def _get_modules_info(result: ModuleComparison) -> _ModulesInfo:
    table, best = point_table(result), module_table(result)

    def of(column: str) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(float(table.loc[(m, p), column]) for m in result.modules) for p in result.points)

    return _ModulesInfo(
        points=result.points,
        modules=result.modules,
        gains=of("gain"),
        lows=of("gain_low"),
        highs=of("gain_high"),
        shares=of("share_best"),
        is_best=tuple(tuple(bool(table.loc[(m, p), "is_best"]) for m in result.modules) for p in result.points),
        best_of_all=tuple(_subset(result, module) for module in result.modules),
        gains_of_all=tuple(float(best.loc[module, "gain"]) for module in result.modules),
    )


def _subset(result: ModuleComparison, module: str) -> str:
    best = result.best(module)
    alone = SearchSpace({point: (result.space.off(point), module) for point in result.points})
    return "" if best is None else short_points(alone, best)


def _texts(info: _ModulesInfo) -> list[list[str]]:
    rows = [
        [_text(*cell) for cell in zip(gains, shares, is_best, strict=True)]
        for gains, shares, is_best in zip(info.gains, info.shares, info.is_best, strict=True)
    ]
    last = zip(info.gains_of_all, info.best_of_all, strict=True)
    return [*rows, ["" if math.isnan(gain) else f"{gain:+.3f}<br>{points}" for gain, points in last]]


def _text(gain: float, share: float, is_best: bool) -> str:
    if math.isnan(gain):
        return ""
    return f"{'★ ' if is_best else ''}{gain:+.3f}" + (f"<br>best in {100 * share:.0f} %" if is_best else "")


def _dots(info: _ModulesInfo, number: int) -> go.Scatter:
    known = [i for i in range(len(info.points)) if not math.isnan(info.gains[i][number])]
    means, lows, highs = ([rows[i][number] for i in known] for rows in (info.gains, info.lows, info.highs))
    return go.Scatter(
        x=[round(mean, 5) for mean in means],
        y=[info.points[i] for i in known],
        mode="markers",
        marker={"color": [COLOURS[1] if info.is_best[i][number] else COLOURS[0] for i in known], "size": 9},
        error_x=interval_bars(means, lows, highs, thickness=1.5, width=4, color=INK),
        hovertemplate="%{y}: %{x:+.4f} nats<extra>" + info.modules[number] + "</extra>",
    )
