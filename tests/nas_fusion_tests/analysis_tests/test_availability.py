"""Scores by available modalities, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from nas_fusion.analysis import Comparison, availability_summary, availability_table, bootstrap_scores, diagnose
from nas_fusion.analysis.availability import patterns
from nas_fusion.analysis.diagnosis_of_availability import by_availability
from nas_fusion.analysis.diagnosis_of_cohort import noisy_modality
from nas_fusion.analysis.paired import on_common_subjects, paired_difference
from nas_fusion.record import Predictions
from tests.nas_fusion_tests.analysis_tests.builders import one_search, planted_comparison, predictions

NAMES = [f"sub-{i:03d}" for i in range(400)]
BOTH, FIRST, SECOND = ("T1w", "FLAIR"), ("T1w",), ("FLAIR",)


def having(number: int) -> tuple[str, ...]:
    """A quarter has T1w alone, three of 40 FLAIR alone, the others both."""
    return FIRST if number % 4 == 1 else SECOND if number % 40 in (6, 7, 18) else BOTH


def lacking(comparison: Comparison) -> Comparison:
    """Return a comparison with availability, in which a modality alone predicts those who have it."""
    availability = {name: having(i) for i, name in enumerate(NAMES)}
    arms = []
    for arm in comparison.arms:
        if arm.name.startswith("alone:"):
            known = {name for name, has in availability.items() if arm.name.removeprefix("alone:") in has}
            arm = replace(arm, validation=arm.validation.of(known), test=None if arm.test is None else arm.test.of(known))
        arms.append(arm)
    return replace(comparison, arms=tuple(arms), availability=availability)


def worse_for(comparison: Comparison, pattern: tuple[str, ...], factor: float) -> Comparison:
    """Return a comparison whose first search has a loss that is larger by a factor for those of a pattern."""
    arm, *others = comparison.arms
    said = arm.validation
    hit = np.array([comparison.availability[subject] == pattern for subject in said.subjects])
    losses = said.losses * np.where(hit, factor, 1.0)
    right = np.exp(-losses)
    p = np.where(np.eye(2, dtype=bool)[said.labels], right[:, None], 1 - right[:, None])
    return replace(comparison, arms=(replace(arm, validation=replace(said, probabilities=p), test=None), *others))


def test_rows_of_some_subjects_keep_their_order_and_seeds() -> None:
    made = predictions(0.5, subjects=6, folds=2)
    part = made.of({"sub-004", "sub-001", "unknown"})
    assert part.subjects == ("sub-001", "sub-004") and part.fold.tolist() == [0, 1] and part.seed is None
    assert np.array_equal(part.probabilities, made.probabilities[[1, 4]])
    assert replace(made, seed=np.arange(6)).of({"sub-002"}).seed == [2]


def test_patterns_come_with_most_modalities_first() -> None:
    found = patterns(lacking(planted_comparison()))
    assert list(found) == [BOTH, FIRST, SECOND]
    assert found[FIRST] == {name for i, name in enumerate(NAMES) if i % 4 == 1}


def test_scores_of_a_pattern_are_those_of_its_subjects_by_scikit_learn() -> None:
    comparison = lacking(planted_comparison())
    table = availability_table(comparison, resamples=200).set_index(["part", "modalities", "arm"])
    arm = comparison.arm("late_fusion")
    assert arm.test is not None
    rows = [i for i, s in enumerate(arm.test.subjects) if comparison.availability[s] == FIRST]
    labels, p = arm.test.labels[rows], arm.test.probabilities[rows]
    found = table.loc[("test", "T1w", "late_fusion")]
    assert found["n"] == len(rows) == 100
    assert found["loss"] == pytest.approx(log_loss(labels, p, labels=[0, 1]))
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, p.argmax(1)))
    assert np.isnan(found["auc"])  # every fourth subject is of the second class
    interval = bootstrap_scores(arm.test.of({s for i, s in enumerate(NAMES) if i % 4 == 1}), resamples=200)["loss"]
    assert (found["loss_low"], found["loss_high"]) == (interval.low, interval.high)
    both = table.loc[("test", "T1w + FLAIR", "sfsa")]
    rows = [i for i, name in enumerate(NAMES) if having(i) == BOTH]
    sfsa = comparison.arm("sfsa").test
    assert sfsa is not None
    assert both["auc"] == pytest.approx(roc_auc_score(sfsa.labels[rows], sfsa.probabilities[rows, 1]))


def test_every_arm_has_a_row_for_whom_it_predicts() -> None:
    comparison = lacking(planted_comparison())
    table = availability_table(comparison, resamples=10)
    assert set(table["arm"][table["modalities"] == "T1w"]) == {a.name for a in comparison.arms} - {"alone:FLAIR"}
    counts = table[table["arm"] == "sfsa"].groupby("part")["n"].sum()
    assert counts.to_dict() == {"validation": 160, "test": 400}
    summary = availability_summary(comparison)
    assert len(summary) == len(table) and set(summary[0]) == {"part", "modalities", "arm", "n", "loss", "accuracy", "auc"}


def test_nothing_is_said_where_everybody_has_everything() -> None:
    comparison = planted_comparison()
    assert availability_table(comparison).empty and availability_summary(comparison) == []
    assert by_availability(comparison, comparison.arms[0]) == []


def test_a_pattern_that_is_predicted_much_worse_is_named_with_numbers_and_a_way_out() -> None:
    comparison = worse_for(lacking(one_search()), FIRST, 6.0)
    worse, few = by_availability(comparison, comparison.arms[0])
    assert worse.signature == "worse_by_availability" and worse.level == "warning"
    assert worse.sentence.startswith("Who has T1w only, without FLAIR, is predicted much worse by layer2: ")
    arm = comparison.arms[0].validation
    hit = np.array([comparison.availability[s] == FIRST for s in arm.subjects])
    own, others = arm.losses[hit].mean(), arm.losses[~hit].mean()
    assert f"{own:.3f} nats for 40 validation subjects, {others:.3f} for the other 120" in worse.sentence
    assert "--set modality_dropout=0.2" in worse.command
    assert few.signature == "few_of_a_pattern" and few.sentence.endswith("FLAIR (12).")
    assert [f.signature for f in diagnose(comparison) if "availability" in f.signature] == ["worse_by_availability"]


def test_a_pattern_that_is_about_as_well_predicted_is_not_named() -> None:
    comparison = worse_for(lacking(one_search()), FIRST, 1.02)
    assert [f.signature for f in by_availability(comparison, comparison.arms[0])] == ["few_of_a_pattern"]


def test_arms_of_different_subjects_are_compared_on_those_they_share() -> None:
    comparison = lacking(planted_comparison())
    first, second = (comparison.arm(f"alone:{name}").validation for name in BOTH)
    a, b = on_common_subjects(first, second)
    assert set(a.subjects) == set(b.subjects) == {name for i, name in enumerate(NAMES[:160]) if having(i) == BOTH}
    assert on_common_subjects(first, first) == (first, first)
    assert paired_difference(a, b).subjects == len(a.subjects)
    assert isinstance(noisy_modality(comparison, comparison.arms[0]), list)
    assert diagnose(comparison)


def test_modalities_that_nobody_shares_are_not_compared() -> None:
    comparison = planted_comparison()
    halves = (NAMES[:80], NAMES[80:160])

    def half(predictions: Predictions, number: int) -> Predictions:
        return predictions.of(halves[number])

    arms = tuple(
        replace(arm, validation=half(arm.validation, BOTH.index(arm.name[6:])), test=None) if arm.name[:6] == "alone:" else arm
        for arm in comparison.arms
    )
    assert noisy_modality(replace(comparison, arms=arms), arms[0]) == []
