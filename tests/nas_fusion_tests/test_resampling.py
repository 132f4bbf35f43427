"""The corrected error of a mean over overlapping training sets."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_fusion.resampling import corrected_error


def test_by_hand() -> None:
    # Mean 3, squared deviations 4 + 1 + 0 + 1 + 4, so s² = 2.5; five folds of five, four times as many train as test.
    assert corrected_error([1, 2, 3, 4, 5], test_ratio=0.25) == pytest.approx(math.sqrt((1 / 5 + 0.25) * 2.5))


def test_without_a_test_set_it_is_the_ordinary_standard_error() -> None:
    assert corrected_error([1, 2, 3, 4, 5], test_ratio=0.0) == pytest.approx(math.sqrt(2.5 / 5))


@given(
    st.lists(st.floats(-10, 10), min_size=2, max_size=30),
    st.floats(0.01, 1.0),
    st.integers(2, 5),
)
def test_repeating_the_same_numbers_hardly_narrows_it(values: list[float], ratio: float, times: int) -> None:
    """However many repeats: the error does not fall below what one test set's share leaves."""
    once, often = corrected_error(values, test_ratio=ratio), corrected_error(values * times, test_ratio=ratio)
    floor = math.sqrt(ratio / (1 / len(values) + ratio) * (len(values) - 1) / len(values))
    assert floor * once - 1e-9 <= often <= once + 1e-9
