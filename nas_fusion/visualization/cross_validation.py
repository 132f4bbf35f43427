"""A cross-validation as a page: what holds, the table, and the differences with their intervals."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from nas_fusion.analysis.cross_sentences import (
    cross_validation_columns,
    cross_validation_findings,
    how_it_was_compared,
    metric_title,
)
from nas_fusion.analysis.cross_validation import CrossValidation, cross_validation_table
from nas_fusion.visualization.elements import facts_html, figure_html, finding_html, table_html, write_page
from nas_fusion.visualization.style import COLOURS, INK, interval_bars, new_figure

_DRAWN = ("loss", "accuracy", "auc")


@dataclass(frozen=True)
class _DifferenceInfo:
    """One arm: its title, and a metric's difference with its interval."""

    title: str
    mean: float
    low: float
    high: float


def write_cross_validation(result: CrossValidation, path: str | Path) -> Path:
    """Write a cross-validation as one self-contained HTML file, and return its path.

    Args:
        result: What was scored.
        path: Of the file; its folder is made if need be, an older one is replaced.
    """
    return write_page(path, _title(result), _body(result))


def differences_figure(result: CrossValidation, metric: str = "loss") -> go.Figure:
    """Return by how much each arm's metric is above that of the arm that all are compared with, with its 95 % interval.

    Args:
        result: With at least two arms.
        metric: One of `nas_fusion.analysis.cross_validation.METRICS`.
    """
    infos = _get_differences_info(result, metric)
    rows = list(range(len(infos), 0, -1))
    figure = new_figure(height=150 + 42 * len(infos))
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    means = [info.mean for info in infos]
    ends = [info.low for info in infos], [info.high for info in infos]
    figure.add_trace(
        go.Scatter(
            x=[round(mean, 5) for mean in means],
            y=rows,
            mode="markers",
            marker={"color": COLOURS[0], "size": 9},
            error_x=interval_bars(means, *ends, thickness=2, width=5, color=COLOURS[0]),
            showlegend=False,
            hovertemplate="%{x:+.3f}<extra></extra>",
        )
    )
    unit = " (nats)" if metric == "loss" else ""
    figure.update_xaxes(
        title=f"{metric_title(metric).lower() if metric == 'loss' else metric_title(metric)} of the arm minus "
        f"that of {result.arms[result.against]}{unit}"
    )
    titles = [info.title for info in infos]
    return figure.update_yaxes(tickvals=rows, ticktext=titles, showgrid=False, range=[0.4, len(infos) + 0.6], ticks="")


def _get_differences_info(result: CrossValidation, metric: str) -> list[_DifferenceInfo]:
    table = cross_validation_table(result)
    found = [(arm, table.loc[(arm, metric)]) for arm in result.others]
    return [_DifferenceInfo(result.arms[arm], row["difference"], row["low"], row["high"]) for arm, row in found]


def _title(result: CrossValidation) -> str:
    return f"Cross-validation: {result.space} on {result.cohort.get('name', 'a cohort')}"


def _body(result: CrossValidation) -> Iterator[str]:
    yield f"<h1>{html.escape(_title(result))}</h1>"
    yield f'<p class="about">{html.escape(_about(result))}</p>'
    yield from map(finding_html, cross_validation_findings(result))
    yield "<h2>Arms</h2>"
    columns = cross_validation_columns(result)
    yield table_html(columns, pd.Series("arm", index=columns.index))
    yield f'<p class="about">{html.escape(how_it_was_compared(result))}</p>'
    if result.others:
        yield from _figures(result)
    yield "<h2>How this was made</h2>"
    if result.command:
        yield f"<p>This command makes it again:</p><pre>{html.escape(result.command)}</pre>"
    yield facts_html(result.settings)
    yield "<h2>Cohort</h2>"
    yield facts_html(result.cohort)


def _about(result: CrossValidation) -> str:
    subjects = f"{result.cohort['subjects']} subjects; " if "subjects" in result.cohort else ""
    times = "" if result.repeats == 1 else f"{result.repeats} × "
    return f"{subjects}{times}{result.folds} folds, stratified; {len(result.arms)} arms, each trained in every fold."


def _figures(result: CrossValidation) -> Iterator[str]:
    for metric in _DRAWN:
        side = "Left is better" if metric == "loss" else "Right is better"
        caption = (
            f"Mean difference over the folds and its 95 % interval, corrected for training sets that overlap. {side}; an "
            "interval that holds zero shows no difference."
        )
        title = f"{metric_title(metric)}, compared"
        yield figure_html(f"differences-{metric}", title, caption, differences_figure(result, metric))
