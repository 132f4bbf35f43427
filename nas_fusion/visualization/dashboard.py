"""Publishing a comparison into optuna-dashboard: figures, and the diagnosis as the study's note."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_fusion.analysis.arms import Comparison
from nas_fusion.analysis.diagnosis import diagnose
from nas_fusion.analysis.findings import findings_markdown
from nas_fusion.analysis.tables import comparison_table, search_columns, test_columns
from nas_fusion.visualization.figures import all_figures

if TYPE_CHECKING:
    import optuna
    import pandas as pd

PREFIX = "nas-fusion-"


def publish(study: optuna.Study, comparison: Comparison) -> list[str]:
    """Write a comparison's figures and diagnosis onto a study, where optuna-dashboard shows them; return the figures' ids.

    Publishing again replaces what was published before.

    Raises:
        ValueError: If the comparison holds no search.
    """
    from optuna_dashboard import save_note, save_plotly_graph_object

    ids = []
    for named in all_figures(comparison):
        named.figure.update_layout(title={"text": named.title, "x": 0.01, "font": {"size": 15}})
        ids.append(save_plotly_graph_object(study, named.figure, graph_object_id=f"{PREFIX}{named.name}"))
    save_note(study, note(comparison))
    return ids


def note(comparison: Comparison) -> str:
    """Return diagnosis and tables as Markdown."""
    table = comparison_table(comparison)
    parts = ["## Does fusion pay?", findings_markdown(diagnose(comparison)), "## Comparison", _markdown(search_columns(table))]
    tested = test_columns(table)
    if len(tested):
        parts += ["## Test subjects", _markdown(tested)]
    return "\n\n".join([*parts, f"`{comparison.command}`"])


def _markdown(table: pd.DataFrame) -> str:
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
