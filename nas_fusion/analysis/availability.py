"""Results by availability: how well subjects are predicted who have all modalities, and those who lack some."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.bootstrap import bootstrap_scores
from nas_fusion.analysis.tables import cell, kind_of
from nas_fusion.record import Predictions

SCORES = ("loss", "accuracy", "auc")
READING = (
    "Each arm's scores on the subjects who have just these modalities, with 95 % bootstrap intervals over subjects, drawn "
    "within each class; the area under the ROC curve where both classes occur. A modality alone is trained and judged on those "
    "who have it; late fusion averages over the modalities that a subject has."
)
Pattern = tuple[str, ...]


def patterns(comparison: Comparison) -> dict[Pattern, frozenset[str]]:
    """Return what subjects have to who they are: most modalities first, then in the order of the modalities.

    Empty where everybody has everything.
    """
    order = list(comparison.cohort.get("modalities", ()))
    found: dict[Pattern, set[str]] = {}
    for subject, has in comparison.availability.items():
        found.setdefault(tuple(has), set()).add(subject)

    def rank(pattern: Pattern) -> tuple[int, list[int]]:
        return -len(pattern), [order.index(name) if name in order else len(order) for name in pattern]

    return {pattern: frozenset(found[pattern]) for pattern in sorted(found, key=rank)}


def availability_table(
    comparison: Comparison, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Return one row for each part (`validation`, `test`), pattern of available modalities and arm; no row without subjects.

    Columns: `part`, `modalities` (such as `T1w + FLAIR`), `arm`, `title`, `kind` (see `kind_of`), `n` (subjects), and for each
    score `s` of `loss` (nats), `accuracy`, `auc`: `s`, `s_low`, `s_high`. What is not defined is not a number.

    Args:
        comparison: What is to be shown. Where everybody has everything, the table is empty.
        resamples: Of the bootstrap, see `bootstrap_scores`.
        confidence: Of its intervals.
        seed: Of its draws.
    """
    rows = [
        {"part": part, "modalities": in_words(pattern), **_who(comparison, arm), **_scores(said, resamples, confidence, seed)}
        for part in ("validation", "test")
        for pattern, subjects in patterns(comparison).items()
        for arm in comparison.arms
        for said in _said(arm, part, subjects)
    ]
    names = [f"{score}{end}" for score in SCORES for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["part", "modalities", "arm", "title", "kind", "n", *names])


def availability_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return a part of an availability table as text ready to be shown."""
    shown = {"Available": list(table["modalities"]), "Arm": list(table["title"]), "Subjects": [str(n) for n in table["n"]]}
    for score, title in (("loss", "Loss"), ("accuracy", "Accuracy"), ("auc", "AUC")):
        ends = table[[score, f"{score}_low", f"{score}_high"]].itertuples(index=False)
        shown[title] = [_interval(*values) for values in ends]
    return pd.DataFrame(shown, index=table.index)


def availability_summary(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the table as JSON-compatible rows, each score as `[value, low, high]`; empty where everybody has everything."""
    rows = availability_table(comparison).to_dict("records") if comparison.availability else []
    return [
        {
            **{name: row[name] for name in ("part", "modalities", "arm", "n")},
            **{score: [float(row[f"{score}{end}"]) for end in ("", "_low", "_high")] for score in SCORES},
        }
        for row in rows
    ]


def in_words(pattern: Pattern) -> str:
    """Return modalities as a subject has them: `T1w + FLAIR`."""
    return " + ".join(pattern)


def _said(arm: Arm, part: str, subjects: frozenset[str]) -> Sequence[Predictions]:
    """Return what an arm says of some subjects: nothing, or one value."""
    predictions = arm.validation if part == "validation" else arm.test
    found = None if predictions is None else predictions.of(subjects)
    return [] if found is None or not found.subjects else [found]


def _who(comparison: Comparison, arm: Arm) -> dict[str, str]:
    return {"arm": arm.name, "title": arm.title, "kind": kind_of(comparison, arm)}


def _scores(predictions: Predictions, resamples: int, confidence: float, seed: int) -> Mapping[str, float]:
    found = bootstrap_scores(predictions, scores=SCORES, resamples=resamples, confidence=confidence, seed=seed)
    ends = {f"{score}{end}": value for score in SCORES for end, value in zip(("", "_low", "_high"), found[score], strict=True)}
    return {"n": len(set(predictions.subjects)), **ends}


def _interval(value: float, low: float, high: float) -> str:
    return cell("loss", value) if math.isnan(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"
