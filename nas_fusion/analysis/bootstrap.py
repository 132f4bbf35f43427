"""Bootstrap intervals of scores, over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nas_fusion.analysis.scores import SCORES, Array, weighted_scores
from nas_fusion.record import Predictions


class Estimate(NamedTuple):
    """A score with the ends of its interval."""

    value: float
    low: float
    high: float


def bootstrap_scores(
    predictions: Predictions,
    *,
    scores: Sequence[str] = SCORES,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return loss, accuracy, F1, sensitivity, specificity and AUC of some predictions, each with a percentile interval.

    What is drawn with replacement is subjects, each with all its rows, so that a subject predicted by several folds is not
    counted as several people; where subjects come in groups (sessions of a participant, windows of a recording), groups with
    all their subjects. Draws are *stratified* by class: the class sizes of the split were fixed by design (splits are
    stratified), and every score stays defined in small cohorts. Groups that hold several classes are drawn from all. The draws
    depend on nothing but the subjects' order and the seed, so the intervals of two arms rest on the same draws. They hold for
    the trained models as they are: what training again would change is not in them.

    Args:
        predictions: Of at least one subject.
        scores: Which of `SCORES` are wanted.
        resamples: Number of draws, at least 1.
        confidence: Share of the draws that the interval holds, in (0, 1).
        seed: Of the draws.

    Raises:
        ValueError: If there is no subject, or an argument is out of its range.
    """
    if resamples < 1:
        raise ValueError(f"`resamples` must be at least 1, but got {resamples}.")
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be in (0, 1), but got {confidence}.")
    if not predictions.subjects:
        raise ValueError("`predictions` must hold at least one subject, but got none.")
    values = weighted_scores(predictions, np.ones((1, len(predictions.labels))), scores)
    drawn = weighted_scores(predictions, stratified_weights(predictions, resamples, seed), scores)
    tail = (1 - confidence) / 2
    return {name: Estimate(float(values[name][0]), *_ends(drawn[name], tail)) for name in scores}


def stratified_weights(predictions: Predictions, resamples: int, seed: int) -> Array:
    """Return how often each row is drawn `(resamples, rows)`: subjects, or groups of them, are drawn within their class."""
    return unit_weights(predictions.units, predictions.labels, resamples, seed)


def unit_weights(units: npt.NDArray[np.str_], labels: npt.NDArray[np.int64], resamples: int, seed: int) -> Array:
    """Return how often each row is drawn `(resamples, rows)`, with its unit `(rows,)`, within the class of that."""
    _, first, row_to_unit = np.unique(units, return_index=True, return_inverse=True)
    strata = labels[first]
    if np.any(strata[row_to_unit] != labels):  # units of several classes
        strata = np.zeros_like(strata)
    generator = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(strata)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        drawn = generator.integers(len(members), size=(resamples, len(members)))
        drawn += len(members) * np.arange(resamples)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=resamples * len(members))
        weights[:, members] = counts.reshape(resamples, len(members))
    return weights[:, row_to_unit]


def _ends(drawn: Array, tail: float) -> tuple[float, float]:
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
