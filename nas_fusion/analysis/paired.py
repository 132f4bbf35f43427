"""Paired statistics: two models judged on the same subjects, and what choosing the best of many does to such a comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from nas_fusion.analysis.scores import Array
from nas_fusion.record import Predictions


@dataclass(frozen=True)
class PairedDifference:
    """By how much the loss of one model is above that of another, on the same subjects.

    Attributes:
        mean: Mean difference, in nats.
        standard_error: Of the mean, over subjects, or over groups where subjects come in groups.
        low: Lower end of the interval of the mean.
        high: Upper end.
        subjects: Number of subjects.
        units: Number of what was drawn independently: groups where subjects come in groups, else subjects.
        candidates: Among how many candidates the second model was chosen as the best; the interval allows for it.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    subjects: int
    candidates: int = 1
    units: int = 0


def paired_difference(a: Predictions, b: Predictions, *, confidence: float = 0.95, candidates: int = 1) -> PairedDifference:
    """Return loss of `a` minus loss of `b`, subject by subject: positive where `b` is the better model.

    What makes a subject hard is common to both models, so the mean of the differences is far more certain than the difference
    of the two means. The interval is Student's. If `b` is the best of several candidates *on these very subjects*, its
    lead flatters: with `candidates=m` each end is widened to the level `1 - (1 - confidence) / m` (Bonferroni), which
    holds for all m at once and so for the best of them. No interval over subjects holds what training again would change.

    Where subjects come in groups, such as sessions of a participant, those of one group are alike: the standard error is then
    the cluster-robust one over the G groups, the root of G / (G - 1) times the sum of the squared sums of deviations of each,
    over the number of subjects, and Student's degrees of freedom are G - 1. With every subject a group of its own that is the
    usual one.

    Reference: Cameron and Miller, A Practitioner's Guide to Cluster-Robust Inference, J. Human Resources 50, 2015, section II.

    Args:
        a: Predictions of one model.
        b: Predictions of the other, of the same subjects in any order.
        confidence: In (0, 1).
        candidates: Number m of candidates among which `b` was chosen, at least 1.

    Raises:
        ValueError: If the subjects differ, there are fewer than two, or an argument is out of its range.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be in (0, 1), but got {confidence}.")
    if candidates < 1:
        raise ValueError(f"`candidates` must be at least 1, but got {candidates}.")
    differences = subject_differences(a, b)
    n = len(differences)
    if n < 2:
        raise ValueError(f"`a` and `b` must share at least two subjects, but got {n}.")
    mean, (error, units) = float(differences.mean()), _standard_error(differences, _units(a))
    reach = float(stats.t.ppf(1 - (1 - confidence) / (2 * candidates), units - 1)) * error
    return PairedDifference(mean, error, mean - reach, mean + reach, n, candidates, units)


def _units(predictions: Predictions) -> npt.NDArray[np.str_]:
    """Return what each subject `(subjects,)`, sorted by id, was drawn with."""
    _, first = np.unique(np.array(predictions.subjects), return_index=True)
    return np.asarray(predictions.units[first])


def _standard_error(values: Array, units: npt.NDArray[np.str_]) -> tuple[float, int]:
    """Return the cluster-robust standard error of the mean of some values, and the number of clusters."""
    _, row_to_unit = np.unique(units, return_inverse=True)
    sums = np.bincount(row_to_unit, weights=values - values.mean())
    n = len(sums)
    return math.sqrt(n / (n - 1) * float(sums @ sums)) / len(values), n


def subject_differences(a: Predictions, b: Predictions) -> Array:
    """Return loss of `a` minus loss of `b` of each subject `(subjects,)`, sorted by id; the mean where one has several rows.

    Raises:
        ValueError: If the two are not predictions of the same subjects.
    """
    losses_a, losses_b = losses_by_subject(a), losses_by_subject(b)
    if losses_a.keys() != losses_b.keys():
        odd = sorted(losses_a.keys() ^ losses_b.keys())
        raise ValueError(f"`a` and `b` must predict the same subjects, but {len(odd)} are in one only, such as {odd[0]!r}.")
    return np.array([losses_a[subject] - losses_b[subject] for subject in sorted(losses_a)])


def on_common_subjects(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    """Return the predictions of two models of the subjects that both predict: single modalities predict who has them."""
    if set(a.subjects) == set(b.subjects):
        return a, b
    common = set(a.subjects) & set(b.subjects)
    return a.of(common), b.of(common)


def chance_of_acceptance(candidates: int) -> float:
    """Return how likely the best of m equally good candidates beats one parent that is as good as they are: m / (m + 1).

    Raises:
        ValueError: If there is less than one candidate.
    """
    if candidates < 1:
        raise ValueError(f"`candidates` must be at least 1, but got {candidates}.")
    return candidates / (candidates + 1)


def losses_by_subject(predictions: Predictions) -> dict[str, float]:
    """Return each subject's loss in nats, the mean where it has several rows."""
    subjects, rows = np.unique(np.array(predictions.subjects), return_inverse=True)
    means = np.bincount(rows, weights=predictions.losses) / np.bincount(rows)
    return dict(zip(subjects.tolist(), means.tolist(), strict=True))
