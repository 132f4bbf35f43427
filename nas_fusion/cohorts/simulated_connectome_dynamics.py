"""Activity of coupled regions: a linear stochastic model, solved exactly.

dx = J x dt + noise of covariance 2 Sigma per unit time, J = -I + g W with a symmetric coupling W. Its stationary covariance C
solves J C + C J' + 2 Sigma = 0 (the continuous Lyapunov equation), and a series sampled once per unit time is exactly
x[t + 1] = E x[t] + N(0, C - E C E'), E = expm(J). As J is symmetric, both are closed forms in its eigenvectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

STABLE = 0.97
"""Largest share of the coupling at which activity would grow without bound."""


@dataclass(frozen=True)
class LinearModel:
    """The model in its eigenvectors.

    Attributes:
        rates: Eigenvalues of J `(regions,)`, all negative.
        vectors: Its eigenvectors `(regions, regions)`, one a column.
        covariance: Stationary covariance C `(regions, regions)`.
    """

    rates: Array
    vectors: Array
    covariance: Array

    @property
    def propagator(self) -> Array:
        """E = expm(J) `(regions, regions)`."""
        return (self.vectors * np.exp(self.rates)) @ self.vectors.T

    def series(self, noise: Array) -> Array:
        """Return a stationary series `(timepoints, regions)`, made from standard normal numbers of the same shape."""
        decay = np.exp(self.rates)
        inside = self.vectors.T @ self.covariance @ self.vectors
        innovation = self.vectors @ (inside * (1 - np.outer(decay, decay))) @ self.vectors.T
        steps = noise @ np.linalg.cholesky(innovation).T @ self.vectors
        steps[0] = noise[0] @ np.linalg.cholesky(self.covariance).T @ self.vectors
        for before, step in pairwise(steps):
            step += decay * before
        return steps @ self.vectors.T


def linear_model(coupling: Array, strength: float, sigma: Array) -> LinearModel:
    """Return the model of a coupling; its strength is limited to 0.97 of where activity would grow without bound.

    Args:
        coupling: W, symmetric `(regions, regions)`, its largest eigenvalue positive.
        strength: g, at least 0.
        sigma: Covariance Sigma of the regions' input `(regions, regions)`, positive definite.
    """
    values, vectors = np.linalg.eigh(coupling)
    rates = min(strength, STABLE / values[-1]) * values - 1
    inside = vectors.T @ sigma @ vectors
    covariance = vectors @ (-2 * inside / (rates[:, None] + rates)) @ vectors.T
    return LinearModel(rates, vectors, (covariance + covariance.T) / 2)
