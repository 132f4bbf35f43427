"""The corrected repeated-k-fold t-test against scipy's formulas and a published example; tables of folds and arms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas_fusion.analysis.cross_validation import (
    METRICS,
    CrossValidation,
    cross_validation_table,
    difference,
    expert_entropy,
    fold_table,
    holm,
)
from tests.nas_fusion_tests.analysis_tests.crossed import crossed, fold_score

THEIRS = [0.60, 0.55, 0.70, 0.62, 0.58, 0.66, 0.52, 0.71, 0.64, 0.57]
OURS = [0.50, 0.56, 0.61, 0.55, 0.57, 0.60, 0.51, 0.60, 0.63, 0.55]


def test_two_repeats_of_five_folds_against_numpy_and_scipy() -> None:
    gains = np.subtract(OURS, THEIRS)
    error = np.sqrt((1 / 10 + 10 / 90) * gains.var(ddof=1))
    low, high = stats.t.interval(0.95, 9, loc=gains.mean(), scale=error)
    found = difference(crossed({"A_0": THEIRS, "fused": OURS}, folds=5), "fused", "loss")
    assert found.pairs == 10
    assert (found.mean, found.error) == pytest.approx((gains.mean(), error))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(gains.mean() / error), 9))


def test_scikit_learns_published_example() -> None:
    """Two support vector machines by 10 x 10 folds: scikit-learn's documentation gives t = 0.750 and p = 0.227, one-sided.

    https://scikit-learn.org/stable/auto_examples/model_selection/plot_grid_search_stats.html
    """
    from sklearn.datasets import make_moons
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    features, labels = make_moons(noise=0.352, random_state=1, n_samples=100)
    parts = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    areas = {
        name: cross_val_score(SVC(kernel=name, random_state=0), features, labels, cv=parts, scoring="roc_auc")
        for name in ("linear", "rbf")
    }
    result = crossed(areas, folds=10, metric="auc", against="linear", n_train=80, n_validation=10, n_test=10)
    found = difference(result, "rbf", "auc")
    assert found.pairs == 100
    assert found.mean / found.error == pytest.approx(0.750, abs=5e-4)
    assert found.p / 2 == pytest.approx(0.227, abs=5e-4)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=20), st.floats(0.5, 0.99))
def test_the_interval_holds_zero_exactly_where_p_is_above_the_level(gains: list[float], confidence: float) -> None:
    result = crossed({"A_0": [0.0] * len(gains), "fused": gains}, folds=len(gains))
    found = difference(result, "fused", "loss", confidence=confidence)
    if found.error and abs(found.p - (1 - confidence)) > 1e-9:
        assert (found.low <= 0 <= found.high) == (found.p > 1 - confidence)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.lists(st.floats(-1, 1), min_size=4, max_size=4))
def test_exchanging_the_arms_changes_signs_only(a: list[float], b: list[float]) -> None:
    here, there = (
        difference(crossed({"A_0": a, "fused": b}, folds=4, against=against), other, "loss")
        for against, other in (("A_0", "fused"), ("fused", "A_0"))
    )
    assert (here.mean, here.low, here.high) == pytest.approx((-there.mean, -there.high, -there.low))
    assert here.p == pytest.approx(there.p)


@pytest.mark.parametrize(("gain", "p"), [(0.0, 1.0), (-0.1, 2**-9)])
def test_no_variance_to_judge_by(gain: float, p: float) -> None:
    found = difference(crossed({"A_0": THEIRS, "fused": [loss + gain for loss in THEIRS]}, folds=10), "fused", "loss")
    assert found.p == p and found.low == found.high == pytest.approx(gain)


def test_two_folds_that_agree_exactly_show_nothing() -> None:
    found = difference(crossed({"A_0": [0.6, 0.6], "fused": [0.4, 0.4]}, folds=2), "fused", "loss")
    assert found.mean == pytest.approx(-0.2) and found.p == 0.5


def test_folds_that_one_arm_lacks_are_left_out_of_both() -> None:
    """A fold that could not be trained (infinite here), and one in which the metric is undefined."""
    holes = [math.inf, math.nan, *OURS[2:]]
    found = difference(crossed({"A_0": THEIRS, "fused": holes}, folds=10), "fused", "loss")
    alone = difference(crossed({"A_0": THEIRS[2:], "fused": OURS[2:]}, folds=8), "fused", "loss")
    assert found.pairs == 8 and found == alone


@pytest.mark.parametrize(("losses", "mean"), [([0.4, math.inf], -0.2), ([math.inf, math.nan], math.nan)])
def test_less_than_two_folds_have_a_mean_at_most(losses: list[float], mean: float) -> None:
    found = difference(crossed({"A_0": [0.6, 0.6], "fused": losses}, folds=2), "fused", "loss")
    assert found.mean == pytest.approx(mean, nan_ok=True)
    assert all(math.isnan(number) for number in (found.error, found.low, found.high, found.p))


def test_the_share_of_test_subjects_is_that_of_the_folds() -> None:
    """Selecting epochs is a part of learning: validation subjects count on the side of those that a model comes from."""
    few, many = (
        difference(crossed({"A_0": THEIRS, "fused": OURS}, folds=10, n_train=train, n_validation=20), "fused", "loss")
        for train in (30, 70)
    )
    assert few.error / many.error == pytest.approx(math.sqrt((1 / 10 + 10 / 50) / (1 / 10 + 10 / 90)))


def test_confidence_must_be_a_probability() -> None:
    with pytest.raises(ValueError, match=r"`confidence` must be in \(0, 1\), but got 1"):
        difference(crossed({"A_0": THEIRS, "fused": OURS}, folds=10), "fused", "loss", confidence=1)


def test_holm_by_hand() -> None:
    # 0.01 * 4 = 0.04; 0.02 * 3 = 0.06; 0.03 * 2 = 0.06; 0.5 * 1
    assert holm([0.03, 0.01, math.nan, 0.5, 0.02]) == pytest.approx([0.06, 0.04, math.nan, 0.5, 0.06], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_between_the_p_value_and_bonferronis(p_values: list[float]) -> None:
    for p, corrected in zip(p_values, holm(p_values), strict=True):
        assert p <= corrected <= min(1.0, len(p_values) * p) + 1e-12


def test_the_long_table_has_a_row_for_each_arm_repeat_fold_and_metric() -> None:
    table = fold_table(crossed({"A_0": THEIRS, "fused": OURS}, folds=5))
    assert len(table) == 2 * 10 * (len(METRICS) + 2)  # and the validation loss and epochs
    assert set(table["repeat"]) == {1, 2} and set(table["fold"]) == {1, 2, 3, 4, 5}
    found = table.query("arm == 'fused' and repeat == 2 and fold == 3 and metric == 'loss'")
    assert found["value"].tolist() == [OURS[7]] and found["n_test"].tolist() == [10]


def test_expert_entropies_are_in_the_long_table() -> None:
    result = crossed({"A_0": THEIRS}, folds=10)
    routed = fold_score("routed", 0, 0, {}, usage_entropy={"sc.0": 0.2, "fused.0": 0.6}, gate_entropy={"sc.0": 0.1})
    result = CrossValidation({"A_0": "A_0", "routed": "routed"}, "A_0", 10, 1, (*result.scores, routed))
    numbers = fold_table(result).query("arm == 'routed'").set_index("metric")["value"]
    assert numbers["usage_entropy"] == pytest.approx(0.4) and numbers["usage_entropy:sc.0"] == 0.2
    assert numbers["gate_entropy"] == 0.1
    assert expert_entropy(result, "routed") == {"sc.0": 0.2, "fused.0": 0.6} and expert_entropy(result, "A_0") == {}


def test_the_summary() -> None:
    table = cross_validation_table(crossed({"A_0": THEIRS, "fused": OURS, "alone": THEIRS[::-1]}, folds=10))
    assert list(table.index) == [(arm, metric) for arm in ("A_0", "fused", "alone") for metric in METRICS]
    fused, baseline = table.loc[("fused", "loss")], table.loc[("A_0", "loss")]
    assert (fused["mean"], fused["sd"]) == pytest.approx((np.mean(OURS), np.std(OURS, ddof=1)))
    assert fused["folds"] == fused["pairs"] == 10 and fused["p_holm"] == pytest.approx(2 * fused["p"])
    assert math.isnan(baseline["difference"]) and baseline["mean"] == pytest.approx(np.mean(THEIRS))


def test_a_metric_that_is_undefined_somewhere_is_averaged_over_the_other_folds() -> None:
    table = cross_validation_table(crossed({"A_0": [0.6, math.nan, 0.8]}, folds=3, metric="auc"))
    row = table.loc[("A_0", "auc")]
    assert row["mean"] == pytest.approx(0.7) and row["folds"] == 2
    nowhere = cross_validation_table(crossed({"A_0": [math.nan]}, folds=1, metric="auc")).loc[("A_0", "auc")]
    assert nowhere["folds"] == 0 and math.isnan(nowhere["mean"]) and math.isnan(nowhere["sd"])


def test_against_must_be_an_arm() -> None:
    result = crossed({"A_0": THEIRS}, folds=10)
    with pytest.raises(ValueError, match="`against` must be one of the arms A_0, but got 'nobody'"):
        replace(result, against="nobody")
