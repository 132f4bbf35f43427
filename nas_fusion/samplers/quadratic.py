"""A second-order model of a landscape with its uncertainty: what a few evaluations tell of all other configurations.

The loss is taken for a constant, a main effect of each parameter, an interaction of each pair, and a small remainder of
higher order. All of these are normal a priori, so the model is Bayesian linear regression and a Gaussian process at once: its
kernel is the ANOVA kernel of the categorical parameters. How strong pairs and remainder are is not known: a few settings are
weighed by their marginal likelihood, and in each of them the parameters (or single coefficients) that seem to matter get more
of the variance. No randomness, and nothing but arrays: the same numbers give the same answer.

Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), sections 2.2 and 5.4.1; Neal, Bayesian
Learning for Neural Networks (1996), section 1.2.3 (automatic relevance determination); Baptista and Poloczek, Bayesian
Optimization of Combinatorial Structures (arXiv 1806.08838), who fit sparse second-order models to subsets by sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dtrtrs

from nas_fusion.samplers.coding import Coded, Coding, Floats

# A priori main effects together have variance 1 (in units of an overall scale, which is integrated out).
_PAIR_VARIANCES = (0.05, 0.3, 1.0, 3.0)
_REMAINDER_VARIANCES = (0.003, 0.05, 0.3)
_CONSTANT_VARIANCE = 4.0
_SETTINGS_KEPT = 3
_SCALE_SHAPE = 2.0  # inverse gamma of the overall variance: its mode is near a half of the data's
_SCALE_MODE = 0.5
_JITTER = 1e-5
_STEPS = 12
_COEFFICIENT_SHAPE = 3.0  # degrees of freedom of Student's t, a coefficient's prior when its own variance is learnt
_PARAMETER_SHAPE = 4.0
_NEGLIGIBLE = 0.02
_REACH = 3.0  # so many times the best one's distance from the median


@dataclass(frozen=True)
class Setting:
    """A prior with its evidence. Variances are in units of the overall variance.

    Attributes:
        variances: (coefficients,) array.
        remainder: Variance of interactions of higher order.
        nugget: Variance of a value's noise.
        log_evidence: Logarithm of the marginal likelihood up to a constant, the overall scale integrated out.
        scale: The overall variance to be expected.
        factor: (n, n) lower Cholesky factor of the data's covariance without the scale.
        residual: (n,) array: the data solved by that factor.
    """

    variances: Floats
    remainder: float
    nugget: float
    log_evidence: float
    scale: float
    factor: Floats
    residual: Floats


@dataclass
class Component:
    """What one setting says of the candidates."""

    weight: float
    setting: Setting
    mean: Floats  # (candidates,)
    variance: Floats  # (candidates,)
    solved: Floats  # (n, candidates): covariance with the data, solved by its factor


@dataclass(frozen=True)
class Data:
    """What is known: n evaluated configurations, their values and the variance of these values' noise."""

    coded: Coded
    values: Floats
    noise: float = 0.0


class Model:
    """The posterior of a second-order landscape.

    Args:
        coding: Of the space.
        data: At least one evaluation.

    Raises:
        ValueError: If there is none, or a value is not finite.
    """

    def __init__(self, coding: Coding, data: Data) -> None:
        if not len(data.values) or not np.isfinite(data.values).all():
            raise ValueError(f"`data` must hold finite values, at least one, but got {data.values.tolist()}.")
        self._coding, self._data = coding, data
        values = _without_far_above(data.values)
        self._centre = float(values.mean())
        spread = float(values.std())
        self._unit = spread if spread > 1e-12 * max(1.0, abs(self._centre)) else 1.0
        self._values = (values - self._centre) / self._unit
        self._noise = data.noise / self._unit**2
        self._features = data.coded.features
        self._remainder = coding.remainder(data.coded, data.coded)
        self._has_remainder = len(coding.sizes) > 2
        self.settings = self._weigh()

    # --- fitting ---

    def _weigh(self) -> list[Setting]:
        """Return settings of the prior, the most likely ones, each with what the data say of single parameters."""
        flat = [
            self._setting(np.where(self._coding.is_pair, pair, 1.0), remainder)
            for pair in _PAIR_VARIANCES
            for remainder in _REMAINDER_VARIANCES
        ]
        flat.sort(key=lambda setting: -round(setting.log_evidence, 6))
        kept = flat[:_SETTINGS_KEPT]
        return [refine(setting) for setting in kept for refine in (self._learn_coefficients, self._learn_parameters)]

    def _setting(self, variances: Floats, remainder: float, scale: float = 1.0) -> Setting:
        covariance = _CONSTANT_VARIANCE + (self._features * variances) @ self._features.T + remainder * self._remainder
        nugget = _JITTER + self._noise / scale
        covariance.flat[:: len(covariance) + 1] += nugget
        factor = np.linalg.cholesky(covariance).astype(np.float64, copy=False)
        residual = _solved(factor, self._values)
        shape = _SCALE_SHAPE + len(self._values) / 2
        rate = _SCALE_SHAPE * _SCALE_MODE + residual @ residual / 2
        log_evidence = -shape * np.log(rate) - np.log(np.diag(factor)).sum()
        return Setting(variances, remainder, nugget, float(log_evidence), float(rate / shape), factor, residual)

    def _second_moments(self, setting: Setting) -> Floats:
        """Return the posterior mean squares of the coefficients over the overall variance."""
        solved = _solved(setting.factor, self._features * setting.variances)
        means = solved.T @ setting.residual
        variances = setting.variances - np.einsum("ij,ij->j", solved, solved)
        return np.asarray(means**2 / setting.scale + np.maximum(variances, 0.0))

    def _learn_coefficients(self, setting: Setting) -> Setting:
        """Give each coefficient its own variance: expectation-maximisation under Student's t."""
        prior, shape = setting.variances, _COEFFICIENT_SHAPE
        for _ in range(_STEPS):
            variances = (shape * prior + self._second_moments(setting)) / (shape + 1)
            setting = self._setting(variances, setting.remainder, setting.scale)
        return setting

    def _learn_parameters(self, setting: Setting) -> Setting:
        """Give each parameter a weight: a main effect's variance is multiplied by it, a pair's by the product of two."""
        prior, weights = setting.variances, np.ones(len(self._coding.sizes))
        left, right = self._coding.owners.T
        for _ in range(_STEPS):
            moments = self._second_moments(setting) / prior
            for i, (own, other) in enumerate(self._coding.shares):
                explained = moments[own] / np.where(other == i, 1.0, weights[other])
                weights[i] = (_PARAMETER_SHAPE + explained.sum()) / (_PARAMETER_SHAPE + len(own))
            variances = prior * weights[left] * np.where(left == right, 1.0, weights[right])
            setting = self._setting(variances, setting.remainder, setting.scale)
        return setting

    # --- predicting ---

    @cached_property
    def weights(self) -> Floats:
        """The posterior probabilities of the settings; negligible ones are 0."""
        evidence = np.array([setting.log_evidence for setting in self.settings])
        weights = np.exp(evidence - evidence.max())
        weights = np.where(weights < _NEGLIGIBLE * weights.max(), 0.0, weights)
        return np.asarray(weights / weights.sum())

    def components(self, coded: Coded) -> list[Component]:
        """Return what each setting that is not negligible says of candidates."""
        remainder = self._coding.remainder(self._data.coded, coded)
        squares = coded.features**2
        found = []
        for weight, setting in zip(self.weights, self.settings, strict=True):
            if weight > 0.0:
                pairs = (self._features * setting.variances) @ coded.features.T
                covariance = _CONSTANT_VARIANCE + pairs + setting.remainder * remainder
                solved = _solved(setting.factor, covariance)
                own = _CONSTANT_VARIANCE + squares @ setting.variances + setting.remainder * self._has_remainder
                variance = np.maximum(own - np.einsum("ij,ij->j", solved, solved), 0.0)
                found.append(Component(float(weight), setting, solved.T @ setting.residual, variance, solved))
        return found

    def least_expected(self) -> float:
        """Return the lowest expected standardised loss among the evaluations: noise makes the lowest one look too good."""
        means = np.zeros(len(self._values))
        for weight, setting in zip(self.weights, self.settings, strict=True):
            shrinkage = _solved(setting.factor, setting.residual, transposed=True)
            means += weight * (self._values - setting.nugget * shrinkage)
        return float(means.min())

    def covariance(self, setting: Setting, one: Coded, others: Coded, remainder: Floats) -> Floats:
        """Return the prior covariance of one configuration and others without the overall scale.

        Args:
            setting: Of the prior.
            one: A single configuration.
            others: Any number n of them.
            remainder: (n,) array, their kernel of higher order.
        """
        main_and_pairs = others.features @ (one.features[0] * setting.variances)
        return np.asarray(_CONSTANT_VARIANCE + main_and_pairs + setting.remainder * remainder)

    def remainder(self, one: Coded, others: Coded) -> Floats:
        """Return the (n,) kernel of higher order of one configuration and others."""
        return self._coding.remainder(one, others)[0]

    def in_unit(self, standardised: Floats, *, is_difference: bool = False) -> Floats:
        """Return standardised losses in the unit of the data."""
        return standardised * self._unit + (0.0 if is_difference else self._centre)


def _without_far_above(values: Floats) -> Floats:
    """Return losses of which those far above the median are lowered.

    How bad something bad is (the baseline where any fusion helps, a training that diverged) says little of what is good, and
    would use up the model's coefficients.
    """
    median = float(np.median(values))
    reach = _REACH * (median - float(values.min()))
    return np.minimum(values, median + reach) if reach > 0.0 else values


def _solved(factor: Floats, right: Floats, *, transposed: bool = False) -> Floats:
    """Return what a lower triangular factor, or its transpose, takes to the right side.

    LAPACK's routine as it is: with hundreds of small systems a decision, checks would take as long as the arithmetic.
    """
    solution, info = dtrtrs(factor, right, lower=1, trans=int(transposed))
    assert info == 0, "Should not reach."
    return np.asarray(solution)


def mixed(components: list[Component], of: Callable[[Component], Floats]) -> Floats:
    """Return the mean of something over settings by their weights."""
    return np.asarray(sum(component.weight * of(component) for component in components))


def noise_of_means(losses: Sequence[Sequence[float]]) -> float:
    """Return the variance of the noise of means over folds (or training seeds), estimated from all that have equally many.

    What a fold adds to all configurations alike is no noise: with x the losses of n configurations on k folds, the variance is
    that of x less its row's and column's mean, sum / ((n - 1) (k - 1)), over k. 0 where there are not two by two losses.
    """
    groups: dict[int, list[Sequence[float]]] = {}
    for row in losses:
        groups.setdefault(len(row), []).append(row)
    tables = [np.array(rows) for k, rows in sorted(groups.items()) if k > 1 and len(rows) > 1]
    freedom = sum((len(table) - 1) * (table.shape[1] - 1) for table in tables)
    if not freedom:
        return 0.0
    rests = [table - table.mean(1, keepdims=True) - table.mean(0) + table.mean() for table in tables]
    variance = sum(float((rest**2).sum()) for rest in rests) / freedom
    return variance / float(np.mean([table.shape[1] for table in tables for _ in table]))
