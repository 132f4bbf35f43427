from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas_fusion.analysis import Landscape, shapley_effects
from nas_fusion.analysis.anova import shapley_shares, variance_components
from nas_fusion.analysis.families import additive, xor_pair
from nas_fusion.analysis.shapley import shapley_values
from nas_fusion.space import SearchSpace

Array = npt.NDArray[np.float64]
tables = st.lists(st.integers(1, 4), min_size=1, max_size=4).flatmap(
    lambda shape: arrays(float, tuple(shape), elements=st.floats(-10, 10))
)


def explained(table: Array, known: tuple[int, ...]) -> float:
    """Variance of the mean of a table given some of its factors: the closed Sobol index, by its definition."""
    rest = tuple(axis for axis in range(table.ndim) if axis not in known)
    return float(table.mean(axis=rest).var())


@settings(max_examples=50, deadline=None)
@given(table=tables)
def test_components_add_up_to_what_each_set_of_factors_explains(table: Array) -> None:
    parts = variance_components(table)
    assert (parts >= 0).all() and parts[(0,) * table.ndim] == 0
    for size in range(table.ndim + 1):
        for known in itertools.combinations(range(table.ndim), size):
            within = parts[tuple(slice(None) if axis in known else 0 for axis in range(table.ndim))].sum()
            assert within == pytest.approx(explained(table, known), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(table=tables)
def test_shares_are_the_shapley_values_of_what_is_explained(table: Array) -> None:
    sets = itertools.product((0, 1), repeat=table.ndim)
    game = np.array([explained(table, tuple(np.flatnonzero(chosen))) for chosen in sets]).reshape((2,) * table.ndim)
    shares = shapley_shares(variance_components(table))
    assert (shares >= 0).all()
    if table.var() > 1e-12:
        assert shares.sum() == pytest.approx(1)
        np.testing.assert_allclose(shares, shapley_values(game) / table.var(), atol=1e-7)


def test_effects_of_a_pair_of_which_exactly_one_must_be_on() -> None:
    landscape = xor_pair(5, 0, strength=0.2, decoy=0.1)
    effects = shapley_effects(landscape)
    one, other, decoy = (f"layer{i + 1}" for i in np.random.default_rng(0).permutation(5)[:3])
    # Variances of two fair coins: 0.2² / 4 for "exactly one of the pair" and 0.1² / 4 for the decoy.
    assert effects.variance == pytest.approx(0.0125)
    assert {name: round(share, 12) for name, share in effects.shapley.items() if share > 1e-12} == {
        one: 0.4,
        other: 0.4,
        decoy: 0.2,
    }
    assert effects.alone[one] == pytest.approx(0) and effects.total[one] == pytest.approx(0.8)
    assert effects.alone[decoy] == effects.total[decoy] == pytest.approx(0.2)
    assert {pair for pair, share in effects.pairs.items() if share > 1e-12} == {tuple(sorted((one, other)))}


def test_effects_of_an_additive_landscape_are_those_of_each_parameter_alone() -> None:
    effects = shapley_effects(additive(6, 1))
    assert effects.shapley == pytest.approx(dict(effects.alone))
    assert effects.shapley == pytest.approx(dict(effects.total))
    assert sum(effects.shapley.values()) == pytest.approx(1)


def test_a_parameter_with_three_choices_and_a_landscape_without_variance() -> None:
    space = SearchSpace({"a": ["none", "x", "y"], "b": ["none", "x"]})
    landscape = Landscape.from_function(lambda c: {"none": 0.0, "x": 0.3, "y": 0.6}[c["a"]] + 0.2 * (c["b"] == "x"), space)
    effects = shapley_effects(landscape)
    assert effects.shapley == pytest.approx({"a": 0.06 / 0.07, "b": 0.01 / 0.07})
    for loss in (0.5, 0.1, 0.7, 1 / 3, 0.0):
        flat = shapley_effects(Landscape.from_function(lambda c, loss=loss: loss, space))  # type: ignore[misc]
        assert flat.variance == 0 and set(flat.shapley.values()) == {0.0}


def test_what_is_not_complete_is_refused() -> None:
    space = SearchSpace({"a": ["none", "x"], "b": ["none", "x"]})
    with pytest.raises(ValueError, match=r"`landscape` must be complete, but got 1 of 4 configurations\."):
        shapley_effects(Landscape({space.baseline: 1.0}, space))
