from __future__ import annotations

from dataclasses import replace

import pytest

from nas_fusion.analysis import Comparison, diagnose, paired_difference
from nas_fusion.analysis.diagnosis_of_cohort import noisy_modality
from nas_fusion.analysis.diagnosis_of_references import in_numbers
from nas_fusion.analysis.findings import Finding
from tests.nas_fusion_tests.analysis_tests.builders import planted_comparison, predictions
from tests.nas_fusion_tests.analysis_tests.routed import FUSED, SPACE, model, routed_comparison, routed_search, static

SC, FC = model("alone:SC", "SC alone", 0.69), model("alone:FC", "FC alone", 0.58, seed=8)


def findings(comparison: Comparison) -> dict[str, Finding]:
    return {finding.signature: finding for finding in diagnose(comparison)}


def test_both_modalities_against_the_better_one_also_where_the_static_model_is_kept() -> None:
    found = findings(routed_comparison(routed_search(SPACE.baseline, 0.15), static(0.15), SC, FC))["fused_beats_alone"]
    assert found.level == "good"
    assert found.sentence.startswith(
        "The modalities together tell more than any of them alone: the static model has 0.150 nats and FC alone, the best of "
        "its kind, 0.580; the difference for the same validation subjects is 0.430 ± 0.0"
    )


def test_one_modality_may_be_as_good() -> None:
    found = findings(routed_comparison(routed_search(FUSED, 0.579), static(0.6), SC, FC))["alone_as_good"]
    assert found.level == "warning" and found.causes and "--seed 1" in found.command
    assert found.sentence.startswith("One modality is as good as all: fused:e3k2 has 0.579 nats and FC alone")


def test_one_modality_may_be_better() -> None:
    found = findings(routed_comparison(routed_search(FUSED, 0.65), static(0.66), SC, FC))["alone_as_good"]
    assert found.sentence.startswith("One modality is better than all together: fused:e3k2 has 0.650 nats and FC alone")


def test_where_the_baseline_does_not_fuse_the_verdict_says_whether_fusing_pays() -> None:
    assert not {"fused_beats_alone", "alone_as_good"} & findings(planted_comparison()).keys()


@pytest.mark.parametrize(("linear", "signature"), [(0.64, "beats_linear"), (0.15, "linear_as_good"), (0.05, "linear_as_good")])
def test_the_best_linear_model(linear: float, signature: str) -> None:
    arms = (model("logistic:FC", "logistic regression on FC", 0.66), model("logistic:all", "logistic regression", linear))
    found = findings(routed_comparison(routed_search(SPACE.baseline, 0.15), static(0.15), *arms))
    assert (
        f"{linear:.3f}" in found[signature].sentence
        and "logistic regression, the best of its kind" in found[signature].sentence
    )
    assert len({"beats_linear", "linear_as_good"} & found.keys()) == 1
    said = {0.64: "It takes a network: ", 0.15: "A linear model is as good: ", 0.05: "A linear model is better: "}[linear]
    assert found[signature].sentence.startswith(said)


@pytest.mark.parametrize(
    ("dense", "words"),
    [(0.30, "is better"), (0.05, "is worse"), (0.149, "makes no difference that shows")],
)
def test_against_mixtures_that_use_every_expert(dense: float, words: str) -> None:
    arms = (routed_search(FUSED, 0.15), static(0.15), model("dense", "dense mixtures", dense))
    sentence = findings(routed_comparison(*arms))["against_dense"].sentence
    assert f"(dense mixtures, {dense:.3f} nats), fused:e3k2 {words}: for the same validation subjects" in sentence


def test_the_test_subjects_are_told_where_they_were_looked_at() -> None:
    tested = {"test": predictions(0.16, subjects=200)}
    alone = replace(FC, test=predictions(0.6, subjects=200, seed=9))
    sentence = findings(routed_comparison(routed_search(FUSED, 0.15, **tested), static(0.15), SC, alone))[
        "fused_beats_alone"
    ].sentence
    assert "; on the test subjects 0.440 ± 0.0" in sentence


def test_too_few_subjects_are_told_with_a_way_to_more() -> None:
    few = routed_search(FUSED, 0.15, validation=predictions(0.15, subjects=128, seed=5))
    found = findings(routed_comparison(few, replace(static(0.15), validation=predictions(0.15, subjects=128))))["few_subjects"]
    assert (
        found.sentence.startswith("There are 128 validation subjects, and it takes about 512") and "--folds 5" in found.command
    )
    assert "few_subjects" not in findings(routed_comparison(routed_search(FUSED, 0.15), static(0.15)))
    assert "few_subjects" not in findings(planted_comparison())


def test_a_noisy_modality_helps_where_the_static_model_fuses_it_with_profit() -> None:
    comparison = routed_comparison(routed_search(SPACE.baseline, 0.15), static(0.15), SC, FC)
    (found,) = noisy_modality(comparison, comparison.arms[0])
    assert found.level == "note" and found.sentence.endswith("what SC tells, it tells in combination with the others.")
    useless = routed_comparison(routed_search(SPACE.baseline, 0.58), static(0.58), SC, FC)
    (found,) = noisy_modality(useless, useless.arms[0])
    assert found.level == "warning" and "noise is shared" in found.causes and "scope=full" in found.command


def test_a_difference_says_what_its_interval_allows_for() -> None:
    a, b = predictions(0.6, seed=1, subjects=40), predictions(0.5, seed=2, subjects=40)
    assert "standard error of 40 subjects, 95 % interval 0." in in_numbers(paired_difference(a, b))
    groups = {subject: f"g{i % 5}" for i, subject in enumerate(a.subjects)}
    grouped = in_numbers(paired_difference(a.grouped(groups), b.grouped(groups), candidates=7))
    assert "standard error of 40 subjects in 5 groups, 95 % interval, widened for the best of 7, " in grouped
