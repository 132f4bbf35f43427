"""The gain over the baseline, with what choosing among many does to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nas_fusion.analysis import paired_difference, synergy_landscape
from nas_fusion.analysis.diagnosis_of_cohort import mean_interval
from nas_fusion.analysis.gain import gain_of
from nas_fusion.record import Predictions
from tests.nas_fusion_tests.analysis_tests.builders import one_search, planted_comparison, predictions, sfsa


def test_the_choice_among_candidates_widens_the_interval_on_validation_and_not_on_test() -> None:
    comparison = planted_comparison()
    arm, baseline = comparison.arm("sfsa"), comparison.baseline
    gain = gain_of(comparison, arm)
    assert gain is not None and baseline is not None and arm.test is not None and baseline.test is not None
    assert gain.candidates == 7  # eight evaluations, the baseline left out
    assert gain.validation == paired_difference(baseline.validation, arm.validation, candidates=7)
    assert gain.validation.low < paired_difference(baseline.validation, arm.validation).low
    assert gain.test == paired_difference(baseline.test, arm.test)


def test_without_a_choice_or_the_baseline_there_is_no_gain() -> None:
    comparison = one_search()
    assert gain_of(comparison, replace(sfsa(synergy_landscape()), best=None)) is None
    assert gain_of(replace(comparison, arms=(sfsa(synergy_landscape()),)), sfsa(synergy_landscape())) is None


@pytest.mark.parametrize("candidates", [1, 7])
def test_the_interval_of_a_mean_loss_allows_for_the_choice(candidates: int) -> None:
    losses = predictions(0.5).losses
    expected = stats.t.interval(1 - 0.05 / candidates, len(losses) - 1, losses.mean(), stats.sem(losses))
    assert np.allclose(mean_interval(predictions(0.5), candidates), expected)


def test_a_subject_that_several_seeds_predict_counts_once() -> None:
    once = predictions(0.5)
    twice = Predictions(
        subjects=once.subjects * 2,
        fold=np.tile(once.fold, 2),
        labels=np.tile(once.labels, 2),
        probabilities=np.tile(once.probabilities, (2, 1)),
        seed=np.repeat([0, 1], len(once.labels)),
    )
    assert np.allclose(mean_interval(twice), mean_interval(once))
