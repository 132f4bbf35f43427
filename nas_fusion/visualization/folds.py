"""The spread behind a mean: over folds, or with one fold over the subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.paired import on_common_subjects, paired_difference, subject_differences
from nas_fusion.record import Predictions
from nas_fusion.visualization.style import COLOURS, INK, PALE, faint, interval_bars, new_figure

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class _FoldsInfo:
    """One arm and its validation loss in each fold."""

    title: str
    losses: tuple[float, ...]


@dataclass(frozen=True)
class _SubjectsInfo:
    """One arm: by how much its loss is below the baseline's; quantiles 5, 25, 50, 75, 95 % of subjects, mean with interval."""

    title: str
    quantiles: tuple[float, ...]
    mean: float
    low: float
    high: float


def folds_figure(comparison: Comparison) -> go.Figure:
    """Return the loss of each arm in each fold; with one fold, what each subject gains over the baseline.

    Raises:
        ValueError: If there is one fold and no baseline to compare subjects with.
    """
    if n_folds(comparison) > 1:
        return _over_folds(_get_folds_info(comparison))
    return _over_subjects(_get_subjects_info(comparison))


def n_folds(comparison: Comparison) -> int:
    """Return the number of folds in which the first arm was validated."""
    return len(set(comparison.arms[0].validation.fold.tolist()))


def _get_folds_info(comparison: Comparison) -> list[_FoldsInfo]:
    return [_FoldsInfo(arm.title, _by_fold(arm.validation)) for arm in comparison.arms]


def _by_fold(predictions: Predictions) -> tuple[float, ...]:
    _, rows = np.unique(predictions.fold, return_inverse=True)
    return tuple((np.bincount(rows, weights=predictions.losses) / np.bincount(rows)).tolist())


def _get_subjects_info(comparison: Comparison) -> list[_SubjectsInfo]:
    baseline = comparison.baseline
    if baseline is None:
        raise ValueError("`comparison` must hold the baseline where there is one fold, but got none.")
    others = [arm for arm in comparison.arms if arm is not baseline and arm.best != comparison.space.baseline]
    return [_subjects(baseline, arm) for arm in others if len(set(arm.validation.subjects)) > 1]


def _subjects(baseline: Arm, arm: Arm) -> _SubjectsInfo:
    both = on_common_subjects(baseline.validation, arm.validation)
    gains, mean = subject_differences(*both), paired_difference(*both)
    return _SubjectsInfo(arm.title, tuple(np.quantile(gains, _QUANTILES).tolist()), mean.mean, mean.low, mean.high)


def _over_folds(infos: list[_FoldsInfo]) -> go.Figure:
    rows = list(range(len(infos), 0, -1))
    figure = _rows_figure([info.title for info in infos], "validation loss (nats)")
    for fold in range(max(len(info.losses) for info in infos)):
        drawn = [(info.losses[fold], row) for info, row in zip(infos, rows, strict=True) if fold < len(info.losses)]
        x, y = zip(*drawn, strict=True)
        marker = {"color": faint(COLOURS[0], 0.6), "size": 10}
        hover = f"fold {fold + 1}: " + "%{x:.3f} nats<extra></extra>"
        figure.add_trace(
            go.Scatter(x=x, y=y, mode="markers", marker=marker, hovertemplate=hover, name="a fold", showlegend=fold == 0)
        )
    means = [sum(info.losses) / len(info.losses) for info in infos]
    marker = {"symbol": "line-ns-open", "size": 20, "color": INK, "line": {"width": 2.5}}
    return figure.add_trace(go.Scatter(x=means, y=rows, mode="markers", marker=marker, name="mean of the folds"))


def _over_subjects(infos: list[_SubjectsInfo]) -> go.Figure:
    rows = list(range(len(infos), 0, -1))
    figure = _rows_figure([info.title for info in infos], "loss of A₀ minus loss of the arm, same subject (nats)")
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    spread = [[round(info.quantiles[i], 5) for info in infos] for i in range(len(_QUANTILES))]
    figure.add_trace(
        go.Box(
            y=rows,
            lowerfence=spread[0],
            q1=spread[1],
            median=spread[2],
            q3=spread[3],
            upperfence=spread[4],
            orientation="h",
            name="subjects (5, 25, 50, 75, 95 %)",
            line={"color": PALE, "width": 1.5},
            fillcolor=faint(PALE, 0.25),
            width=0.5,
            hoverinfo="skip",
        )
    )
    means = [round(info.mean, 5) for info in infos]
    ends = [info.low for info in infos], [info.high for info in infos]
    reach = interval_bars([info.mean for info in infos], *ends, thickness=2, width=5, color=COLOURS[0])
    marker = {"color": COLOURS[0], "size": 9}
    hover = "%{x:.3f} nats<extra></extra>"
    return figure.add_trace(
        go.Scatter(x=means, y=rows, mode="markers", marker=marker, error_x=reach, name="mean, 95 %", hovertemplate=hover)
    )


def _rows_figure(titles: list[str], axis: str) -> go.Figure:
    figure = new_figure(height=160 + 42 * len(titles))
    rows = list(range(len(titles), 0, -1))
    figure.update_xaxes(title=axis)
    return figure.update_yaxes(tickvals=rows, ticktext=titles, showgrid=False, range=[0.4, len(titles) + 0.6], ticks="")
