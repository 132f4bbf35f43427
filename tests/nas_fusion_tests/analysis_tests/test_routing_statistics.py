from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas_fusion.analysis.routing_statistics import class_test, lost_without, variance_shares
from tests.nas_fusion_tests.analysis_tests.routing_builders import (
    adaptivity,
    layer,
    planted_gates,
    shared_gates,
)


@pytest.mark.parametrize(
    ("region", "subject", "own"),
    [(0.06, 0.0, 0.0), (0.0, 0.06, 0.0), (0.0, 0.0, 0.06), (0.05, 0.05, 0.05), (0.06, 0.02, 0.04), (0.01, 0.02, 0.08)],
)
def test_planted_shares_of_variance_are_found(region: float, subject: float, own: float) -> None:
    found = variance_shares(layer(planted_gates(400, 300, region=region, subject=subject, own=own)))
    total = region**2 + subject**2 + own**2
    assert found.region == pytest.approx(region**2 / total, abs=0.05)
    assert found.subject == pytest.approx(subject**2 / total, abs=0.05)
    assert found.interaction == pytest.approx(own**2 / total, abs=0.05)
    assert found.between_subjects == pytest.approx(1 - found.region)


def test_components_are_unbiased_with_few_tokens() -> None:
    # A plain share of sums of squares would give subjects 1/tokens of the rest as their own.
    found = [variance_shares(layer(planted_gates(200, 4, own=0.08, seed=seed))).subject for seed in range(20)]
    assert np.mean(found) < 0.03


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_shares_are_shares(subjects: int, tokens: int, experts: int, seed: int) -> None:
    gates = np.random.default_rng(seed).dirichlet(np.ones(experts), size=(subjects, tokens))
    found = variance_shares(layer(gates))
    if experts == 1:
        assert math.isnan(found.region)
        return
    parts = (found.region, found.subject, found.interaction)
    assert min(parts) >= 0 and sum(parts) == pytest.approx(1)


def test_gates_that_are_all_the_same_have_no_shares() -> None:
    found = variance_shares(layer(shared_gates((0.2, 0.8))))
    assert math.isnan(found.region) and math.isnan(found.between_subjects)


def test_one_token_a_subject_differs_between_subjects_only() -> None:
    assert variance_shares(layer(planted_gates(30, 1, own=0.05))).subject == 1.0


def test_a_planted_difference_between_classes_is_found_and_explains_what_was_planted() -> None:
    gates = planted_gates(120, 10, subject=0.02)
    gates[1::2] += np.array([0.06, -0.06])
    found = class_test(layer(gates))
    assert found.p == pytest.approx(1 / 2000) and found.permutations == 1999
    assert found.statistic == pytest.approx(0.03**2 / (0.03**2 + 0.02**2), abs=0.1)


def test_the_statistic_and_p_are_those_of_an_analysis_of_variance_with_two_experts() -> None:
    gates = planted_gates(60, 8, subject=0.05, seed=3)
    gates[1::2] += np.array([0.02, -0.02])
    use = layer(gates)
    usage = use.by_subject[:, 0]
    low, high = usage[::2], usage[1::2]
    between = sum(30 * (part.mean() - usage.mean()) ** 2 for part in (low, high))
    found = class_test(use)
    assert found.statistic == pytest.approx(between / ((usage - usage.mean()) ** 2).sum())
    assert found.p == pytest.approx(stats.f_oneway(low, high).pvalue, abs=0.02)


def test_without_a_difference_p_is_uniform_although_tokens_of_a_subject_agree() -> None:
    p = [class_test(layer(planted_gates(30, 20, subject=0.08, seed=seed)), permutations=99).p for seed in range(120)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) < 0.05) < 0.12


def test_nothing_is_tested_where_nothing_varies() -> None:
    assert math.isnan(class_test(layer(shared_gates((0.5, 0.5)))).p)
    assert math.isnan(class_test(layer(planted_gates(6, 3, subject=0.05), labels=np.zeros(6, np.int64))).p)


def test_the_test_is_the_same_each_time() -> None:
    use = layer(planted_gates(20, 5, subject=0.05))
    assert class_test(use, permutations=50) == class_test(use, permutations=50)


def test_what_is_lost_without_own_gates_is_paired_by_subject() -> None:
    tested = adaptivity(0.05, 0.02)
    lost = lost_without(tested, "another")
    assert (lost.mean, lost.subjects) == (pytest.approx(0.05), 100)
    differences = tested.replaced["another"].mean(axis=0) - tested.own
    low, high = stats.ttest_1samp(differences, 0).confidence_interval()
    assert (lost.low, lost.high) == (pytest.approx(low), pytest.approx(high))
    assert lost_without(tested, "mean").mean == pytest.approx(0.02)
    with pytest.raises(ValueError, match=r"`intervention` must be one of \['another', 'mean'\], but got 'none'\."):
        lost_without(tested, "none")
