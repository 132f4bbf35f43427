"""Tangent space of covariances at their geometric mean (Varoquaux et al. 2010, arXiv 1008.5071)."""

from __future__ import annotations

import torch

_ITERATIONS = 50
_TOLERANCE = 1e-7
_SMALLEST = 1e-30  # eigenvalues that rounding made negative would have no logarithm


def geometric_mean(covariances: torch.Tensor) -> torch.Tensor:
    """Return the geometric mean of positive definite matrices: where the mean of their logarithms seen from it vanishes.

    Gradient descent as in Fletcher and Joshi (2007, section 3), in double precision; when a step has not made the gradient
    smaller, the next ones are half as long.

    Args:
        covariances: `(subjects, regions, regions)`.

    Returns:
        `(regions, regions)`, float64.
    """
    doubled = covariances.double()
    mean, step = doubled.mean(0), 1.0
    previous = float("inf")
    for _ in range(_ITERATIONS):
        root, inverse_root = _power(mean, 0.5), _power(mean, -0.5)
        gradient = _log(inverse_root @ doubled @ inverse_root).mean(0)
        norm = float(gradient.norm()) / gradient.shape[0]
        if norm < _TOLERANCE:
            break
        step = step if norm < previous else step / 2
        mean, previous = root @ _exp(step * gradient) @ root, norm
    return mean


def whitening_of(mean: torch.Tensor) -> torch.Tensor:
    """Return the inverse square root of a positive definite matrix `(regions, regions)`."""
    return _power(mean, -0.5)


def project(covariances: torch.Tensor, whitening: torch.Tensor) -> torch.Tensor:
    """Return `log(W C W)`: symmetric, 0 for the subject at the mean `(batch, regions, regions)`."""
    whitened = whitening @ covariances.to(whitening.dtype) @ whitening
    return _log(whitened).to(covariances.dtype)


def _power(matrix: torch.Tensor, exponent: float) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(_SMALLEST).pow(exponent).unsqueeze(-2)) @ vectors.mT


def _log(matrices: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh((matrices + matrices.mT) / 2)
    return (vectors * values.clamp_min(_SMALLEST).log().unsqueeze(-2)) @ vectors.mT


def _exp(matrix: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    return (vectors * values.exp().unsqueeze(-2)) @ vectors.mT
