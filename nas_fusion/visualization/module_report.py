"""The report of a comparison of modules: whether the best point moves, as one HTML file."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from nas_fusion.analysis.module_sentences import module_findings
from nas_fusion.analysis.module_tables import (
    READING_MODULES,
    READING_POINTS,
    READING_RANKS,
    module_columns,
    point_columns,
    rank_columns,
)
from nas_fusion.analysis.modules import ModuleComparison
from nas_fusion.visualization.arms import arms_figure
from nas_fusion.visualization.elements import figure_html, finding_html, reasons_html, table_html, write_page
from nas_fusion.visualization.figures import arms_caption
from nas_fusion.visualization.modules import intervals_caption, module_intervals_figure, modules_caption, modules_figure
from nas_fusion.visualization.report import about_comparison, comparison_tables, provenance


def write_module_report(result: ModuleComparison, path: str | Path) -> Path:
    """Write a comparison of modules as one self-contained HTML file, and return its path.

    Whether the best point moves comes first, then the other findings, points and modules as table and figures, what modules
    cost, how alike they rank points, all arms with their test scores, and how it was made.

    Args:
        result: What was compared.
        path: Of the file; its folder is made if need be, an older report is replaced.
    """
    return write_page(path, _title(result), _body(result))


def _title(result: ModuleComparison) -> str:
    words = result.space.words
    cohort = result.comparison.cohort.get("name", "a cohort")
    return f"Does the best {words.parameter} move with the {words.choice}? {result.space.name} on {cohort}"


def _body(result: ModuleComparison) -> Iterator[str]:
    verdict, *others = module_findings(result)
    words = result.space.words
    yield f"<h1>{html.escape(_title(result))}</h1>"
    yield f'<p class="about">{html.escape(about_comparison(result.comparison))}</p>'
    yield f'<p class="verdict {verdict.level}">{html.escape(verdict.sentence)}</p>'
    yield reasons_html(verdict)
    yield from map(finding_html, others)
    both = f"{words.parameters.capitalize()} and {words.choices}"
    yield figure_html("modules", both, modules_caption(result), modules_figure(result))
    yield figure_html("intervals", "How certain that is", intervals_caption(result), module_intervals_figure(result))
    yield from _table(f"{both} in numbers", point_columns(result), READING_POINTS)
    set_as_words = (f"Best {words.parameter}", "Best of all")
    yield from _table(f"What the {words.choices} bring and cost", module_columns(result), READING_MODULES, *set_as_words)
    for places, columns in rank_columns(result).items():
        yield from _table(f"How alike the {words.choices} rank {places}", columns, READING_RANKS)
    yield from comparison_tables(result.comparison)
    yield f'<p class="about">{html.escape(_reading(result))}</p>'
    yield figure_html("arms", "Arms compared", arms_caption(result.comparison), arms_figure(result.comparison))
    yield from provenance(result.comparison)


def _table(title: str, columns: pd.DataFrame, reading: str, *words: str) -> Iterator[str]:
    if len(columns):
        yield f"<h2>{html.escape(title)}</h2>"
        yield table_html(columns, pd.Series("row", index=columns.index), *words)
        yield f'<p class="about">{html.escape(reading)}</p>'


def _reading(result: ModuleComparison) -> str:
    one, rule = result.space.words.choice, result.comparison.landscape_inherit
    return (
        f"Each arm keeps to one {one}; its regret, and its share of exhaustive search, are those among the configurations of "
        f"that {one}. On the landscape: trained by the rule that is common to all (inherit {rule})."
    )
