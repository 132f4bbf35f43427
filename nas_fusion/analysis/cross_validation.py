"""Repeated k-fold cross-validation: what each arm scored in each fold, and by how much arms differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas_fusion.analysis.arms import BASELINE
from nas_fusion.resampling import corrected_error

METRICS = ("loss", "accuracy", "sensitivity", "specificity", "f1", "auc")
LOWER_IS_BETTER = ("loss",)
_ROUNDING = 8 * float(np.finfo(np.float64).eps)  # relative: differences below it are none
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FoldScore:
    """What one arm scored on the held-out subjects of one fold.

    Attributes:
        arm: Its name.
        repeat: Which division of all subjects, from 0.
        fold: Which part of it was held out, from 0.
        key: Key of the evaluation whose model was scored.
        n_train: Subjects that it was trained on.
        n_validation: Subjects that its epochs were selected on.
        n_test: Held-out subjects.
        scores: Each of `METRICS` on the held-out subjects; not a number where it is undefined.
        validation_loss: What was selected on, in nats.
        epochs: Epochs that its weights have seen, inherited ones included; of an ensemble the most that a member's have.
        usage_entropy: Routed layer to the entropy of its mean gates over that of even gates, in [0, 1]: near 0 where one
            expert gets everything (collapse). Empty for a model without experts, like the following.
        gate_entropy: Routed layer to the mean entropy of a token's gates over that of even gates, in [0, 1]: near 0 where
            each token is given to one expert.
        largest_share: Routed layer to the largest of its mean gates, in [1/experts, 1].
    """

    arm: str
    repeat: int
    fold: int
    key: str
    n_train: int
    n_validation: int
    n_test: int
    scores: Mapping[str, float]
    validation_loss: float = math.nan
    epochs: float = math.nan
    usage_entropy: Mapping[str, float] = field(default_factory=dict)
    gate_entropy: Mapping[str, float] = field(default_factory=dict)
    largest_share: Mapping[str, float] = field(default_factory=dict)

    @property
    def test_ratio(self) -> float:
        """Held-out subjects over all others: those that a model and its epochs come from."""
        return self.n_test / (self.n_train + self.n_validation)


@dataclass(frozen=True)
class CrossValidation:
    """Arms that were trained and scored on the same folds.

    Attributes:
        arms: Name to a few words for tables, in their order.
        against: Name of the arm that the others are compared with.
        folds: Parts of each division.
        repeats: Divisions of all subjects.
        scores: One for each arm, repeat and fold; those of a training that failed are missing.
        baseline: What the arm of the space's baseline is called within a sentence.
        chosen: Names of the arms that are configurations somebody named: they may have been chosen on these very subjects.
        failures: What could not be trained: arm, fold and why.
        space: Name of the search space.
        cohort: Facts of the cohort, for people.
        settings: How the models were trained, for people.
        command: The command line that makes it again, empty if there was none.
    """

    arms: Mapping[str, str]
    against: str
    folds: int
    repeats: int
    scores: tuple[FoldScore, ...]
    baseline: str = "the baseline"
    chosen: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    space: str = ""
    cohort: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""

    def __post_init__(self) -> None:
        if self.against not in self.arms:
            raise ValueError(f"`against` must be one of the arms {', '.join(self.arms)}, but got {self.against!r}.")

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the arms that are compared with `against`."""
        return tuple(arm for arm in self.arms if arm != self.against)

    def in_words(self, arm: str) -> str:
        """Return what an arm is called within a sentence."""
        return self.baseline if arm == BASELINE else self.arms[arm]


@dataclass(frozen=True)
class Difference:
    """By how much a score of an arm is above that of another, over the folds that both have it in.

    Attributes:
        mean: Mean difference.
        error: Its standard error, corrected for training sets that overlap.
        low: Lower end of its interval.
        high: Upper end.
        p: Two-sided p-value of the corrected repeated-k-fold t-test; it allows for this one comparison.
        pairs: Number of folds.
    """

    mean: float
    error: float
    low: float
    high: float
    p: float
    pairs: int


def fold_table(result: CrossValidation) -> pd.DataFrame:
    """Return the long table: one row for each arm, repeat, fold and metric.

    Columns: `arm`, `repeat`, `fold` (both counted from 1), `metric`, `value`, `n_train`, `n_validation`, `n_test`, `key`.
    Beside `METRICS` there are `validation_loss`, `epochs`, and for routed arms `usage_entropy`, `gate_entropy` and
    `largest_share` (means over layers) and the same of each layer, such as `usage_entropy:fused.0`.
    """
    rows = [
        {
            "arm": score.arm,
            "repeat": score.repeat + 1,
            "fold": score.fold + 1,
            "metric": metric,
            "value": value,
            "n_train": score.n_train,
            "n_validation": score.n_validation,
            "n_test": score.n_test,
            "key": score.key,
        }
        for score in result.scores
        for metric, value in _numbers(score).items()
    ]
    columns = ["arm", "repeat", "fold", "metric", "value", "n_train", "n_validation", "n_test", "key"]
    return pd.DataFrame(rows, columns=columns)


def cross_validation_table(result: CrossValidation, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return the summary: one row for each arm and metric, indexed by both.

    Columns: `mean` and `sd` (of a sample) over the `folds` that the metric is defined in; of the arm minus `against`, fold by
    fold: `difference`, its corrected standard error `error`, interval `low` and `high`, p-value `p`, `p_holm` (Holm's, which
    allows for all arms that are compared in this metric) and number of `pairs`. What is not known is not a number.

    Args:
        result: What was scored.
        confidence: Of the intervals, each for itself, in (0, 1).
    """
    rows = {}
    for metric in METRICS:
        values = {arm: _by_fold(result, arm, metric) for arm in result.arms}
        differences = {arm: difference(result, arm, metric, confidence=confidence) for arm in result.others}
        corrected = dict(zip(differences, holm([found.p for found in differences.values()]), strict=True))
        for arm, defined in values.items():
            numbers = np.array(list(defined.values()))
            rows[arm, metric] = {
                "mean": float(numbers.mean()) if len(numbers) else math.nan,
                "sd": float(numbers.std(ddof=1)) if len(numbers) > 1 else math.nan,
                "folds": len(numbers),
                **_columns(differences.get(arm), corrected.get(arm, math.nan)),
            }
    ordered = [(arm, metric) for arm in result.arms for metric in METRICS]
    index = pd.MultiIndex.from_tuples(ordered, names=["arm", "metric"])
    return pd.DataFrame([rows[row] for row in ordered], index=index)


def difference(result: CrossValidation, arm: str, metric: str, *, confidence: float = 0.95) -> Difference:
    """Return a metric of an arm minus that of `against`, over the folds in which both have it.

    The corrected repeated-k-fold t-test: see `corrected_error`, with n_test/n_train from the folds themselves. What a model
    comes from are its training subjects and those that its epochs were selected on, so both count as n_train.

    Args:
        result: What was scored.
        arm: Name of the arm.
        metric: One of `METRICS`.
        confidence: Of the interval, in (0, 1).

    Returns:
        Not a number where there are fewer than two folds. Where all differences are equal up to rounding there is no variance
        to judge by: p is 1 if they are zero, else that of the sign test, 2 to the power of 1 - folds: two folds that happen to
        agree in a score of few values, such as accuracy, show nothing.

    Raises:
        ValueError: If `confidence` is out of its range.
    """
    from scipy import stats

    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be in (0, 1), but got {confidence}.")
    ours, theirs = _by_fold(result, arm, metric), _by_fold(result, result.against, metric)
    shared = [part for part in ours if part in theirs]
    gains = np.array([ours[part] - theirs[part] for part in shared])
    if len(shared) < 2:
        mean = float(gains[0]) if shared else math.nan
        return Difference(mean, math.nan, math.nan, math.nan, math.nan, len(shared))
    mean = float(gains.mean())
    if gains.std(ddof=1) <= (rounding := _ROUNDING * max(abs(theirs[part]) for part in shared)):
        return Difference(mean, 0.0, mean, mean, 2.0 ** (1 - len(shared)) if abs(mean) > rounding else 1.0, len(shared))
    ratios = {(score.repeat, score.fold): score.test_ratio for score in result.scores}
    error = corrected_error(gains, test_ratio=float(np.mean([ratios[part] for part in shared])))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(shared) - 1)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, len(shared) - 1))
    return Difference(mean, error, mean - reach, mean + reach, p, len(shared))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, so that none of them is below a level by chance more often than that level.

    What is not a number stays so and is not counted. Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    corrected, before = [math.nan] * len(p_values), 0.0
    for rank, i in enumerate(order):
        before = corrected[i] = min(1.0, max(before, (len(order) - rank) * p_values[i]))
    return corrected


def expert_entropy(result: CrossValidation, arm: str) -> dict[str, float]:
    """Return the mean usage entropy of each routed layer of an arm over folds, in [0, 1]; empty for one without experts."""
    found: dict[str, list[float]] = {}
    for score in result.scores:
        if score.arm == arm:
            for layer, value in score.usage_entropy.items():
                found.setdefault(layer, []).append(value)
    return {layer: float(np.mean(values)) for layer, values in found.items()}


def _numbers(score: FoldScore) -> dict[str, float]:
    numbers = {metric: float(score.scores[metric]) for metric in METRICS}
    numbers |= {"validation_loss": score.validation_loss, "epochs": score.epochs}
    for name in ("usage_entropy", "gate_entropy", "largest_share"):
        layers: Mapping[str, float] = getattr(score, name)
        if layers:
            numbers[name] = float(np.mean(list(layers.values())))
            numbers |= {f"{name}:{layer}": value for layer, value in layers.items()}
    return numbers


def _by_fold(result: CrossValidation, arm: str, metric: str) -> dict[tuple[int, int], float]:
    found = {(score.repeat, score.fold): float(score.scores[metric]) for score in result.scores if score.arm == arm}
    return {part: value for part, value in found.items() if not math.isnan(value)}


def _columns(found: Difference | None, corrected: float) -> dict[str, float]:
    if found is None:
        return dict.fromkeys(("difference", "error", "low", "high", "p", "p_holm", "pairs"), math.nan)
    return {
        "difference": found.mean,
        "error": found.error,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "p_holm": corrected,
        "pairs": found.pairs,
    }
