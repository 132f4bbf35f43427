"""The comparison as a table: for programs (pandas) and for people (plain text)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.bootstrap import bootstrap_scores
from nas_fusion.analysis.costs import arm_costs, cost_in_all
from nas_fusion.analysis.naming import chosen_points, search_in_words
from nas_fusion.analysis.regret import regret_error
from nas_fusion.analysis.scores import SCORES
from nas_fusion.record import Evaluation, Predictions
from nas_fusion.words import Words

KINDS = ("search", "baseline", "reference")
_TITLES = {
    "title": "Arm",
    "validation_loss": "Validation loss",
    "landscape_loss": "On the landscape",
    "regret": "Regret",
    "evaluations": "Evaluations",
    "share_of_exhaustive": "Share of exhaustive",
}
_COSTS = {"Trained in all": ("epochs", "samples"), "Trained by the chosen": ("lineage_epochs", "lineage_samples")}
_SCORE_TITLES = {"auc": "AUC", "f1": "F1"}


def comparison_table(comparison: Comparison, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Return one row an arm, indexed by the arm's name, in the comparison's order.

    Columns: `title`, `kind` (one of `KINDS`), `ours`, `points`; `validation_loss` (that the arm itself reached) with its
    interval over subjects `validation_loss_low`, `validation_loss_high`, and `validation_error`, its standard error over folds,
    or over training seeds where there is one fold; `landscape_loss` and `regret` (of the chosen configuration, on the
    one landscape where all were trained by the same rule) with `regret_error` (its standard error over folds, or over seeds
    where there is one fold); `evaluations`, `share_of_exhaustive` (not of references),
    `trained`, `reused`, `in_vain` with its `epochs_in_vain`; `epochs` and `samples` (of all evaluations of the arm, of what
    they inherit from, each training once, and of the supernet that ranked its candidates, whose own are `supernet_epochs`) and
    `lineage_epochs`, `lineage_samples` (that the chosen weights have seen, the inherited ones included); and for each score `s`
    of `loss`, `accuracy`, `f1`, `sensitivity`, `specificity`, `auc` on the test subjects: `test_s`, `test_s_low`,
    `test_s_high`. What is not known is not a number.

    Args:
        comparison: What is to be shown.
        resamples: Of the bootstrap, see `bootstrap_scores`.
        confidence: Of its intervals.
        seed: Of its draws.
    """
    rows = {}
    for arm in comparison.arms:
        validation = _intervals("validation", arm.validation, ("loss",), resamples, confidence, seed)
        test = _intervals("test", arm.test, SCORES, resamples, confidence, seed)
        rows[arm.name] = _facts(comparison, arm) | {**validation, "validation_loss": arm.value} | _cost(arm) | test
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")


def kind_of(comparison: Comparison, arm: Arm) -> str:
    """Return whether an arm is a `search`, the `baseline` or a `reference`."""
    if arm.is_search:
        return "search"
    return "baseline" if arm.best == comparison.space.baseline else "reference"


def search_columns(table: pd.DataFrame, words: Words | None = None) -> pd.DataFrame:
    """Return the part of a comparison table that tells what was chosen and what it cost, as text ready to be shown.

    Args:
        table: See `comparison_table`.
        words: Of the space; by default those of fusion points.
    """
    titles = {"title": _TITLES["title"], "points": (words or Words()).chosen} | _TITLES
    names = [name for name in titles if name in ("title", "points") or table[name].notna().any()]
    shown = {titles[name]: [cell(name, value) for value in table[name]] for name in names}
    shown["Arm"] = _titles(table)
    if table["validation_error"].notna().any():
        errors = [cell("loss", error) for error in table["validation_error"]]
        both = zip(shown["Validation loss"], errors, strict=True)
        shown["Validation loss"] = [loss if error == "–" else f"{loss} ± {error}" for loss, error in both]
    if table["regret_error"].notna().any():
        errors = [cell("loss", error) for error in table["regret_error"]]
        both = zip(shown["Regret"], errors, strict=True)
        shown["Regret"] = [
            regret if "–" in (regret, error) or error == "0.000" else f"{regret} ± {error}" for regret, error in both
        ]
    for title, (epochs, samples) in _COSTS.items():
        both = zip(table[epochs], table[samples], strict=True)
        shown[title] = [f"{cell(epochs, e)} epochs [{cell(samples, s)} samples]" for e, s in both]
    in_all = zip(shown["Trained in all"], table["supernet_epochs"], strict=True)
    shown["Trained in all"] = [
        text + ("" if math.isnan(e) else f", supernet: {cell('epochs', e)} epochs") for text, e in in_all
    ]
    return pd.DataFrame(shown, index=table.index)


def test_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return the part of a comparison table on the test subjects, each score with its interval, as text ready to be shown."""
    shown = {"Arm": _titles(table)}
    for score in SCORES:
        columns = [f"test_{score}", f"test_{score}_low", f"test_{score}_high"]
        title = _SCORE_TITLES.get(score, score.capitalize())
        shown[title] = [_estimate(*values) for values in table[columns].itertuples(index=False)]
    return pd.DataFrame(shown, index=table.index)[table["test_loss"].notna()]


def replay_columns(comparison: Comparison) -> pd.DataFrame:
    """Return what searches replayed on the landscape find and cost, as text ready to be shown; empty where none was."""
    every = 0 if comparison.landscape is None else len(comparison.landscape)
    rows = [
        {
            "Search": search_in_words(escape.sampler, escape.options),
            "Evaluations": cell("evaluations", escape.evaluations),
            "Share of exhaustive": cell("share_of_exhaustive", escape.evaluations / max(every, 1)),
            "Best of all seen after": "–" if escape.found_after is None else cell("evaluations", escape.found_after),
            "Regret": cell("regret", escape.regret),
        }
        for escape in comparison.escapes
    ]
    return pd.DataFrame(rows)


def plain_table(comparison: Comparison) -> str:
    """Return the comparison as plain text of any width, nothing cut: choice and cost, then the test subjects' scores."""
    table = comparison_table(comparison)
    words = comparison.space.words
    parts = [_plain(search_columns(table, words), words.chosen)]
    if table["test_loss"].notna().any():
        parts += [
            "",
            f"Test subjects ({int(_subjects(comparison))}), with 95 % bootstrap intervals",
            _plain(test_columns(table), words.chosen),
        ]
    return "\n".join(parts)


def cell(column: str, value: object) -> str:
    """Return a value of a comparison table as text: losses with three digits, shares in per cent, `–` for unknown."""
    if isinstance(value, str):
        return value or "–"
    number = float(value)  # type: ignore[arg-type]
    if math.isnan(number):
        return "–"
    if column == "share_of_exhaustive":
        return f"{100 * number:.0f} %"
    return f"{number:.3f}" if column.endswith(("loss", "regret")) else f"{number:,.0f}".replace(",", " ")


def _facts(comparison: Comparison, arm: Arm) -> dict[str, object]:
    return {
        "title": arm.title,
        "kind": kind_of(comparison, arm),
        "ours": arm.ours,
        "points": chosen_points(comparison.space, arm),
        "validation_error": _validation_error(arm),
        "landscape_loss": _number(arm.landscape_value),
        "regret": _number(arm.regret),
        "regret_error": _number(regret_error(comparison, arm)),
        "evaluations": arm.n_evaluations,
        "share_of_exhaustive": math.nan if kind_of(comparison, arm) == "reference" else _number(arm.share_of_exhaustive),
        "supernet_epochs": _number(arm.supernet.get("epochs")),
        "trained": arm.trained,
        "reused": arm.reused,
        "in_vain": arm.in_vain,
        "epochs_in_vain": arm.epochs_in_vain,
    }


def _validation_error(arm: Arm) -> float:
    """Return the standard error of the loss that an arm reached; not a number for the mean of several models."""
    final = [arm.chosen] if arm.chosen is not None else list(arm.evaluations)
    return final[0].standard_error if len(final) == 1 else math.nan


def _cost(arm: Arm) -> dict[str, float]:
    final = [arm.chosen] if arm.chosen is not None else list(arm.evaluations)
    spent = {name: next(reversed(arm_costs(arm, name)), math.nan) for name in ("epochs", "samples")}
    return spent | {f"lineage_{name}": _seen(final, name) for name in ("epochs", "samples")}


def _seen(final: Sequence[Evaluation], name: str) -> float:
    """Return what chosen weights have seen: of one model with its lineage and all its stages, also those that others share."""
    return final[0].cost.get(f"lineage_{name}", math.nan) if len(final) == 1 else cost_in_all(final, name)


def _intervals(
    subset: str, predictions: Predictions | None, scores: Sequence[str], resamples: int, confidence: float, seed: int
) -> dict[str, float]:
    names = [f"{subset}_{score}{end}" for score in scores for end in ("", "_low", "_high")]
    if predictions is None or not predictions.subjects:
        return dict.fromkeys(names, math.nan)
    estimates = bootstrap_scores(predictions, scores=scores, resamples=resamples, confidence=confidence, seed=seed)
    return dict(zip(names, [number for score in scores for number in estimates[score]], strict=True))


def _titles(table: pd.DataFrame) -> list[str]:
    return [f"{title} (ours)" if ours else title for title, ours in zip(table["title"], table["ours"], strict=True)]


def _estimate(value: float, low: float, high: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _subjects(comparison: Comparison) -> int:
    return max(len(set(arm.test.subjects)) for arm in comparison.arms if arm.test is not None)


def _plain(table: pd.DataFrame, chosen: str) -> str:
    """Columns of text, words to the left and numbers to the right, two spaces between."""
    columns = [[name, *table[name]] for name in table.columns]
    widths = [max(map(len, column)) for column in columns]
    words = ("Arm", chosen)
    aligned = [
        [text.ljust(width) if column[0] in words else text.rjust(width) for text in column]
        for column, width in zip(columns, widths, strict=True)
    ]
    return "\n".join("  ".join(line).rstrip() for line in zip(*aligned, strict=True))
