"""Whether the choice and the gain hold in every fold."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.naming import chosen_in_words, in_words
from nas_fusion.record import Evaluation
from nas_fusion.space import Configuration

_NAMED = 8  # configurations: a sentence with more is no sentence


def folds_disagree(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return whether folds would choose differently or gain differently; with one fold, what comes close to the choice."""
    folds = min((len(e.fold_losses) for e in arm.evaluations), default=0)
    if folds < 2:
        return _near_ties(comparison, arm)
    return _choice_differs(comparison, arm, folds) + _gain_differs(comparison, arm)


def choices_by_fold(arm: Arm, folds: int) -> list[Configuration]:
    """Return for each fold which of an arm's configurations has the lowest loss in it."""
    tried = [e for e in arm.evaluations if e.configuration is not None and not e.is_control]
    best = [min(tried, key=lambda e, fold=fold: e.fold_losses[fold]) for fold in range(folds)]  # type: ignore[misc]
    return [e.configuration for e in best if e.configuration is not None]


def _choice_differs(comparison: Comparison, arm: Arm, folds: int) -> list[Finding]:
    choices = choices_by_fold(arm, folds)
    if len(set(choices)) == 1 and choices[0] == arm.best:
        return []
    each = ", ".join(f"fold {i + 1} {in_words(comparison.space, choice)}" for i, choice in enumerate(choices))
    sentence = f"The choice differs between folds: {_chosen_by_mean(comparison, arm)}, but by itself {each}."
    causes = (
        "several configurations are about equally good",
        "each fold's validation part is small, so its losses vary",
        comparison.space.words.folds_cause,
    )
    return [Finding("choice_differs_between_folds", sentence, causes, next_command(comparison, {"--folds": str(2 * folds)}))]


def _chosen_by_mean(comparison: Comparison, arm: Arm) -> str:
    """What the mean over folds favours: the choice, unless the search demands more than the lowest mean."""
    tried = [e for e in arm.evaluations if e.configuration is not None and not e.is_control]
    lowest = min(tried, key=_mean)
    chosen = chosen_in_words(comparison.space, arm)
    if arm.chosen is None or _mean(arm.chosen) <= _mean(lowest):
        return f"the mean over folds favours {chosen}"
    return f"the search selected {chosen}, the mean over folds favours {in_words(comparison.space, lowest.configuration or {})}"


def _gain_differs(comparison: Comparison, arm: Arm) -> list[Finding]:
    chosen, baseline = arm.chosen, _of(arm.evaluations, comparison.space.baseline)
    if chosen is None or baseline is None or chosen.configuration == baseline.configuration:
        return []
    gains = np.subtract(baseline.fold_losses, chosen.fold_losses)
    error = float(gains.std(ddof=1) / math.sqrt(len(gains)))
    if gains.min() > 0 and gains.mean() > 2 * error:
        return []
    each, name = ", ".join(f"{gain:z.3f}" for gain in gains), chosen_in_words(comparison.space, arm)
    sentence = (
        f"The performance differs between folds: {name} beats {comparison.space.words.baseline} by {each} nats "
        f"in the {len(gains)} folds, {gains.mean():z.3f} ± {error:.3f} on average."
    )
    causes = (
        "small folds: a few subjects decide",
        "folds differ in site or severity",
        "training fails to converge in some folds",
    )
    return [Finding("gain_differs_between_folds", sentence, causes, next_command(comparison, {"--seed": "1"}))]


def _near_ties(comparison: Comparison, arm: Arm) -> list[Finding]:
    close = [
        e for e in arm.evaluations if e.configuration not in (None, arm.best) and abs(e.value - arm.value) <= 1.5 * NEGLIGIBLE
    ]
    if not close or arm.best is None:
        return []
    nearest = sorted(close, key=lambda e: abs(e.value - arm.value))[:_NAMED]
    names = ", ".join(f"{in_words(comparison.space, e.configuration or {})} ({e.value:.3f})" for e in close if e in nearest)
    names += f" and {len(close) - len(nearest)} others" if len(close) > len(nearest) else ""
    sentence = (
        f"Which configuration is best, one split cannot tell: {chosen_in_words(comparison.space, arm)} has {arm.value:.3f} "
        f"nats, and training again would change that as much as what separates it from {names}."
    )
    return [Finding("one_split", sentence, command=next_command(comparison, {"--folds": "5"}), level="note")]


def _mean(evaluation: Evaluation) -> float:
    return float(np.mean(evaluation.fold_losses))


def _of(evaluations: Sequence[Evaluation], configuration: Configuration) -> Evaluation | None:
    return next((e for e in evaluations if e.configuration == configuration), None)
