"""Averages of what several models say, over those that say something: a model says nothing of who lacks what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from nas_fusion.cohorts import Cohort
from nas_fusion.record import Predictions


def averaged(said: Sequence[Predictions]) -> Predictions:
    """Return the mean of the probabilities of some models for each row (subject, fold, training seed).

    Args:
        said: At least one model's, of the same subjects or of different ones.

    Returns:
        The rows of the first, then those that only others have, ordered by fold and training seed.
    """
    if all(each.subjects == said[0].subjects for each in said):
        return replace(said[0], probabilities=np.mean([each.probabilities for each in said], axis=0))
    found: dict[tuple[int, int, str], list[tuple[int, int]]] = {}
    for number, each in enumerate(said):
        seeds = np.zeros_like(each.fold) if each.seed is None else each.seed
        for row, place in enumerate(zip(each.fold.tolist(), seeds.tolist(), each.subjects, strict=True)):
            found.setdefault(place, []).append((number, row))
    places = sorted(found, key=lambda place: place[:2])
    first = [found[place][0] for place in places]
    return Predictions(
        subjects=tuple(subject for _, _, subject in places),
        fold=np.array([fold for fold, _, _ in places], dtype=np.int64),
        labels=np.array([said[number].labels[row] for number, row in first], dtype=np.int64),
        probabilities=np.stack(
            [np.mean([said[number].probabilities[row] for number, row in found[place]], axis=0) for place in places]
        ),
        seed=None if said[0].seed is None else np.array([seed for _, seed, _ in places], dtype=np.int64),
    )


def among(index: torch.Tensor, probabilities: torch.Tensor, n: int) -> torch.Tensor:
    """Return probabilities `(len(index), classes)` at their positions among n subjects, not a number where nothing is said."""
    if len(index) == n:
        return probabilities
    everybody = torch.full((n, probabilities.shape[1]), torch.nan, dtype=probabilities.dtype)
    everybody[index] = probabilities
    return everybody


def mean_of_speakers(said: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the mean of the probabilities `(subjects, classes)` of those models that say something of a subject."""
    stacked = torch.stack(list(said))
    return stacked.nanmean(dim=0) if bool(stacked.isnan().any()) else stacked.mean(dim=0)


def spoken(cohort: Cohort, probabilities: torch.Tensor) -> Predictions:
    """Return probabilities `(subjects, classes)` as predictions, without the subjects of whom nothing is said."""
    known = ~probabilities.isnan().any(dim=1)
    rows = known.nonzero().squeeze(1).tolist()
    return Predictions(
        subjects=tuple(cohort.subjects[row] for row in rows),
        fold=np.zeros(len(rows), np.int64),
        labels=cohort.labels.cpu()[known].numpy(),
        probabilities=probabilities[known].numpy(),
    )
