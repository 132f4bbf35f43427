"""The report: one HTML file that holds everything and requests nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.offline

from nas_fusion.analysis.arms import Comparison
from nas_fusion.analysis.diagnosis import diagnose
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.tables import comparison_table, replay_columns, search_columns, test_columns
from nas_fusion.visualization.figures import NamedFigure, all_figures
from nas_fusion.visualization.page import PAGE, POLICY, STYLE

_CONFIG = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}
_WORDS = ("Arm", "Chosen points", "Search")


def write_report(comparison: Comparison, path: str | Path) -> Path:
    """Write a comparison (or a single search) as one self-contained HTML file, and return its path.

    Verdict and diagnosis come first, then the comparison table, the figures (arms, search trees, regret against cost, what
    points are worth, losses, curves, spread), what other searches would have found where one was trapped, and how it was made.
    plotly's library is part of the file, and a content policy forbids the browser every request.

    Args:
        comparison: With at least one search.
        path: Of the file; its folder is made if need be, an older report is replaced.

    Raises:
        ValueError: If there is no search.
    """
    path = Path(path)
    page = PAGE.substitute(
        policy=POLICY,
        title=html.escape(_title(comparison)),
        style=STYLE,
        plotly=plotly.offline.get_plotlyjs(),
        body="\n".join(_body(comparison)),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(page, encoding="utf-8")
    return draft.replace(path)


def _body(comparison: Comparison) -> Iterator[str]:
    verdict, *others = diagnose(comparison)
    yield f"<h1>{html.escape(_title(comparison))}</h1>"
    yield f'<p class="about">{html.escape(_about(comparison))}</p>'
    yield f'<p class="verdict {verdict.level}">{html.escape(verdict.sentence)}</p>'
    yield _reasons(verdict)
    if others:
        yield "<h2>Diagnosis</h2>"
        yield from map(_finding, others)
    yield from _tables(comparison)
    yield from map(_figure, all_figures(comparison))
    yield from _replays(comparison)
    yield from _provenance(comparison)


def _title(comparison: Comparison) -> str:
    return f"Where to fuse: {comparison.space.name} on {comparison.cohort.get('name', 'a cohort')}"


def _about(comparison: Comparison) -> str:
    cohort = comparison.cohort
    parts = [f"{cohort['subjects']} subjects"] if "subjects" in cohort else []
    parts += [" + ".join(cohort["modalities"])] if "modalities" in cohort else []
    parts += [" / ".join(map(str, cohort["classes"]))] if "classes" in cohort else []
    trained = f"{comparison.trained_for_search} trainings served the search"
    audit = f", {comparison.trained_for_audit} only the comparison" if comparison.trained_for_audit else ""
    return "; ".join([*parts, f"{trained}{audit}{comparison.said_in_vain}"]) + "."


def _finding(finding: Finding) -> str:
    return (
        f'<div class="finding {finding.level}"><span class="level">{finding.level}</span>'
        f"<p>{html.escape(finding.sentence)}</p>{_reasons(finding)}</div>"
    )


def _reasons(finding: Finding) -> str:
    causes = "".join(f"<li>{html.escape(cause)}</li>" for cause in finding.causes)
    listed = f"<p>Likely causes:</p><ul>{causes}</ul>" if causes else ""
    return listed + (f"<p>Next, try:</p><pre>{html.escape(finding.command)}</pre>" if finding.command else "")


def _tables(comparison: Comparison) -> Iterator[str]:
    table = comparison_table(comparison)
    yield "<h2>Comparison</h2>"
    yield _table(search_columns(table), table["kind"])
    yield f'<p class="about">{html.escape(_reading(comparison))}</p>'
    tested = test_columns(table)
    if len(tested):
        subjects = max(len(set(arm.test.subjects)) for arm in comparison.arms if arm.test is not None)
        yield f"<h2>Test subjects</h2><p>{subjects} subjects that no search has seen, evaluated once, after all searches.</p>"
        yield _table(tested, table["kind"][tested.index])
        yield (
            '<p class="about">Below each score its 95 % bootstrap interval over subjects, drawn within each class. What '
            "training again would change is not in them.</p>"
        )


def _reading(comparison: Comparison) -> str:
    text = (
        "Validation loss (nats) is what the arm itself reached, and was selected on. Trained in all: by all its evaluations "
        "and what they inherit from; trained by the chosen: what the chosen weights have seen, their lineage's training "
        "included."
    )
    if comparison.landscape is not None:
        text += (
            " Regret is read off one landscape on which every configuration was trained by one rule "
            f"(inherit {comparison.landscape_inherit}), so that longer lineages are not flattered."
        )
        if len(next(iter(comparison.landscape.samples.values()))) > 1:
            text += (
                " ± is the standard error over folds (over training seeds where there is one fold), of a regret that of the "
                "paired difference to the best of all."
            )
    return text


def _table(table: pd.DataFrame, kinds: pd.Series) -> str:
    head = "".join(f"<th{_class(name)}>{html.escape(name)}</th>" for name in table.columns)
    rows, before = [], None
    for (_, row), kind in zip(table.iterrows(), kinds, strict=True):
        cells = "".join(f"<td{_class(name)}>{_cell(text)}</td>" for name, text in row.items())
        first = " first-of-kind" if before is not None and kind != before else ""
        rows.append(f'<tr class="{kind}{first}">{cells}</tr>')
        before = kind
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _class(column: object) -> str:
    return ' class="words"' if column in _WORDS else ""


def _cell(text: str) -> str:
    value, bracket, detail = html.escape(text).partition(" [")
    return f"{value}<small>{detail.replace(']', '')}</small>" if bracket else value


def _figure(named: NamedFigure) -> str:
    drawn = named.figure.to_html(
        full_html=False, include_plotlyjs=False, include_mathjax=False, config=_CONFIG, div_id=f"figure-{named.name}"
    )
    caption = f"<figcaption>{html.escape(named.caption)}</figcaption>"
    return f'<h2 id="{named.name}">{html.escape(named.title)}</h2><figure>{caption}{drawn}</figure>'


def _replays(comparison: Comparison) -> Iterator[str]:
    replays = replay_columns(comparison)
    if len(replays):
        yield "<h2>Other searches, replayed</h2><p>What each would have found on this landscape, in how many evaluations.</p>"
        yield _table(replays, pd.Series("replay", index=replays.index))


def _provenance(comparison: Comparison) -> Iterator[str]:
    yield "<h2>How this was made</h2>"
    if comparison.command:
        yield f"<p>This command makes it again:</p><pre>{html.escape(comparison.command)}</pre>"
    yield _facts({"inherit": comparison.inherit, **comparison.settings})
    yield "<h2>Cohort</h2>"
    yield _facts(comparison.cohort)


def _facts(facts: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><td>{html.escape(str(k))}</td><td>{html.escape(_fact(v))}</td></tr>" for k, v in facts.items())
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_fact(item)}" for key, item in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value)) or "–"
    return value if isinstance(value, str) else json.dumps(value, default=str)
