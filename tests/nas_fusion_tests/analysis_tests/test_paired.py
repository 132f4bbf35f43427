from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nas_fusion.analysis import chance_of_acceptance, paired_difference, subject_differences
from nas_fusion.record import Predictions
from tests.nas_fusion_tests.analysis_tests.builders import predictions


def test_mean_error_and_interval_agree_with_scipys_paired_test() -> None:
    a, b = predictions(0.6, seed=1), predictions(0.5, seed=2)
    found = paired_difference(a, b)
    reference = stats.ttest_rel(a.losses, b.losses)
    interval = reference.confidence_interval(0.95)
    assert found.mean == pytest.approx(0.1)
    assert found.standard_error == pytest.approx(stats.sem(a.losses - b.losses))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.subjects == 160 and found.candidates == 1


def test_the_order_of_subjects_does_not_matter() -> None:
    a, b = predictions(0.6, seed=1), predictions(0.5, seed=2)
    order = np.random.default_rng(0).permutation(160)
    shuffled = Predictions(tuple(b.subjects[i] for i in order), b.fold[order], b.labels[order], b.probabilities[order])
    assert np.allclose(subject_differences(a, shuffled), subject_differences(a, b))


def test_pairing_is_surer_than_the_difference_of_two_means() -> None:
    a, b = predictions(0.6, seed=1), predictions(0.5, seed=2)
    apart = np.hypot(stats.sem(a.losses), stats.sem(b.losses))
    assert paired_difference(a, b).standard_error < apart / 3


def test_repeated_rows_of_a_subject_count_once() -> None:
    a, b = predictions(0.6, seed=1), predictions(0.5, seed=2)
    index = np.tile(np.arange(160), 2)
    twice = Predictions(a.subjects * 2, np.repeat([0, 1], 160), a.labels[index], a.probabilities[index])
    assert paired_difference(twice, b) == paired_difference(a, b)


def test_a_choice_among_candidates_widens_the_interval_as_bonferroni_says() -> None:
    a, b = predictions(0.6, seed=1), predictions(0.5, seed=2)
    widened, plain = paired_difference(a, b, candidates=7), paired_difference(a, b, confidence=1 - 0.05 / 7)
    assert (widened.low, widened.high) == pytest.approx((plain.low, plain.high))
    assert widened.mean == plain.mean and widened.candidates == 7


def test_the_best_of_equal_candidates_is_seldom_mistaken_for_a_gain() -> None:
    """Seven candidates that differ from their parent by noise: the uncorrected interval is fooled, the widened one seldom."""
    generator, fooled, corrected = np.random.default_rng(0), 0, 0
    for _ in range(200):
        differences = generator.normal(size=(7, 100))
        best = differences[differences.mean(axis=1).argmax()]
        error = stats.sem(best)
        fooled += best.mean() - stats.t.ppf(0.975, 99) * error > 0
        corrected += best.mean() - stats.t.ppf(1 - 0.025 / 7, 99) * error > 0
    assert fooled / 200 > 0.1
    assert corrected / 200 < 0.06


@pytest.mark.parametrize("candidates", [1, 4, 7])
def test_chance_of_acceptance_agrees_with_a_simulation(candidates: int) -> None:
    draws = np.random.default_rng(1).normal(size=(20_000, candidates + 1))
    simulated = (draws[:, 1:].max(axis=1) > draws[:, 0]).mean()
    assert chance_of_acceptance(candidates) == candidates / (candidates + 1)
    assert simulated == pytest.approx(chance_of_acceptance(candidates), abs=0.01)


def test_what_cannot_be_compared_is_refused() -> None:
    a = predictions(0.6)
    other = replace(a, subjects=("somebody", *a.subjects[1:]))
    with pytest.raises(ValueError, match=r"must predict the same subjects, but 2 are in one only, such as 'somebody'\."):
        paired_difference(other, a)
    single = Predictions(("s",), np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([[0.5, 0.5]]))
    with pytest.raises(ValueError, match="`a` and `b` must share at least two subjects, but got 1"):
        paired_difference(single, single)
    with pytest.raises(ValueError, match=r"`confidence` must be in \(0, 1\), but got 0"):
        paired_difference(a, a, confidence=0)
    with pytest.raises(ValueError, match="`candidates` must be at least 1, but got 0"):
        paired_difference(a, a, candidates=0)
    with pytest.raises(ValueError, match="`candidates` must be at least 1, but got 0"):
        chance_of_acceptance(0)


# --- subjects in groups ---


def copied(sample: Predictions, times: int, *, grouped: bool) -> Predictions:
    """Return predictions of so many people alike for each subject, as a group or as people of their own."""
    index = np.repeat(np.arange(len(sample.subjects)), times)
    subjects = tuple(f"{sample.subjects[i]}-{copy}" for copy, i in enumerate(index))
    groups = tuple(sample.subjects[i] for i in index) if grouped else None
    return Predictions(subjects, sample.fold[index], sample.labels[index], sample.probabilities[index], groups=groups)


def test_people_who_are_all_alike_in_their_group_count_once() -> None:
    a, b = predictions(0.6, seed=1), predictions(0.5, seed=2)
    once, alike = paired_difference(a, b), paired_difference(copied(a, 5, grouped=True), copied(b, 5, grouped=True))
    assert alike == replace(
        once, mean=alike.mean, standard_error=alike.standard_error, low=alike.low, high=alike.high, subjects=800
    )
    assert (alike.mean, alike.low, alike.high) == pytest.approx((once.mean, once.low, once.high))
    naive = paired_difference(copied(a, 5, grouped=False), copied(b, 5, grouped=False))
    assert naive.standard_error < 0.5 * alike.standard_error and naive.units == 800


def test_groups_of_one_are_the_usual_interval_and_one_group_is_none() -> None:
    a, b = predictions(0.6, seed=1), predictions(0.5, seed=2)
    own = [each.grouped({subject: f"p{subject}" for subject in each.subjects}) for each in (a, b)]
    assert paired_difference(*own).low == pytest.approx(paired_difference(a, b).low)
    single = [each.grouped(dict.fromkeys(each.subjects, "site")) for each in (a, b)]
    assert paired_difference(*single) == paired_difference(a, b)


def test_the_error_over_groups_is_the_cluster_robust_one() -> None:
    a, b = predictions(0.6, seed=1, subjects=40), predictions(0.5, seed=2, subjects=40)
    groups = {subject: f"g{i % 7}" for i, subject in enumerate(a.subjects)}
    found = paired_difference(a.grouped(groups), b.grouped(groups))
    deviations = {subject: x - y - found.mean for subject, x, y in zip(a.subjects, a.losses, b.losses, strict=True)}
    squares = [sum(deviations[s] for s in a.subjects if groups[s] == g) ** 2 for g in sorted(set(groups.values()))]
    assert found.standard_error == pytest.approx(np.sqrt(7 / 6 * sum(squares)) / 40) and found.units == 7
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 6) * found.standard_error)
