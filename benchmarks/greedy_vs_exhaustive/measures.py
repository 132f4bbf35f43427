"""The arithmetic of searches on a table: what was found when, at which cost, and how sure that is. Numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEVEL = 0.95
_Z = 1.959963984540054  # quantile of the normal distribution for LEVEL


def regret_curve(losses: Sequence[float], *, minimum: float, scale: float, length: int) -> Floats:
    """Return the regret of the best configuration so far after 1, 2, ... evaluations, `(length,)`.

    Args:
        losses: In the order of the evaluations, at least one. A search that ends early keeps its best.
        minimum: The lowest loss of the landscape.
        scale: Unit of regret, above 0.
        length: Number of evaluations.
    """
    best = np.minimum.accumulate(np.asarray(losses, dtype=np.float64))[:length]
    return np.pad((best - minimum) / scale, (0, length - len(best)), mode="edge")


def evaluations_until(losses: Sequence[float], limit: float) -> int | None:
    """Return after how many evaluations a loss of at most `limit` was first seen, `None` if never."""
    hits = np.flatnonzero(np.asarray(losses) <= limit)
    return int(hits[0]) + 1 if len(hits) else None


def first_times(order: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Return which evaluations were the first of their configuration, `(len(order),)`."""
    first = np.zeros(len(order), dtype=bool)
    first[np.unique(np.asarray(order), return_index=True)[1]] = True
    return first


def training_cost(evaluations: Floats, *, ratio: float, inherits: bool) -> Floats:
    """Return what evaluations cost in units of a full training.

    Args:
        evaluations: Numbers of evaluations, at least 1.
        ratio: Cost of a training that starts from inherited weights, in full trainings: W/B.
        inherits: Whether all but the first evaluation, the baseline's, inherit.
    """
    return 1.0 + ratio * (evaluations - 1.0) if inherits else evaluations


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a probability.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    share, spread = successes / n, _Z**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = _Z * np.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def bootstrap_mean(values: Floats, *, groups: npt.NDArray[np.int64] | None = None, n: int = 2000) -> tuple[float, float]:
    """Return the 95 % percentile interval of a mean, resampling landscapes.

    Args:
        values: One a search, `(searches,)`.
        groups: Which landscape a search was on, `(searches,)`; `None` where each was on its own.
        n: Number of resamples.
    """
    labels = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, sizes = np.bincount(labels, values), np.bincount(labels)
    drawn = np.random.default_rng(0).integers(len(sums), size=(n, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
