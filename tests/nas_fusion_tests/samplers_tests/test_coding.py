"""The coding of choices: orthogonal contrasts, and a kernel for all that is of higher order."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from nas_fusion.samplers.coding import Coding

DECAY = 0.3


def everything(sizes: tuple[int, ...]) -> np.ndarray:
    return np.array(list(product(*map(range, sizes))), dtype=np.intp)


def agreement(left: np.ndarray, right: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """s_i: 1 where two configurations agree, otherwise what makes its mean over the choices 0."""
    return np.where(left == right, 1.0, [-1 / (size - 1) for size in sizes])


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (2, 3, 4), (3,), (2, 5)])
def test_columns_are_orthogonal_and_each_order_has_mean_square_one(sizes: tuple[int, ...]) -> None:
    coding = Coding(sizes)
    features = coding.coded(everything(sizes)).features
    gram = features.T @ features / len(features)
    assert np.allclose(gram, np.diag(np.diag(gram)), atol=1e-12)
    assert np.allclose(features.sum(0), 0.0, atol=1e-12)
    main, pairs = features[:, ~coding.is_pair], features[:, coding.is_pair]
    assert np.allclose((main**2).sum(1), 1.0)
    assert np.allclose((pairs**2).sum(1), 1.0 if len(sizes) > 1 else 0.0)
    assert coding.n_coefficients == 1 + features.shape[1]


def test_two_choices_are_plus_and_minus_one() -> None:
    features = Coding((2, 2)).coded(everything((2, 2))).features
    assert np.allclose(features * [np.sqrt(2), np.sqrt(2), 1], [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])


def test_the_first_contrast_tells_off_from_on() -> None:
    features = Coding((4,)).coded(everything((4,))).features
    assert np.allclose(features[:, 0], np.array([3, -1, -1, -1]) / 3)
    assert np.allclose(features[0, 1:], 0.0)


@pytest.mark.parametrize("sizes", [(2,) * 5, (2, 3, 4), (2, 2, 3, 3)])
def test_the_remainder_is_the_sum_of_all_products_of_three_and_more(sizes: tuple[int, ...]) -> None:
    configurations, m = everything(sizes), len(sizes)
    coding = Coding(sizes)
    kernel = coding.remainder(coding.coded(configurations), coding.coded(configurations[::3]))
    expected = np.array(
        [
            [
                sum(DECAY**q * s[list(which)].prod() for q in range(3, m + 1) for which in combinations(range(m), q))
                for other in configurations[::3]
                for s in [agreement(one, other, sizes)]
            ]
            for one in configurations
        ]
    )
    assert np.allclose(kernel, expected / expected.max(), atol=1e-9)
    assert np.isclose(expected.max(), sum(DECAY**q * len(list(combinations(range(m), q))) for q in range(3, m + 1)))


def test_two_parameters_have_no_remainder() -> None:
    coding = Coding((2, 3))
    coded = coding.coded(everything((2, 3)))
    assert np.array_equal(coding.remainder(coded, coded), np.zeros((6, 6)))


def test_shares_name_each_coefficient_of_a_parameter_and_its_partner() -> None:
    coding = Coding((2, 3, 2))
    assert coding.owners.tolist() == [[0, 0], [1, 1], [1, 1], [2, 2], [0, 1], [0, 1], [0, 2], [1, 2], [1, 2]]
    assert [(own.tolist(), other.tolist()) for own, other in coding.shares] == [
        ([0, 4, 5, 6], [0, 1, 1, 2]),
        ([1, 2, 4, 5, 7, 8], [1, 1, 0, 0, 2, 2]),
        ([3, 6, 7, 8], [2, 0, 1, 1]),
    ]
