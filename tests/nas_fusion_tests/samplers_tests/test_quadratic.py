"""The model of second order against independent references, and what it learns from few evaluations."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import multivariate_t
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct

from nas_fusion.samplers.coding import Coding
from nas_fusion.samplers.forecast import Forecast
from nas_fusion.samplers.quadratic import Data, Model, noise_of_means

CUBE = np.array(list(product((0, 1), repeat=5)), dtype=np.intp)
CODING = Coding((2,) * 5)


def higher_order(levels: np.ndarray) -> np.ndarray:
    """Explicit columns of all products of three and more signs, as the remainder's kernel weighs them."""
    signs = 1.0 - 2.0 * levels
    columns = [np.sqrt(0.3**q) * signs[:, list(which)].prod(1) for q in (3, 4, 5) for which in combinations(range(5), q)]
    stacked = np.stack(columns, 1)
    return stacked / np.sqrt((stacked[0] ** 2).sum())


def random_data(seed: int, n: int = 14, noise: float = 0.0) -> tuple[np.ndarray, Data]:
    generator = np.random.default_rng(seed)
    rows = generator.permutation(len(CUBE))[:n]
    return rows, Data(CODING.coded(CUBE[rows]), generator.normal(size=n), noise)


@pytest.mark.parametrize("noise", [0.0, 0.04])
@pytest.mark.parametrize("seed", range(3))
def test_posteriors_equal_those_of_scikit_learn(seed: int, noise: float) -> None:
    rows, data = random_data(seed, noise=noise)
    model = Model(CODING, data)
    values = (data.values - data.values.mean()) / data.values.std()
    components = model.components(CODING.coded(CUBE))
    assert np.isclose(sum(component.weight for component in components), 1.0)
    for component in components:
        setting = component.setting
        columns = np.hstack(
            [CODING.coded(CUBE).features * np.sqrt(setting.variances), np.sqrt(setting.remainder) * higher_order(CUBE)]
        )
        regressor = GaussianProcessRegressor(DotProduct(sigma_0=2.0), alpha=setting.nugget, optimizer=None)
        mean, deviation = regressor.fit(columns[rows], values).predict(columns, return_std=True)
        assert np.allclose(component.mean, mean, atol=1e-6)
        assert np.allclose(component.variance, deviation**2, atol=1e-6)


def test_evidence_is_that_of_a_multivariate_t() -> None:
    _, data = random_data(7)
    model = Model(CODING, data)
    values = (data.values - data.values.mean()) / data.values.std()
    densities = [
        multivariate_t.logpdf(values, shape=setting.factor @ setting.factor.T * 0.5, df=4.0) for setting in model.settings
    ]
    evidence = [setting.log_evidence for setting in model.settings]
    assert np.allclose(np.diff(evidence), np.diff(densities), atol=1e-6)
    for setting in model.settings:
        squares = setting.residual @ setting.residual
        assert np.isclose(setting.scale, (1.0 + squares / 2) / (2 + len(values) / 2))


def test_a_landscape_of_second_order_is_known_after_as_many_evaluations_as_coefficients() -> None:
    generator = np.random.default_rng(3)
    losses = CODING.coded(CUBE).features @ generator.normal(size=CODING.n_coefficients - 1) + 0.7
    rows = generator.permutation(len(CUBE))[:20]
    forecast = Forecast(Model(CODING, Data(CODING.coded(CUBE[rows]), losses[rows])), CODING.coded(CUBE))
    assert np.abs(forecast.mean - losses).max() < 0.02 * losses.std()
    assert forecast.standard_deviation[rows].max() < 0.01 * losses.std()


def test_a_sparse_landscape_is_known_after_fewer() -> None:
    levels = np.array(list(product((0, 1), repeat=8)), dtype=np.intp)
    coding = Coding((2,) * 8)
    losses = 0.6 - 0.3 * levels[:, 1] * levels[:, 5] - 0.1 * levels[:, 2]
    rows = np.random.default_rng(0).permutation(256)[:24]
    forecast = Forecast(Model(coding, Data(coding.coded(levels[rows]), losses[rows])), coding.coded(levels))
    assert coding.n_coefficients == 37
    best = np.argsort(forecast.mean, kind="stable")[:32]
    assert (levels[best][:, [1, 2, 5]] == 1).all()  # all 32 optima are told from the rest


def test_nothing_but_a_constant_is_no_reason_to_fail() -> None:
    data = Data(CODING.coded(CUBE[:6]), np.full(6, 0.65))
    forecast = Forecast(Model(CODING, data), CODING.coded(CUBE))
    assert np.allclose(forecast.mean, 0.65, atol=0.05)
    assert (forecast.standard_deviation[6:] > forecast.standard_deviation[:6].max()).all()


def test_how_bad_the_worst_are_does_not_matter() -> None:
    _, data = random_data(1)
    values = data.values.copy()
    worst = np.argmax(values)
    means = []
    for loss in (50.0, 1e9):
        values[worst] = loss
        means.append(Forecast(Model(CODING, Data(data.coded, values)), CODING.coded(CUBE)).mean)
    assert np.allclose(means[0], means[1], atol=1e-9)


def test_the_model_needs_finite_values() -> None:
    coded = CODING.coded(CUBE[:2])
    for values in ([], [0.1, np.nan]):
        with pytest.raises(ValueError, match="`data` must hold finite values, at least one, but got"):
            Model(CODING, Data(coded, np.array(values)))


def test_noise_is_what_configurations_and_folds_do_not_explain() -> None:
    generator = np.random.default_rng(0)
    losses = generator.normal(size=(400, 1)) + generator.normal(size=(1, 5)) + generator.normal(0, 0.3, size=(400, 5))
    assert noise_of_means(losses.tolist()) == pytest.approx(0.09 / 5, rel=0.1)
    unequal = [*losses[:200].tolist(), *losses[200:, :3].tolist()]
    assert noise_of_means(unequal) == pytest.approx(0.09 / 4, rel=0.15)
    assert noise_of_means([[0.1, 0.3]]) == 0.0
    assert noise_of_means([[0.1], [0.3]]) == 0.0
    assert noise_of_means([]) == 0.0
    exact = noise_of_means([[0.0, 1.0], [1.0, 0.0]])  # rests of ±1/2, one degree of freedom, two folds
    assert exact == pytest.approx(0.5)


def test_noise_smooths() -> None:
    _, data = random_data(5)
    exact, smoothed = (Forecast(Model(CODING, Data(data.coded, data.values, noise)), data.coded).mean for noise in (0.0, 1.0))
    assert np.abs(exact - data.values).max() < 0.02
    assert smoothed.std() < 0.8 * exact.std()
