"""The report: one HTML file that holds everything and requests nothing."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from nas_fusion.analysis.arms import Comparison
from nas_fusion.analysis.availability import READING as READING_AVAILABILITY
from nas_fusion.analysis.availability import availability_columns, availability_table
from nas_fusion.analysis.diagnosis import diagnose
from nas_fusion.analysis.routing_tables import READING_ADAPTIVITY, READING_LAYERS, adaptivity_columns, layer_columns
from nas_fusion.analysis.tables import comparison_table, replay_columns, search_columns, test_columns
from nas_fusion.visualization.elements import facts_html, figure_html, finding_html, reasons_html, table_html, write_page
from nas_fusion.visualization.figures import NamedFigure, all_figures


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
    return write_page(path, _title(comparison), _body(comparison))


def _body(comparison: Comparison) -> Iterator[str]:
    verdict, *others = diagnose(comparison)
    yield f"<h1>{html.escape(_title(comparison))}</h1>"
    yield f'<p class="about">{html.escape(about_comparison(comparison))}</p>'
    yield f'<p class="verdict {verdict.level}">{html.escape(verdict.sentence)}</p>'
    yield reasons_html(verdict)
    if others:
        yield "<h2>Diagnosis</h2>"
        yield from map(finding_html, others)
    yield from comparison_tables(comparison)
    yield from _availability(comparison)
    yield from map(_figure, all_figures(comparison))
    yield from _routing(comparison)
    yield from _replays(comparison)
    yield from provenance(comparison)


def _title(comparison: Comparison) -> str:
    return f"{comparison.space.words.title}: {comparison.space.name} on {comparison.cohort.get('name', 'a cohort')}"


def about_comparison(comparison: Comparison) -> str:
    """Return what was compared on whom, and how many trainings that took, in a line."""
    cohort = comparison.cohort
    parts = [f"{cohort['subjects']} subjects"] if "subjects" in cohort else []
    parts += [" + ".join(cohort["modalities"])] if "modalities" in cohort else []
    parts += [" / ".join(map(str, cohort["classes"]))] if "classes" in cohort else []
    plural = "" if comparison.trained_for_search == 1 else "s"
    trained = f"{comparison.trained_for_search} training{plural} served the search"
    audit = f", {comparison.trained_for_audit} only the comparison" if comparison.trained_for_audit else ""
    return "; ".join([*parts, f"{trained}{audit}{comparison.said_in_vain}"]) + "."


def comparison_tables(comparison: Comparison) -> Iterator[str]:
    """Yield the table of all arms, and that of the test subjects where they have been looked at."""
    table = comparison_table(comparison)
    yield "<h2>Comparison</h2>"
    words = comparison.space.words
    yield table_html(search_columns(table, words), table["kind"], words.chosen)
    yield f'<p class="about">{html.escape(_reading(comparison))}</p>'
    tested = test_columns(table)
    if len(tested):
        subjects = max(len(set(arm.test.subjects)) for arm in comparison.arms if arm.test is not None)
        yield f"<h2>Test subjects</h2><p>{subjects} subjects that no search has seen, evaluated once, after all searches.</p>"
        yield table_html(tested, table["kind"][tested.index])
        yield (
            '<p class="about">Below each score its 95 % bootstrap interval over subjects, drawn within each class; over groups '
            "where subjects come in groups. What training again would change is not in them.</p>"
        )


def _availability(comparison: Comparison) -> Iterator[str]:
    table = availability_table(comparison)
    if not len(table):
        return
    yield "<h2>By available modalities</h2>"
    for part, rows in table.groupby("part", sort=False):
        yield f"<p>{str(part).capitalize()} subjects:</p>"
        yield table_html(availability_columns(rows), rows["modalities"], "Available")
    yield f'<p class="about">{html.escape(READING_AVAILABILITY)}</p>'


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


def _figure(named: NamedFigure) -> str:
    return figure_html(named.name, named.title, named.caption, named.figure)


def _routing(comparison: Comparison) -> Iterator[str]:
    evidence = comparison.routing
    if evidence is None:
        return
    layers, adaptivity = layer_columns(evidence), adaptivity_columns(evidence)
    yield "<h2>Routing in numbers</h2>"
    yield table_html(layers, pd.Series("layer", index=layers.index), "Layer")
    yield f'<p class="about">{html.escape(READING_LAYERS)}</p>'
    if len(adaptivity):
        yield table_html(adaptivity, pd.Series("intervention", index=adaptivity.index), "Gates replaced by")
        yield f'<p class="about">{html.escape(READING_ADAPTIVITY)}</p>'


def _replays(comparison: Comparison) -> Iterator[str]:
    replays = replay_columns(comparison)
    if len(replays):
        yield "<h2>Other searches, replayed</h2><p>What each would have found on this landscape, in how many evaluations.</p>"
        yield table_html(replays, pd.Series("replay", index=replays.index))


def provenance(comparison: Comparison) -> Iterator[str]:
    """Yield how a comparison was made, and on which cohort."""
    yield "<h2>How this was made</h2>"
    if comparison.command:
        yield f"<p>This command makes it again:</p><pre>{html.escape(comparison.command)}</pre>"
    yield facts_html({"inherit": comparison.inherit, **comparison.settings})
    yield "<h2>Cohort</h2>"
    yield facts_html(comparison.cohort)
