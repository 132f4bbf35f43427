"""Scores of predictions under many weightings of the subjects at once: what a bootstrap needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas_fusion.record import Predictions

SCORES = ("loss", "accuracy", "f1", "sensitivity", "specificity", "auc")
Array = npt.NDArray[np.float64]


def weighted_scores(predictions: Predictions, weights: Array, scores: Sequence[str] = SCORES) -> dict[str, Array]:
    """Return scores of some predictions for each of many weightings of their rows.

    With two classes the second is the positive one; with more, every class in turn is the positive one and the scores are
    averaged over the classes that occur (macro). They agree with scikit-learn's of the same names (sensitivity is recall,
    specificity the recall of what is not positive), given the same `sample_weight`.

    Args:
        predictions: `n` rows.
        weights: `(weightings, n)`, not negative.
        scores: Which of `SCORES` are wanted.

    Returns:
        Name in `SCORES` to `(weightings,)`; not a number where a score is undefined (no positive or no negative subject).
    """
    labels, guesses = predictions.labels, predictions.probabilities.argmax(axis=1)
    total = weights.sum(axis=1)
    found = {"loss": weights @ predictions.losses / total, "accuracy": weights @ (labels == guesses) / total}
    if not set(scores) <= found.keys():
        classes = predictions.probabilities.shape[1]
        of_class = [
            _one_against_rest(labels == k, guesses == k, predictions.probabilities[:, k], weights)
            for k in ([1] if classes == 2 else range(classes))
        ]
        found |= {name: _mean(np.stack([each[name] for each in of_class])) for name in SCORES[2:]}
    return {name: found[name] for name in scores}


def _one_against_rest(
    positive: npt.NDArray[np.bool_], guessed: npt.NDArray[np.bool_], probability: Array, weights: Array
) -> dict[str, Array]:
    hits, misses = weights @ (positive & guessed), weights @ (positive & ~guessed)
    alarms, passes = weights @ (~positive & guessed), weights @ (~positive & ~guessed)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "f1": 2 * hits / (2 * hits + alarms + misses),
            "sensitivity": hits / (hits + misses),
            "specificity": passes / (passes + alarms),
            "auc": _auc(positive, probability, weights),
        }


def _auc(positive: npt.NDArray[np.bool_], probability: Array, weights: Array) -> Array:
    """Area under the ROC curve: the probability that a positive ranks above a negative, ties counting half."""
    order = np.argsort(probability, kind="stable")
    starts = np.flatnonzero(np.diff(probability[order], prepend=-np.inf))
    ups = np.add.reduceat((weights * positive)[:, order], starts, axis=1)
    downs = np.add.reduceat((weights * ~positive)[:, order], starts, axis=1)
    below = np.cumsum(downs, axis=1) - downs / 2
    return np.asarray((ups * below).sum(axis=1) / (ups.sum(axis=1) * downs.sum(axis=1)))


def _mean(values: Array) -> Array:
    """Mean over the classes `(classes, weightings)` for which a score is defined."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, values, 0.0).sum(axis=0) / defined.sum(axis=0))
