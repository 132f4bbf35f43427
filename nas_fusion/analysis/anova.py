"""The functional analysis of variance of a landscape: which parameters, and which of them together, make the losses differ."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import helmert

from nas_fusion.analysis.landscape import Landscape

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class ParameterEffects:
    """What part of a landscape's variance each parameter makes, every combination of choices counting alike.

    Where parameters may be without effect, several combinations are one canonical configuration, which counts as often: as
    random search would draw it. All are shares of `variance` in [0, 1]; where that is 0 they are 0.

    Attributes:
        shapley: Shapley effect of each parameter, in the space's order: the variance that it makes alone, and of each
            interaction an equal part with the others in it. They sum to 1.
        alone: What it makes alone: its first-order Sobol index.
        total: What it makes alone and in all interactions: its total Sobol index, at least the Shapley effect.
        pairs: What each pair of parameters makes together beyond what both make alone.
        variance: Variance of the losses over all combinations of choices, in nats squared.
    """

    shapley: Mapping[str, float]
    alone: Mapping[str, float]
    total: Mapping[str, float]
    pairs: Mapping[tuple[str, str], float]
    variance: float


def shapley_effects(landscape: Landscape) -> ParameterEffects:
    """Return the exact variance-based Shapley effects of a landscape's parameters, with their parts.

    Parameters are categorical factors with any number of choices, independent and uniform.
    Sources: Owen, Sobol' indices and Shapley value, SIAM/ASA J. Uncertainty Quantification 2 (2014) 245-251; Song, Nelson and
    Staum, Shapley effects for global sensitivity analysis, ibid. 4 (2016) 1060-1083.

    Args:
        landscape: Complete.

    Raises:
        ValueError: If a configuration is missing.
    """
    parameters = list(landscape.space.parameters)
    parts = variance_components(landscape.array)
    variance = float(parts.sum())
    shares = parts / variance if variance > 0 else parts
    alone = [float(shares[_on(len(parameters), (i,))]) for i in range(len(parameters))]
    pairs = itertools.combinations(enumerate(parameters), 2)
    return ParameterEffects(
        shapley=dict(zip(parameters, shapley_shares(parts).tolist(), strict=True)),
        alone=dict(zip(parameters, alone, strict=True)),
        total={name: float(shares.take(1, axis=i).sum()) for i, name in enumerate(parameters)},
        pairs={(a, b): float(shares[_on(len(parameters), (i, j))]) for (i, a), (j, b) in pairs},
        variance=variance,
    )


def variance_components(values: Array) -> Array:
    """Return the variance of each component of the functional ANOVA of a table.

    The table is rotated along each axis into an orthonormal basis whose first vector is constant (Helmert's): a squared
    coefficient belongs to the component of the axes on which its index is not 0.

    Args:
        values: One axis a factor, as long as it has levels; all cells count alike.

    Returns:
        `(2,) * axes`, at least 0: index 1 on the axes of the factors of the component, 0 for that of no factor. They sum to the
        variance of the table.
    """
    coefficients = values - values.mean() if differ(values) else np.zeros_like(values)
    for axis, levels in enumerate(values.shape):
        rotated = np.tensordot(helmert(levels, full=True), coefficients, axes=(1, axis))
        coefficients = np.moveaxis(rotated, 0, axis)
    parts: Array = coefficients**2 / values.size
    for axis in range(values.ndim):
        varying = parts.take(range(1, parts.shape[axis]), axis=axis).sum(axis=axis)
        parts = np.stack([parts.take(0, axis=axis), varying], axis=axis)
    parts[(0,) * values.ndim] = 0.0
    return parts


def differ(values: Array) -> bool:
    """Return whether values differ by more than the rounding of their mean, which would be taken for effects."""
    return bool(np.ptp(values) > 1e-12 * np.abs(values).max())


def shapley_shares(parts: Array) -> Array:
    """Return the Shapley effect of each factor: the sum of the components with it, each shared equally among its factors.

    Args:
        parts: As `variance_components` returns them.

    Returns:
        `(axes,)`, at least 0 and summing to 1, or all 0 if there is no variance.
    """
    sizes = np.zeros((1,) * parts.ndim)
    for axis in range(parts.ndim):
        sizes = np.concatenate([sizes, sizes + 1], axis=axis)
    shared = parts / np.maximum(sizes, 1)
    effects = np.array([shared.take(1, axis=axis).sum() for axis in range(parts.ndim)])
    return effects / effects.sum() if effects.sum() > 0 else effects


def _on(axes: int, chosen: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(axis in chosen) for axis in range(axes))
