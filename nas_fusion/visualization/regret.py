"""Regret against cost: what each search would have selected, had it been stopped earlier."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from nas_fusion.analysis.arms import Comparison
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.regret import OPTIMUM, chance_regret, regret_curves
from nas_fusion.visualization.style import INK, PALE, colour, faint, legend_entry, line_width, new_figure, symbol

_LONG = 40  # evaluations: from there on the axes are logarithmic
_DRAWN = 60  # points of a long line
_PANELS = (("evaluation", "x", "evaluations", (0.0, 0.485)), ("epochs", "x2", "trained epochs", (0.515, 1.0)))


def regret_figure(comparison: Comparison) -> go.Figure:
    """Return the regret of each search by the number of evaluations, and beside it by trained epochs, as steps.

    A search's symbol stands at its end. Where the landscape is complete, a dashed line shows what the same number of
    evaluations in random order is expected to leave.
    """
    curves = regret_curves(comparison)
    figure = new_figure(height=430, hovermode="closest")
    arms = comparison.searches
    for position, arm in enumerate(arms):
        steps = _changes(curves[curves["arm"] == arm.name])
        width = line_width(position, len(arms))
        figure.add_traces([_steps(steps, column, axis, position, width) for column, axis, _, _ in _PANELS])
        figure.add_trace(legend_entry(arm.title, arm.name, position))
    for position, arm in enumerate(arms):  # above all lines
        last = curves[curves["arm"] == arm.name].iloc[-1]
        figure.add_traces([_end(last, column, axis, position) for column, axis, _, _ in _PANELS])
    if comparison.landscape is not None and comparison.landscape.complete:
        every = len(comparison.landscape)
        draws = sorted({round(every ** (step / _DRAWN)) for step in range(_DRAWN + 1)}) if every > _LONG else None
        figure.add_trace(_chance(chance_regret(comparison.landscape, draws)))
    _lay_out(figure, curves)
    return figure


def regret_caption(comparison: Comparison) -> str:
    """Return what the figure shows, in words."""
    curves = regret_curves(comparison)
    if (curves["reference"] == OPTIMUM).all():
        text = (
            "How far above the best of all configurations each search would have stopped, had it ended after so many "
            "evaluations (left) or trained epochs (right, those of inherited weights included): the loss of its best so far on "
            "the common landscape. Dashed: what as many evaluations in random order are expected to leave."
        )
    else:
        text = (
            "How far above the best found by any search each search would have stopped, had it ended after so many evaluations "
            "(left) or trained epochs (right, those of inherited weights included), by its own losses. The best of all is not "
            "known: no search has evaluated everything."
        )
    return f"{text} In the shaded part, training again would change as much. Each symbol marks a search's end."


def _changes(steps: pd.DataFrame) -> pd.DataFrame:
    """Where a step begins, and the last: what is in between draws nothing."""
    kept = (steps["best"] != steps["best"].shift()) | (steps["regret"] != steps["regret"].shift())
    kept.iloc[-1] = True
    return steps[kept]


def _steps(steps: pd.DataFrame, column: str, axis: str, position: int, width: float) -> go.Scatter:
    title, arm = steps[["title", "arm"]].iloc[0]
    unit = "evaluations" if column == "evaluation" else "epochs"
    return go.Scatter(
        x=steps[column].tolist(),
        y=[round(regret, 5) for regret in steps["regret"]],
        xaxis=axis,
        mode="lines",
        line={"color": colour(position), "width": width, "shape": "hv"},
        name=title,
        legendgroup=arm,
        showlegend=False,
        customdata=steps["best"].tolist(),
        hovertemplate=f"{title}, %{{x:,.0f}} {unit}<br>%{{customdata}}<br>regret %{{y:.4f}} nats<extra></extra>",
    )


def _end(last: pd.Series, column: str, axis: str, position: int) -> go.Scatter:
    return go.Scatter(
        x=[last[column]],
        y=[round(last["regret"], 5)],
        xaxis=axis,
        mode="markers",
        marker={"symbol": symbol(position), "color": colour(position), "size": 12, "line": {"width": 1, "color": "#FFFFFF"}},
        name=f"{last['title']}: end",
        legendgroup=last["arm"],
        showlegend=False,
        hoverinfo="skip",
    )


def _chance(expected: dict[int, float]) -> go.Scatter:
    return go.Scatter(
        x=list(expected),
        y=[round(regret, 5) for regret in expected.values()],
        mode="lines",
        line={"color": INK, "width": 1.2, "dash": "dash"},
        name="random order, expected",
        hovertemplate="%{x} evaluations in random order<br>expected regret %{y:.4f} nats<extra></extra>",
    )


def _lay_out(figure: go.Figure, curves: pd.DataFrame) -> None:
    long = curves["evaluation"].max() > _LONG
    for column, axis, title, domain in _PANELS:
        largest, smallest = curves[column].max(), curves[column].min()
        reach = [math.log10(smallest) - 0.03, math.log10(largest) + 0.06] if long else [0, largest * 1.04]
        few = {"dtick": next(step for step in (1, 2, 5) if largest <= 10 * step)} if largest <= 50 else {}
        known = {"type": "log", "dtick": "D2", "range": reach} if long else {"range": reach, **few}
        figure.update_layout({f"xaxis{axis[1:]}": {"title": title, "domain": domain, **known}})
    template = figure.layout.xaxis.to_plotly_json()
    shared = ("gridcolor", "zeroline", "automargin", "linecolor", "ticks", "tickcolor")
    figure.update_layout(xaxis2={name: template[name] for name in shared}, xaxis2_anchor="y")
    highest = max(curves["regret"].max(), 2 * NEGLIGIBLE)
    named = "regret" if (curves["reference"] == OPTIMUM).all() else "loss above the best found"
    figure.update_yaxes(title=f"{named} (nats)", range=[-0.04 * highest, 1.06 * highest])
    figure.add_shape(
        type="rect",
        xref="paper",
        x0=0,
        x1=1,
        y0=0,
        y1=NEGLIGIBLE,
        fillcolor=faint(PALE, 0.35),
        line={"width": 0},
        layer="below",
    )
