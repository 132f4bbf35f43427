"""What a cross-validation shows and what it does not, in words, and its table as text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from nas_fusion.analysis.cross_validation import (
    LOWER_IS_BETTER,
    METRICS,
    CrossValidation,
    cross_validation_table,
    expert_entropy,
)
from nas_fusion.analysis.diagnosis_of_routing import COLLAPSED
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.naming import listed

LEVEL = 0.05
_LONGER = 1.1
_TITLES = {"loss": "Loss", "f1": "F1", "auc": "AUC"}
_IN_WORDS = {"loss": "cross-entropy", "f1": "F1", "auc": "AUC"}


def cross_validation_findings(result: CrossValidation) -> list[Finding]:
    """Return what a reader should know: each arm against the one that all are compared with, then what weakens that.

    Arms that differ in nothing share one finding. A difference holds where the corrected test is significant at 0.05 after
    Holm's correction for the number of arms; otherwise it is *not shown*, which is not the same as equal: the interval tells
    what the data leave possible.
    """
    table = cross_validation_table(result)
    alike = [arm for arm in result.others if _differs_in_nothing(table, arm)]
    told = [arm for arm in result.others if arm not in alike or len(alike) == 1]
    found = [_against(result, table, arm) for arm in told]
    if len(alike) > 1:
        found.append(_not_told_apart(result, table, alike))
    for family in (_collapsed, _longer_training, _chosen_before, _undefined, _failed):
        found += family(result)
    return found


def cross_validation_columns(result: CrossValidation) -> pd.DataFrame:
    """Return the table of arms as text ready to be shown: scores with their standard deviation, and the difference in loss."""
    table = cross_validation_table(result)
    shown = {"Arm": [_starred(result, arm) for arm in result.arms]}
    for metric in METRICS:
        numbers = [table.loc[(arm, metric)] for arm in result.arms]
        shown[metric_title(metric)] = [_with_sd(row["mean"], row["sd"]) for row in numbers]
    losses = {arm: table.loc[(arm, "loss")] for arm in result.arms}
    if result.others:
        shown["Loss minus that of *"] = [_interval(losses[arm]) for arm in result.arms]
        shown["p"] = [_p(losses[arm]["p"]) for arm in result.arms]
        shown["p (Holm)"] = [_p(losses[arm]["p_holm"]) for arm in result.arms]
    experts = {arm: expert_entropy(result, arm) for arm in result.arms}
    if any(experts.values()):
        shown["Expert entropy"] = [_entropies(experts[arm]) for arm in result.arms]
    return pd.DataFrame(shown, index=list(result.arms))


def metric_title(metric: str) -> str:
    """Return what a metric is called at the head of a column or axis."""
    return _TITLES.get(metric, metric.capitalize())


def how_it_was_compared(result: CrossValidation) -> str:
    """Return in words what intervals and p-values rest on."""
    text = (
        f"Each subject was held out {_times(result.repeats)}; in each of the {_folds(result)} folds, models were trained on a "
        "part of the other subjects, and epochs selected on the rest of these. ± is the standard deviation over folds."
    )
    if not result.others:
        return text
    ratio = np.mean([score.test_ratio for score in result.scores])
    text += (
        " Differences are paired fold by fold; their 95 % intervals and two-sided p-values are those of the corrected "
        "repeated-k-fold t-test (Nadeau and Bengio 2003): since training sets overlap, the variance of a mean over J folds is "
        f"(1/J + n_test/n_train) s², here with J = {_folds(result)} and {ratio:.3f} subjects held out for each that was not."
    )
    if len(result.others) > 1:
        text += f" Each interval stands for itself; Holm's p-values allow for the {len(result.others)} arms compared."
    return text


def _against(result: CrossValidation, table: pd.DataFrame, arm: str) -> Finding:
    row, name, other = table.loc[(arm, "loss")], result.in_words(arm), result.in_words(result.against)
    begin = name if arm in result.chosen else name[0].upper() + name[1:]
    if math.isnan(row["p"]):
        sentence = f"{begin} and {other} cannot be compared: fewer than two folds have a loss of both."
        return Finding("not_judged", sentence)
    if row["p_holm"] < LEVEL:
        better = row["difference"] < 0
        low, high = sorted((abs(row["low"]), abs(row["high"])))
        sentence = (
            f"{begin} predicts {'better' if better else 'worse'} than {other}: the cross-entropy of held-out subjects is "
            f"{'lower' if better else 'higher'} by {abs(row['difference']):.3f} nats (95 % interval {low:.3f} to {high:.3f}; "
            f"{_p_in_words(result, row)}).{_other_scores(table, arm)}"
        )
        return Finding("better" if better else "worse", sentence, level="good" if better else "warning")
    alone = (
        f" Taken for itself the interval leaves zero out (p = {_p(row['p'])}), but that does not outlast a correction for "
        f"{len(result.others)} comparisons."
        if row["p"] < LEVEL
        else ""
    )
    sentence = (
        f"{begin} is not shown to differ from {other} in cross-entropy: the difference is {row['difference']:+z.3f} nats "
        f"({_low_high(row)}; {_p_in_words(result, row)}).{alone} That is no proof that they are equal: whatever lies in the "
        f"interval remains possible.{_other_scores(table, arm)}"
    )
    return Finding("not_shown", sentence, level="note")


def _differs_in_nothing(table: pd.DataFrame, arm: str) -> bool:
    """Return whether no score of an arm is shown to differ, its loss not even taken for itself."""
    return bool(table.loc[(arm, "loss")]["p"] >= LEVEL and not (table.loc[arm]["p_holm"] < LEVEL).any())


def _not_told_apart(result: CrossValidation, table: pd.DataFrame, arms: Sequence[str]) -> Finding:
    rows = {result.in_words(arm): table.loc[(arm, "loss")] for arm in arms}
    named = [f"{name} ({row['difference']:+z.3f}, {row['low']:+z.3f} to {row['high']:+z.3f})" for name, row in rows.items()]
    sentence = (
        "Neither in cross-entropy (difference and 95 % interval, in nats) nor in another score is shown to differ from "
        f"{result.in_words(result.against)}: {'; '.join(named)}. That is no proof that they are equal: whatever lies in an "
        "interval remains possible."
    )
    return Finding("not_shown", sentence, level="note")


def _other_scores(table: pd.DataFrame, arm: str) -> str:
    """Return which of the other scores differ, in a sentence."""
    rows = {metric: table.loc[(arm, metric)] for metric in METRICS if metric not in LOWER_IS_BETTER}
    words = {metric: _IN_WORDS.get(metric, metric) for metric in rows}
    differing = [
        f"{words[metric]} by {row['difference']:+z.3f} ({_low_high(row)})"
        for metric, row in rows.items()
        if row["p_holm"] < LEVEL
    ]
    rest = [words[metric] for metric, row in rows.items() if not row["p_holm"] < LEVEL]
    said = ""
    if differing:
        verb = "this differs" if len(differing) == 1 else "these differ"
        said = f" Of the other scores, {verb}: {listed(differing, 'and')}."
    return said + (f" No difference is shown in {listed(rest, 'or')}." if rest else "")


def _collapsed(result: CrossValidation) -> list[Finding]:
    found = []
    for arm in result.arms:
        folds: Counter[str] = Counter()
        for score in result.scores:
            if score.arm == arm:
                folds.update(layer for layer, share in score.largest_share.items() if share >= COLLAPSED)
        if folds:
            named = listed([f"{layer} in {count}" for layer, count in folds.items()], "and")
            sentence = (
                f"{result.arms[arm]}: routing collapses. One expert gets at least {100 * COLLAPSED:.0f} % of all gates of "
                f"{named} of the {_folds(result)} folds: such a layer is a single expert."
            )
            found.append(Finding("collapsed", sentence))
    return found


def _longer_training(result: CrossValidation) -> list[Finding]:
    """Name the arms whose weights have seen clearly more epochs than those of `against`: a part of a lead may be that."""
    epochs = {arm: _mean_epochs(result, arm) for arm in result.arms}
    base = epochs[result.against]
    longer = [arm for arm in result.others if epochs[arm] > _LONGER * base]
    if not longer:
        return []
    named = listed([f"{result.in_words(arm)} {epochs[arm]:.0f}" for arm in longer], "and")
    sentence = (
        f"Not all arms were trained for equally many epochs: {result.in_words(result.against)} saw {base:.0f} "
        f"(those that it inherits included), {named}. A part of a difference may come from that."
    )
    return [Finding("longer_training", sentence, level="note")]


def _chosen_before(result: CrossValidation) -> list[Finding]:
    if not result.chosen:
        return []
    named = listed([result.arms[arm] for arm in result.chosen], "and")
    verb = "was" if len(result.chosen) == 1 else "were"
    sentence = (
        f"If {named} {verb} chosen by a search on these subjects, the scores flatter: who is held out here had a say in that "
        "choice. They are honest for what was fixed before."
    )
    return [Finding("chosen_before", sentence, level="note")]


def _undefined(result: CrossValidation) -> list[Finding]:
    parts = []
    for metric in METRICS:
        folds = {(score.repeat, score.fold) for score in result.scores if math.isnan(score.scores[metric])}
        if folds:
            parts.append(f"{_IN_WORDS.get(metric, metric)} in {len(folds)}")
    if not parts:
        return []
    named = listed(parts, "and")
    sentence = f"Not every score is defined in each of the {_folds(result)} folds: not {named}. These are left out."
    return [Finding("undefined", sentence, causes=("a fold holds subjects of one class only",), level="note")]


def _failed(result: CrossValidation) -> list[Finding]:
    missing = {arm: _folds(result) - sum(score.arm == arm for score in result.scores) for arm in result.arms}
    failed = {arm: count for arm, count in missing.items() if count}
    if not failed:
        return []
    named = listed([f"{result.arms[arm]} in {count}" for arm, count in failed.items()], "and")
    last = f" The last failure: {result.failures[-1]}." if result.failures else ""
    sentence = f"Not every arm could be trained in each of the {_folds(result)} folds: not {named}. These are left out.{last}"
    return [Finding("failed", sentence)]


def _folds(result: CrossValidation) -> int:
    return result.folds * result.repeats


def _mean_epochs(result: CrossValidation, arm: str) -> float:
    epochs = [score.epochs for score in result.scores if score.arm == arm]
    return float(np.mean(epochs)) if epochs else math.nan


def _times(repeats: int) -> str:
    return {1: "once", 2: "twice"}.get(repeats, f"{repeats} times")


def _starred(result: CrossValidation, arm: str) -> str:
    return f"{result.arms[arm]} *" if arm == result.against and result.others else result.arms[arm]


def _with_sd(mean: float, sd: float) -> str:
    return "–" if math.isnan(mean) else f"{mean:.3f}" if math.isnan(sd) else f"{mean:.3f} ± {sd:.3f}"


def _interval(row: pd.Series) -> str:
    if math.isnan(row["difference"]):
        return "–"
    return f"{row['difference']:+z.3f}" + ("" if math.isnan(row["low"]) else f" [{row['low']:+z.3f}, {row['high']:+z.3f}]")


def _low_high(row: pd.Series) -> str:
    return f"95 % interval {row['low']:+z.3f} to {row['high']:+z.3f}"


def _p_in_words(result: CrossValidation, row: pd.Series) -> str:
    p = _p(row["p_holm"])
    said = f"p {p}" if p.startswith("<") else f"p = {p}"
    return said if len(result.others) == 1 else f"{said} after Holm's correction"


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _entropies(layers: dict[str, float]) -> str:
    if not layers:
        return "–"
    return f"{np.mean(list(layers.values())):.2f} [{', '.join(f'{layer} {value:.2f}' for layer, value in layers.items())}]"
