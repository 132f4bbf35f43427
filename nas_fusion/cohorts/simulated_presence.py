"""Who of the simulated MRI cohort lacks what: absent completely at random, everybody keeps one modality."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from scipy.optimize import brentq

from nas_fusion.cohorts.scanner import generator
from nas_fusion.cohorts.simulated_options import MODALITIES, Options

STREAM = 65  # of a subject's generators, behind that of the clinical table


def present(options: Options) -> torch.Tensor:
    """Return who has what, boolean `(subjects, modalities)`.

    Each modality is absent with one probability, independently; of who would lose all of them one is kept, each equally likely.
    The probability is such that the expected share of absent cells is `missing`.
    """
    n, columns = len(options.subjects), [MODALITIES.index(name) for name in options.modalities]
    if not options.missing:
        return torch.ones(n, len(columns), dtype=torch.bool)
    drawn = np.stack([generator(options.seed, i, STREAM).random(len(MODALITIES))[columns] for i in range(n)])
    kept = drawn >= probability_of_absence(len(columns), options.missing)
    kept[np.arange(n), drawn.argmax(axis=1)] = True
    return torch.from_numpy(kept)


def probability_of_absence(modalities: int, missing: float) -> float:
    """Return the probability q with which each of m modalities is absent before one is kept: q - q^m / m = `missing`."""
    return float(brentq(lambda q: q - q**modalities / modalities - missing, 0.0, 1.0))


def patterns(modalities: Sequence[str], missing: float) -> dict[tuple[str, ...], float]:
    """Return the probability of each set of available modalities."""
    m = len(modalities)
    q = probability_of_absence(m, missing)
    return {
        pattern: (1 - q) ** size * q ** (m - size) + (q**m / m if size == 1 else 0.0)
        for size in range(1, m + 1)
        for pattern in combinations(modalities, size)
    }
