"""The linear stochastic model against scipy's general solvers and against long series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm, solve_continuous_lyapunov

from nas_fusion.cohorts.simulated_connectome_dynamics import linear_model


def coupling(n: int, seed: int) -> np.ndarray:
    weights = np.triu(np.random.default_rng(seed).random((n, n)), 1)
    weights = weights + weights.T
    return weights / np.linalg.eigvalsh(weights)[-1]  # type: ignore[no-any-return]


def sigma(n: int) -> np.ndarray:
    return np.eye(n) + 0.1 * (np.arange(n)[:, None] // 2 == np.arange(n) // 2)  # type: ignore[no-any-return]


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 12), seed=st.integers(0, 1000), strength=st.floats(0, 0.95))
def test_covariance_solves_the_lyapunov_equation(n: int, seed: int, strength: float) -> None:
    weights = coupling(n, seed)
    model = linear_model(weights, strength, sigma(n))
    jacobian = strength * weights - np.eye(n)
    assert np.allclose(model.covariance, solve_continuous_lyapunov(jacobian, -2 * sigma(n)))
    assert np.allclose(model.propagator, expm(jacobian))


def test_with_independent_input_the_covariance_is_the_inverse_of_minus_j() -> None:
    weights = coupling(8, 0)
    model = linear_model(weights, 0.8, np.eye(8))
    assert np.allclose(model.covariance, np.linalg.inv(np.eye(8) - 0.8 * weights))


def test_strength_is_limited_where_activity_would_grow_without_bound() -> None:
    weights = coupling(6, 1)
    limited, limit = linear_model(weights, 3.0, np.eye(6)), linear_model(weights, 0.97, np.eye(6))
    assert np.allclose(limited.covariance, limit.covariance) and limited.rates.max() == pytest.approx(-0.03)


def test_a_long_series_has_the_stationary_covariance_and_the_propagators_autocovariance() -> None:
    n, length = 6, 40_000
    model = linear_model(coupling(n, 2), 0.7, sigma(n))
    series = model.series(np.random.default_rng(0).standard_normal((length, n)))
    assert series.shape == (length, n)
    assert np.allclose(series.T @ series / length, model.covariance, atol=0.06)
    assert np.allclose(series[1:].T @ series[:-1] / (length - 1), model.propagator @ model.covariance, atol=0.06)


def test_a_series_is_stationary_from_its_first_sample() -> None:
    n, rng = 5, np.random.default_rng(1)
    model = linear_model(coupling(n, 3), 0.9, sigma(n))
    runs = np.stack([model.series(rng.standard_normal((3, n))) for _ in range(8000)])
    for t in range(3):
        assert np.allclose(runs[:, t].T @ runs[:, t] / 8000, model.covariance, atol=0.25)
