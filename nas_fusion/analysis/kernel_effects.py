"""Shapley effects of the inputs of a Gaussian process: exactly, without sampling and without a sum over subsets."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas_fusion.analysis.factors import Factor

Array = npt.NDArray[np.floating]

_NODES = 8  # of the quadrature at most: exact for up to 16 factors, and to many digits beyond
_LENGTHS = (0.05, 100.0)  # of the kernel, where a number's range is 1
_NOISE = (1e-4, 1.0)  # as a share of the variance of the values; less would cost the digits of the effects


def kernel_effects(factors: Sequence[Factor], inputs: Sequence[Array], values: Array, *, seed: int = 0) -> Array:
    """Return what each factor contributes to the variance of a Gaussian process's mean over independent factors.

    The process has a squared exponential kernel with a length a column, and noise, fitted by maximum likelihood (Rasmussen and
    Williams 2006, section 5.4). Its mean is a sum over trials of products over factors, so `product_effects` applies.

    Args:
        factors: At least one.
        inputs: For each factor the encoded values `(n, columns)`, n at least 2.
        values: `(n,)`.
        seed: Of the fit.

    Returns:
        `(factors,)`, at least 0; they sum to the variance of the mean, in units of the variance of the values.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    together = np.hstack(list(inputs))
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(np.full(together.shape[1], 0.5), _LENGTHS) + WhiteKernel(1e-2, _NOISE)
    model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # lengths at their bounds: inputs without effect
        model.fit(together, values)
    lengths = np.split(np.atleast_1d(model.kernel_.k1.k2.length_scale), np.cumsum([rows.shape[1] for rows in inputs])[:-1])
    singles, boths = [], []
    for factor, rows, length in zip(factors, inputs, lengths, strict=True):
        points, weights = factor.nodes
        distances = (((rows[:, None] - points) / length) ** 2).sum(axis=2)
        similar = np.exp(-distances / 2)
        singles.append(similar @ weights)
        boths.append((similar * weights) @ similar.T)
    return product_effects(np.array(singles), np.array(boths), model.kernel_.k1.k1.constant_value * model.alpha_)


def product_effects(singles: Array, boths: Array, weights: Array) -> Array:
    """Return what each factor contributes to the variance of a sum of products: its Shapley effect, times the variance.

    The function is f(x) = sum over terms k of w_k * product over factors i of g_ik(x_i), the factors independent. The game
    c(S) = Var(E[f | x_S]) is, up to a constant, the sum over pairs of terms k, l of w_k w_l * product over S of
    E[g_ik g_il] * product over the rest of E[g_ik] E[g_il]. With o and p for the two kinds of expectations, the Shapley value
    of such a product is the integral over t in [0, 1] of (o_i - p_i) * product over j != i of (p_j + t (o_j - p_j)) (from the
    multilinear extension: Owen, Management Science 18 (1972) P64-P79), which Gauss-Legendre quadrature integrates exactly.

    Args:
        singles: E[g_ik] `(factors, terms)`.
        boths: E[g_ik g_il] `(factors, terms, terms)`.
        weights: w_k `(terms,)`.

    Returns:
        `(factors,)`, at least 0; they sum to the variance of f.
    """
    apart = singles[:, :, None] * singles[:, None, :]
    gains = boths - apart
    nodes, parts = np.polynomial.legendre.leggauss(min(_NODES, (len(singles) + 1) // 2))
    effects = np.zeros(len(singles))
    for node, part in zip((nodes + 1) / 2, parts / 2, strict=True):
        others = _products_of_others(apart + node * gains)
        effects += part * np.einsum("k,ikl,ikl,l->i", weights, gains, others, weights, optimize=True)
    return np.maximum(effects, 0.0)


def _products_of_others(terms: Array) -> Array:
    """Return for each of the first axis the product of all others on it."""
    products = np.ones_like(terms)
    np.cumprod(terms[:-1], axis=0, out=products[1:])
    after = np.ones_like(terms[0])
    for position in range(len(terms) - 1, -1, -1):
        products[position] *= after
        after = after * terms[position]
    return products
