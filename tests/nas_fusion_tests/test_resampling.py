"""The corrected error of a mean over overlapping training sets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

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


def test_it_keeps_the_level_of_repeated_folds_where_the_ordinary_error_does_not() -> None:
    """Two regressions on equally informative features: by 5 x 5 folds, neither is better, and 5 % may seem so."""
    rng, rejected = np.random.default_rng(0), {0.0: 0, 0.25: 0}
    for _ in range(200):
        y = rng.normal(size=60)
        features = y + rng.normal(size=(2, 60))
        gains = []
        for held_out in (part for _ in range(5) for part in np.split(rng.permutation(60), 5)):
            train = np.setdiff1d(np.arange(60), held_out)
            slopes = (features[:, train] @ y[train]) / (features[:, train] ** 2).sum(axis=1)
            losses = ((y[held_out] - slopes[:, None] * features[:, held_out]) ** 2).mean(axis=1)
            gains.append(losses[0] - losses[1])
        for ratio in rejected:
            t = np.mean(gains) / corrected_error(gains, test_ratio=ratio)
            rejected[ratio] += bool(2 * stats.t.sf(abs(t), 24) < 0.05)
    assert rejected[0.25] / 200 <= 0.08 and rejected[0.0] / 200 >= 0.2
