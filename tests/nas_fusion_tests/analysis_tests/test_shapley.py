from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas_fusion.analysis import FAMILIES, Landscape, noisy, point_values, synergy_landscape
from nas_fusion.analysis.families import additive, quadratic
from nas_fusion.analysis.shapley import shapley_interactions, shapley_values
from nas_fusion.space import Configuration, SearchSpace
from tests.nas_fusion_tests.analysis_tests.test_landscape import OnlyWithA

Array = npt.NDArray[np.float64]
THREE = SearchSpace({"a": ["none", "x", "y"], "b": ["none", "x"], "c": ["none", "x", "y"]})


def games(players: int) -> st.SearchStrategy[Array]:
    return arrays(float, (2,) * players, elements=st.floats(-10, 10))


def over_all_orders(worths: Array) -> Array:
    """Each player's gain when it joins, averaged over all orders of joining: the definition."""
    players = range(worths.ndim)
    gains = np.zeros(worths.ndim)
    for order in itertools.permutations(players):
        joined = [0] * worths.ndim
        for player in order:
            before = worths[tuple(joined)]
            joined[player] = 1
            gains[player] += worths[tuple(joined)] - before
    return gains / math.factorial(worths.ndim)


def pair_as_one_player(worths: Array, i: int, j: int) -> float:
    """Interaction by its recursive definition: the pair's value as one player, minus each one's where the other is left out."""
    rest = [player for player in range(worths.ndim) if player not in (i, j)]
    moved = np.moveaxis(worths, (i, j), (0, 1))
    merged = np.stack([moved[0, 0], moved[1, 1]])
    assert merged.ndim == len(rest) + 1
    return float(shapley_values(merged)[0] - shapley_values(moved[:, 0])[0] - shapley_values(moved[0])[0])


@settings(max_examples=30, deadline=None)
@given(worths=st.integers(1, 5).flatmap(games))
def test_values_equal_the_average_over_all_orders(worths: Array) -> None:
    np.testing.assert_allclose(shapley_values(worths), over_all_orders(worths), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(worths=st.integers(2, 5).flatmap(games))
def test_interactions_equal_their_recursive_definition(worths: Array) -> None:
    found = shapley_interactions(worths)
    assert (found == found.T).all() and (np.diag(found) == 0).all()
    for i, j in itertools.combinations(range(worths.ndim), 2):
        assert found[i, j] == pytest.approx(pair_as_one_player(worths, i, j), abs=1e-9)


@pytest.mark.parametrize("name", ["trap", "nk3", "quadratic"])
def test_values_and_interactions_equal_those_of_shapiq(name: str) -> None:
    shapiq = pytest.importorskip("shapiq", reason="shapiq is a dependency of the tests only")
    landscape = FAMILIES[name](7, 1)
    worths = landscape.losses[landscape.space.baseline] - landscape.array
    exact = shapiq.ExactComputer(lambda sets: worths[tuple(sets.astype(int).T)], 7)
    expected, pairs, split = exact("SV", 1), exact("SII", 2), exact("k-SII", 2)
    values = point_values(landscape)
    for i, name_i in enumerate(landscape.space.parameters):
        assert values.values[name_i] == pytest.approx(expected[(i,)], abs=1e-12)
        assert values.alone[name_i] == pytest.approx(split[(i,)], abs=1e-12)
        for j, name_j in enumerate(landscape.space.parameters):
            if i < j:
                assert values.interaction(name_j, name_i) == pytest.approx(pairs[(i, j)], abs=1e-12)
                assert values.interaction(name_i, name_j) == pytest.approx(split[(i, j)], abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(one=games(4), other=games(4), factor=st.floats(-3, 3))
def test_efficiency_linearity_symmetry_and_dummy(one: Array, other: Array, factor: float) -> None:
    values = shapley_values(one)
    assert values.sum() == pytest.approx(one[1, 1, 1, 1] - one[0, 0, 0, 0], abs=1e-9)
    np.testing.assert_allclose(shapley_values(one + factor * other), values + factor * shapley_values(other), atol=1e-8)
    np.testing.assert_allclose(shapley_values(one.swapaxes(0, 2)), values[[2, 1, 0, 3]], atol=1e-9)
    alike = shapley_values(one + one.swapaxes(0, 2))
    assert alike[0] == pytest.approx(alike[2], abs=1e-9)
    idle = np.stack([one, one])
    assert shapley_values(idle)[0] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(shapley_values(idle)[1:], values, atol=1e-9)
    np.testing.assert_allclose(shapley_interactions(idle)[0], 0, atol=1e-9)


@pytest.mark.parametrize("m", [1, 2, 6, 12])
def test_of_an_additive_landscape_the_values_are_the_points_and_nothing_interacts(m: int) -> None:
    landscape = additive(m, 5)
    values = point_values(landscape)
    for name, value in values.values.items():
        alone = landscape.loss(landscape.space.complete({name: "mmtm"}))
        assert value == pytest.approx(0.65 - alone, abs=1e-12)
    assert all(abs(shared) < 1e-12 for shared in values.interactions.values())
    assert values.alone == pytest.approx(dict(values.values), abs=1e-12)


def test_of_the_planted_landscape_the_pair_has_the_synergy() -> None:
    values = point_values(synergy_landscape())
    assert values.gain == pytest.approx(0.30)
    assert sum(values.values.values()) == pytest.approx(0.30)
    assert sum(values.alone.values()) + sum(values.interactions.values()) == pytest.approx(0.30)
    assert max(values.interactions, key=values.interactions.__getitem__) == ("layer1", "layer3")
    assert values.interaction("layer3", "layer1") == pytest.approx(0.2633, abs=1e-4)
    assert values.values["layer1"] == pytest.approx(0.1333, abs=1e-4)
    assert values.errors is None


def test_several_choices_count_as_on_by_the_optimum_or_else_by_the_best_alone() -> None:
    losses = {c: 1.0 - 0.3 * (c["a"] == "y") - 0.1 * (c["b"] == "x") + 0.2 * (c["c"] == "x") for c in THREE.configurations()}
    landscape = Landscape({c: loss + 0.1 * (c["c"] == "y") for c, loss in losses.items()}, THREE)
    values = point_values(landscape)
    assert values.on == {"a": "y", "b": "x", "c": "y"}
    assert values.values == pytest.approx({"a": 0.3, "b": 0.1, "c": -0.1})
    assert point_values(landscape, on={"a": "x", "c": "x"}).values == pytest.approx({"a": 0.0, "b": 0.1, "c": -0.2})
    for wrong in ({"a": "none"}, {"a": "z"}, {"d": "x"}):
        with pytest.raises(ValueError, match="`on` must map parameters of the space to choices that are not off, but got"):
            point_values(landscape, on=wrong)


def test_without_effect_a_point_is_worth_what_its_canonical_form_is() -> None:
    space = OnlyWithA({"a": ["none", "x"], "b": ["none", "x"]})
    landscape = Landscape.from_function(lambda c: 1.0 - 0.4 * len(space.active(c)), space)
    values = point_values(landscape)
    assert values.values == pytest.approx({"a": 0.6, "b": 0.2})
    assert values.interaction("a", "b") == pytest.approx(0.4)


def test_errors_are_those_of_the_values_of_each_fold() -> None:
    landscape = noisy(quadratic(4, 0), sd=0.05, folds=5, seed=2)
    each = [Landscape({c: samples[fold] for c, samples in landscape.samples.items()}, landscape.space) for fold in range(5)]
    on = point_values(landscape).on
    by_fold = np.array([list(point_values(fold, on=on).values.values()) for fold in each])
    found = point_values(landscape)
    assert found.errors is not None
    np.testing.assert_allclose(list(found.values.values()), by_fold.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(list(found.errors.values()), by_fold.std(axis=0, ddof=1) / math.sqrt(5), atol=1e-12)


def test_what_is_missing_or_unknown_is_named() -> None:
    part = Landscape({Configuration({"a": "none", "b": "none"}): 1.0}, {"a": ["none", "x"], "b": ["none", "x"]})
    with pytest.raises(ValueError, match=r"`landscape` must hold all 4 sets of points, but got 1 of them: .* is missing"):
        point_values(part)
    with pytest.raises(ValueError, match=r"`one` and `other` must be two of \['layer1', .*\], but got 'layer1' and 'layer1'"):
        point_values(synergy_landscape()).interaction("layer1", "layer1")
    for shape in ((), (3,), (2, 3)):
        with pytest.raises(ValueError, match=r"`worths` must have the shape \(2, ..., 2\), an axis a player, but got"):
            shapley_values(np.zeros(shape))
        with pytest.raises(ValueError, match=r"`worths` must have the shape \(2, ..., 2\), an axis a player, but got"):
            shapley_interactions(np.zeros(shape))
    assert shapley_interactions(np.array([0.0, 1.0])).tolist() == [[0.0]]
