"""Expected improvement, and what is believed of evaluations that are under way."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm

from nas_fusion.samplers.coding import Coding
from nas_fusion.samplers.forecast import Forecast, log_improvement
from nas_fusion.samplers.quadratic import Data, Model

LEVELS = np.array(list(product((0, 1, 2), (0, 1), (0, 1), (0, 1))), dtype=np.intp)
CODING = Coding((3, 2, 2, 2))
CODED = CODING.coded(LEVELS)


def model(seed: int, n: int = 9) -> tuple[np.ndarray, Model]:
    generator = np.random.default_rng(seed)
    rows = generator.permutation(len(LEVELS))[:n]
    return rows, Model(CODING, Data(CODED.rows(rows), generator.normal(size=n)))


@pytest.mark.parametrize("gain", [-3.0, -0.7, 0.0, 0.4, 2.0])
@pytest.mark.parametrize("variance", [0.25, 1.0, 4.0])
def test_expected_improvement_is_the_integral(gain: float, variance: float) -> None:
    deviation = np.sqrt(variance)
    expected, _ = quad(lambda x: x * norm.pdf(x, gain, deviation), 0.0, gain + 40 * deviation, epsabs=1e-14, limit=200)
    assert log_improvement(np.array([gain]), np.array([variance]))[0] == pytest.approx(np.log(expected), abs=1e-6)


def test_far_from_the_best_more_is_still_more() -> None:
    gains = -np.logspace(0, 8, 200)
    scores = log_improvement(gains, np.ones(200))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()
    assert scores[gains < -1e3][0] == pytest.approx(-(gains[gains < -1e3][0] ** 2) / 2, rel=1e-4)


def test_a_forecast_mixes_what_the_settings_say() -> None:
    _, fitted = model(0)
    forecast = Forecast(fitted, CODED)
    components = fitted.components(CODED)
    generator = np.random.default_rng(1)
    draws = np.concatenate(
        [
            generator.normal(
                component.mean, np.sqrt(component.variance * component.setting.scale), size=(round(4e4 * component.weight), 24)
            )
            for component in components
        ]
    )
    drawn = fitted.in_unit(draws)
    assert np.allclose(forecast.mean, drawn.mean(0), atol=0.05)
    assert np.allclose(forecast.standard_deviation, drawn.std(0), atol=0.05)
    improvement = np.maximum(fitted.least_expected() - draws, 0).mean(0)
    assert np.allclose(np.exp(forecast.log_expected_improvement()), improvement, atol=0.02)


def test_what_is_believed_changes_uncertainty_as_if_it_were_known() -> None:
    rows, fitted = model(2)
    forecast = Forecast(fitted, CODED)
    before = forecast.mean
    believed = [int(row) for row in np.setdiff1d(np.arange(len(LEVELS)), rows)[:3]]
    for row in believed:
        forecast.believe(row)
    assert np.array_equal(forecast.mean, before)
    seen = [*map(int, rows), *believed]
    for component in forecast.components:
        setting = component.setting
        kernel = 4.0 + (CODED.features * setting.variances) @ CODED.features.T
        kernel += setting.remainder * CODING.remainder(CODED, CODED)
        known = kernel[np.ix_(seen, seen)] + setting.nugget * np.eye(len(seen))
        variance = np.diag(kernel) - np.einsum("ij,ij->j", kernel[seen], cho_solve(cho_factor(known), kernel[seen]))
        assert np.allclose(component.variance, variance, atol=1e-7)


def test_the_best_is_the_least_expected_of_what_was_evaluated() -> None:
    rows, fitted = model(3)
    means = Forecast(fitted, CODED).mean[rows]
    assert fitted.in_unit(np.array(fitted.least_expected())) == pytest.approx(means.min(), abs=1e-6)
