"""Publishing a comparison into optuna-dashboard: figures, and the diagnosis as the study's note."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_fusion.analysis.arms import Comparison
from nas_fusion.analysis.diagnosis import diagnose
from nas_fusion.analysis.findings import findings_markdown
from nas_fusion.analysis.tables import comparison_table, search_columns, test_columns
from nas_fusion.visualization.figures import NamedFigure, all_figures

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    import plotly.graph_objects as go

PREFIX = "nas-fusion-"
_CARD = 445  # pixels
_DOTS = ("evaluated", "not evaluated")
_ROOM = 40  # nodes of a lattice
_SHRUNK = 0.6  # dots of a brain


def publish(study: optuna.Study, comparison: Comparison) -> list[str]:
    """Write a comparison's figures and diagnosis onto a study, where optuna-dashboard shows them; return the figures' ids.

    Publishing again replaces what was published before.

    Raises:
        ValueError: If the comparison holds no search.
    """
    from optuna_dashboard import save_note, save_plotly_graph_object

    ids = []
    for named in all_figures(comparison):
        ids.append(save_plotly_graph_object(study, _fitted(named), graph_object_id=f"{PREFIX}{named.name}"))
    save_note(study, note(comparison))
    return ids


def _fitted(named: NamedFigure) -> go.Figure:
    """Return a figure made to fit the dashboard's cards, which are of one height and cut off what is taller."""
    figure = named.figure
    title = {"text": named.title, "x": 0.01, "y": 0.98, "yanchor": "top", "font": {"size": 15}}
    figure.update_layout(
        height=_CARD, title=title, margin={"t": 110, "b": 75 if named.name == "arms" else 45}, legend={"font": {"size": 11}}
    )
    if named.name == "arms":
        figure.update_yaxes(ticktext=[text.replace("<br>", " ") for text in figure.layout.yaxis.ticktext])
    if named.name == "lattice":
        _fit_lattice(figure)
    if named.name.startswith("routing"):
        _fit_panels(figure)
    return figure


def _fit_lattice(figure: go.Figure) -> None:
    """Names on one line below small nodes; searches' symbols only where there is room for them."""
    crowded = sum(len(trace.x) for trace in figure.data if trace.name in _DOTS) > _ROOM
    figure.update_traces(marker={"size": 7 if crowded else 11}, selector=lambda trace: trace.name in _DOTS)
    figure.update_traces(marker={"size": 5 if crowded else 7}, selector={"name": "best of all"})
    for annotation in figure.layout.annotations:
        annotation.text = annotation.text.replace("<br>", " ")
    figure.update_annotations(font={"size": 9}, yshift=-12)
    marks = {"visible": False} if crowded else {"textfont": {"size": 9}, "marker": {"size": 9}}
    figure.update_traces(marks, selector={"mode": "markers+text"})


def _fit_panels(figure: go.Figure) -> None:
    """Small letters and dots, and the legend below: panels need the height."""
    legend = {"y": 0, "yref": "container", "yanchor": "bottom", "x": 0.5, "xanchor": "center", "font": {"size": 10}}
    figure.update_layout(margin={"t": 75, "b": 60}, legend=legend)
    figure.update_annotations(font={"size": 10})
    figure.update_xaxes(tickfont={"size": 9}, title={"font": {"size": 10}})
    figure.update_yaxes(tickfont={"size": 9})
    for trace in figure.select_traces({"mode": "markers"}):
        if isinstance(trace.marker.size, tuple):
            trace.marker.size = [round(size * _SHRUNK, 2) for size in trace.marker.size]


def note(comparison: Comparison) -> str:
    """Return diagnosis and tables as Markdown."""
    table = comparison_table(comparison)
    words = comparison.space.words
    shown = _markdown(search_columns(table, words))
    parts = [f"## {words.question}", findings_markdown(diagnose(comparison)), "## Comparison", shown]
    tested = test_columns(table)
    if len(tested):
        parts += ["## Test subjects", _markdown(tested)]
    return "\n\n".join([*parts, f"`{comparison.command}`"])


def _markdown(table: pd.DataFrame) -> str:
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
