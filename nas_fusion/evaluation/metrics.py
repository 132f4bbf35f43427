"""Metrics of predicted probabilities on the subjects of a fold."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

METRICS = ("accuracy", "f1", "sensitivity", "specificity", "auc")
Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]


def metrics(labels: npt.NDArray[np.int64], probabilities: Floats) -> dict[str, float]:
    """Return accuracy, F1, sensitivity, specificity and area under the ROC curve.

    With two classes the second is the positive one. With more, every class in turn is the positive one, and what is defined is
    averaged over the classes (macro). Predicted is the class of the largest probability, the first among equals.

    Args:
        labels: Class indices `(n,)`.
        probabilities: `(n, classes)`.

    Returns:
        Each of `METRICS`; not a number where it is undefined, such as the area where all subjects are of one class.
    """
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    positives = [1] if classes == 2 else range(classes)
    of_class = [_one_against_rest(labels == k, predicted == k, probabilities[:, k]) for k in positives]
    accuracy = float((predicted == labels).mean())
    return {"accuracy": accuracy} | {name: _mean([each[name] for each in of_class]) for name in METRICS[1:]}


def _one_against_rest(positive: Truths, predicted: Truths, score: Floats) -> dict[str, float]:
    hits, misses = int((positive & predicted).sum()), int((positive & ~predicted).sum())
    alarms, passes = int((~positive & predicted).sum()), int((~positive & ~predicted).sum())
    return {
        "f1": _ratio(2 * hits, 2 * hits + alarms + misses),
        "sensitivity": _ratio(hits, hits + misses),
        "specificity": _ratio(passes, passes + alarms),
        "auc": _auc(positive, score),
    }


def _auc(positive: Truths, score: Floats) -> float:
    """Return the probability that a positive scores higher than a negative, ties counting half (Mann-Whitney's U)."""
    n, p = len(positive), int(positive.sum())
    if p in (0, n) or np.isnan(score).any():
        return math.nan
    ranks = rankdata(score)
    return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * (n - p)))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
