from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nas_fusion.analysis.anova import shapley_shares, variance_components
from nas_fusion.analysis.factors import Factor
from nas_fusion.analysis.kernel_effects import kernel_effects, product_effects

Array = npt.NDArray[np.float64]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), levels=st.lists(st.integers(2, 3), min_size=1, max_size=5), terms=st.integers(1, 6))
def test_of_sums_of_products_equal_those_of_the_table(seed: int, levels: list[int], terms: int) -> None:
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=terms)
    parts = [generator.normal(size=(terms, count)) for count in levels]
    table = np.zeros(levels)
    for cell in itertools.product(*map(range, levels)):
        table[cell] = sum(w * np.prod([part[k, i] for part, i in zip(parts, cell, strict=True)]) for k, w in enumerate(weights))
    singles = np.array([part.mean(axis=1) for part in parts])
    boths = np.array([part @ part.T / part.shape[1] for part in parts])
    found = product_effects(singles, boths, weights)
    assert found.sum() == pytest.approx(table.var())
    np.testing.assert_allclose(found / found.sum(), shapley_shares(variance_components(table)), atol=1e-9)


FACTORS: list[tuple[BaseDistribution, list[object], Array, Array]] = [
    (CategoricalDistribution(["a", "b", "c"]), ["a", "b", "c"], np.eye(3), np.full(3, 1 / 3)),
    (IntDistribution(1, 4), [1, 2, 3, 4], np.array([[0], [1 / 3], [2 / 3], [1]]), np.full(4, 0.25)),
    (FloatDistribution(0, 1, step=0.5), [0.0, 0.5, 1.0], np.array([[0], [0.5], [1]]), np.full(3, 1 / 3)),
    # As Optuna draws them: uniform from log 0.5 to log 4.5, rounded.
    (
        IntDistribution(1, 4, log=True),
        [1, 2, 4],
        np.log([[1], [2], [3], [4]]) / np.log(4),
        np.log([3, 5 / 3, 7 / 5, 9 / 7]) / np.log(9),
    ),
]


@pytest.mark.parametrize(("distribution", "values", "points", "weights"), FACTORS)
def test_values_and_their_probabilities(
    distribution: BaseDistribution, values: list[object], points: Array, weights: Array
) -> None:
    factor = Factor(distribution)
    np.testing.assert_allclose(factor.nodes.points, points)
    np.testing.assert_allclose(factor.nodes.weights, weights)
    levels = [factor.level(value) for value in values]
    np.testing.assert_allclose(factor.encode(values), points[levels])
    is_log = getattr(distribution, "log", False)
    assert factor.levels == (None if is_log else len(weights))


@pytest.mark.parametrize(
    "distribution", [FloatDistribution(2, 6), FloatDistribution(1e-3, 10, log=True), IntDistribution(0, 10**6)]
)
def test_continuous_ranges_are_a_quadrature(distribution: BaseDistribution) -> None:
    points, weights = Factor(distribution).nodes
    assert weights.sum() == pytest.approx(1) and Factor(distribution).levels is None
    for power in range(6):
        assert weights @ points[:, 0] ** power == pytest.approx(1 / (power + 1))
    assert Factor(FloatDistribution(1e-3, 10, log=True)).encode([0.1])[0, 0] == pytest.approx(0.5)


def test_what_may_be_absent_says_so_in_a_column() -> None:
    number, choice = Factor(FloatDistribution(0, 2), 0.25), Factor(CategoricalDistribution(["a", "b"]), 0.4)
    assert number.encode([2.0, None]).tolist() == [[1.0, 0.0], [0.5, 1.0]]
    assert choice.encode(["b", None]).tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert number.nodes.weights[-1] == 0.25 and number.nodes.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(choice.nodes.weights, [0.3, 0.3, 0.4])
    assert choice.nodes.points.tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert number.levels is None and choice.levels is None


def test_of_a_linear_function_the_effects_are_the_squared_slopes() -> None:
    inputs = np.random.default_rng(0).random((40, 3))
    values = inputs @ np.array([3.0, 1.0, 0.0])
    factors = [Factor(FloatDistribution(0, 1))] * 3
    effects = kernel_effects(factors, list(inputs.T[:, :, None]), values)
    np.testing.assert_allclose(effects / effects.sum(), [0.9, 0.1, 0.0], atol=5e-3)
    assert effects.sum() == pytest.approx(10 / 12 / values.var(), rel=0.02)
