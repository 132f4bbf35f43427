"""Rules that matrices and time series must keep to be connectomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_fusion.cohorts.connectome_estimates import Matrix

SHORTEST = 30
"""Time points: of fewer, a correlation of zero has a standard error above 0.19."""
ROUNDING = 1e-5
"""Largest asymmetry, relative to the largest weight, that is taken for rounding."""
BEYOND = 1e-4
"""How far beyond 1 rounding may take a correlation."""


@dataclass(frozen=True)
class Fault:
    """A rule that a connectome breaks: its name, what it `must` be and what it is in fact (`but`)."""

    rule: str
    must: str
    but: str


def is_symmetric(matrix: Matrix) -> bool:
    """Return whether a square matrix equals its transpose up to rounding, as far as it is finite."""
    return asymmetry(matrix) <= ROUNDING


def asymmetry(matrix: Matrix) -> float:
    """Return the largest difference of finite weights from the transpose, relative to the largest weight."""
    known = np.isfinite(matrix)
    weights = np.where(known & known.T, matrix, 0.0)
    return float(np.abs(weights - weights.T).max() / max(float(np.abs(weights).max()), np.finfo(float).tiny))


def check_matrix(modality: str, matrix: Matrix, *, names: Sequence[str] = (), symmetrise: bool = False) -> Iterator[Fault]:
    """Yield what is wrong with a matrix.

    Weights of modalities whose name begins with SC must not be negative; those of modalities whose name begins with FC must be
    correlations.

    Args:
        modality: Its name.
        matrix: `(regions, regions)`.
        names: Of the regions, if known.
        symmetrise: Whether it may differ from its transpose.
    """
    known = np.isfinite(matrix)
    if not known.all():
        yield Fault("NaN", "be finite numbers", f"has NaN or infinite values in {1 - known.mean():.2%} of its entries")
    if not symmetrise and not is_symmetric(matrix):
        how = "time series are told apart by the option series=TxN or NxT, directed weights averaged by symmetrise=true"
        differs = f"differs from its transpose by up to {asymmetry(matrix):.1%} of its largest weight ({how})"
        yield Fault("asymmetry", "be symmetric", differs)
    between = np.where(known & ~np.eye(len(matrix), dtype=bool), matrix, 0.0)
    alone = np.flatnonzero(~between.any(axis=1) & known.all(axis=1))
    if len(alone):
        yield Fault("all-zero row", "connect every region", f"has only zeros in the row of {_listed(alone, names)}")
    if modality.upper().startswith("SC") and between.min() < 0:
        yield Fault(
            "negative weight", "have no negative weights", f"has {int((between < 0).sum())}, down to {between.min():.4g}"
        )
    if modality.upper().startswith("FC"):
        yield from _check_correlations(matrix[known], between)


def check_series(series: Matrix, *, names: Sequence[str] = ()) -> Iterator[Fault]:
    """Yield what is wrong with time series `(time points, regions)`."""
    known = np.isfinite(series)
    if not known.all():
        yield Fault("NaN", "be finite numbers", f"has NaN or infinite values in {1 - known.mean():.2%} of its entries")
    if len(series) < SHORTEST:
        yield Fault("short series", f"have at least {SHORTEST} time points", f"has {len(series)}")
    spread = np.where(known, series, 0.0)
    constant = np.flatnonzero((np.ptp(spread, axis=0) == 0) & known.all(axis=0))
    if len(constant):
        yield Fault("constant series", "vary in every region", f"is constant in {_listed(constant, names)}")


def _check_correlations(values: Matrix, between: Matrix) -> Iterator[Fault]:
    if bool((between == np.round(between)).all()):
        yield Fault(
            "integer values", "be correlations", "has only whole numbers beside the diagonal, as after a cast to integers"
        )
    largest = float(np.abs(values).max(initial=0.0))
    if largest > 1 + BEYOND:
        beyond = f"has values up to {largest:.4g} (correlations are expected as they are, not after Fisher's transform)"
        yield Fault("correlation out of range", "be in [-1, 1]", beyond)


def _listed(regions: npt.NDArray[np.int64], names: Sequence[str]) -> str:
    """Return regions as messages show them: by number from 1, and name if known."""
    shown = [f"region {i + 1}" + (f" ({names[i]})" if i < len(names) else "") for i in regions[:3].tolist()]
    more = f" and {len(regions) - 3} others" if len(regions) > 3 else ""
    return ", ".join(shown) + more
