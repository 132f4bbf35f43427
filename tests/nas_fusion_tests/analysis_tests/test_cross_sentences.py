"""What a cross-validation is said to show, and what not."""

from __future__ import annotations

import math
from dataclasses import replace

from nas_fusion.analysis.cross_sentences import (
    cross_validation_columns,
    cross_validation_findings,
    how_it_was_compared,
)
from nas_fusion.analysis.cross_validation import CrossValidation
from nas_fusion.analysis.findings import Finding
from tests.nas_fusion_tests.analysis_tests.crossed import crossed, fold_score

BASE = [0.60, 0.62, 0.58, 0.61, 0.59, 0.60, 0.63, 0.57, 0.60, 0.60]
LOWER = [loss - 0.2 + 0.01 * (i % 3) for i, loss in enumerate(BASE)]
SAME = [loss + 0.02 * (-1) ** i for i, loss in enumerate(BASE)]


def found(result: CrossValidation) -> dict[str, Finding]:
    return {finding.signature: finding for finding in cross_validation_findings(result)}


def test_what_is_clearly_lower_is_better() -> None:
    finding = found(crossed({"A_0": BASE, "fused": LOWER}, folds=10))["better"]
    assert finding.level == "good"
    assert finding.sentence.startswith("Fused everywhere predicts better than the baseline: the cross-entropy of held-out ")
    assert "is lower by 0.191 nats (95 % interval 0.182 to 0.200; p < 0.001)." in finding.sentence
    assert finding.sentence.endswith("No difference is shown in accuracy, sensitivity, specificity, F1 or AUC.")


def test_what_is_clearly_higher_is_worse() -> None:
    finding = found(crossed({"A_0": BASE, "fused": LOWER}, folds=10, against="fused"))["worse"]
    assert finding.level == "warning"
    assert (
        finding.sentence.startswith("The baseline predicts worse than fused everywhere") and "is higher by" in finding.sentence
    )


def test_no_difference_shown_is_not_called_equal() -> None:
    finding = found(crossed({"A_0": BASE, "fused": SAME}, folds=10))["not_shown"]
    assert finding.level == "note"
    assert "is not shown to differ from the baseline" in finding.sentence
    assert "the difference is +0.000 nats (95 % interval -0.022 to +0.022; p = 1.000)" in finding.sentence
    assert "no proof that they are equal: whatever lies in the interval remains possible" in finding.sentence


def test_a_lead_that_does_not_outlast_the_number_of_comparisons_is_not_shown() -> None:
    slightly = [loss - 0.02 + 0.0165 * (-1) ** i for i, loss in enumerate(BASE)]
    others = {f"other{i}": SAME for i in range(4)}
    sentences = [finding.sentence for finding in cross_validation_findings(crossed({"A_0": BASE, "fused": slightly}, folds=10))]
    assert any("Fused everywhere predicts better" in sentence for sentence in sentences)
    crowd = cross_validation_findings(crossed({"A_0": BASE, "fused": slightly, **others}, folds=10))
    assert "Fused everywhere is not shown to differ" in crowd[0].sentence
    assert "after Holm's correction). Taken for itself the interval leaves zero out (p = 0.034)" in crowd[0].sentence
    assert "but that does not outlast a correction for 5 comparisons" in crowd[0].sentence


def test_other_scores_that_differ_are_named() -> None:
    result = crossed({"A_0": BASE, "fused": SAME}, folds=10)
    scores = tuple(
        replace(score, scores={**score.scores, "auc": 0.9 if score.arm == "fused" else 0.5 + score.fold / 1000})
        for score in result.scores
    )
    sentence = found(replace(result, scores=scores))["not_shown"].sentence
    assert "Of the other scores, this differs: AUC by +0.396 (95 % interval +0.39" in sentence
    assert sentence.endswith("No difference is shown in accuracy, sensitivity, specificity or F1.")


def test_one_fold_is_not_judged() -> None:
    finding = found(crossed({"A_0": [0.5, 0.6], "fused": [0.4, math.nan]}, folds=2))["not_judged"]
    assert "Fused everywhere and the baseline cannot be compared: fewer than two folds have a loss of both" in finding.sentence


def test_arms_that_differ_in_nothing_share_a_sentence() -> None:
    findings = cross_validation_findings(crossed({"A_0": BASE, "fused": LOWER, "alone": SAME, "other": BASE}, folds=10))
    assert [finding.signature for finding in findings] == ["better", "not_shown"]
    assert findings[1].sentence == (
        "Neither in cross-entropy (difference and 95 % interval, in nats) nor in another score is shown to differ from the "
        "baseline: x alone (+0.000, -0.022 to +0.022); other (+0.000, +0.000 to +0.000). That is no proof that they are equal: "
        "whatever lies in an interval remains possible."
    )


def test_collapse_is_said_in_words() -> None:
    shares = [{"fused.0": 0.97, "sc.0": 0.5}, {"fused.0": 0.95, "sc.0": 0.5}, {"fused.0": 0.6, "sc.0": 0.5}]
    layers = {"fused.0": 0.2, "sc.0": 0.95}
    routed = tuple(
        fold_score("routed", 0, fold, {"loss": 0.5}, usage_entropy=layers, largest_share=share)
        for fold, share in enumerate(shares)
    )
    result = CrossValidation({"routed": "routed"}, "routed", 3, 1, routed)
    assert found(result)["collapsed"].sentence == (
        "routed: routing collapses. One expert gets at least 95 % of all gates of fused.0 in 2 of the 3 folds: such a layer "
        "is a single expert."
    )
    assert cross_validation_columns(result)["Expert entropy"].tolist() == ["0.57 [fused.0 0.20, sc.0 0.95]"]
    assert found(replace(result, scores=routed[2:])).keys() == {"failed"}


def test_longer_training_is_said() -> None:
    base, longer = (
        crossed({arm: BASE}, folds=10, against=arm, epochs=epochs) for arm, epochs in (("A_0", 8.0), ("fused", 14.0))
    )
    result = replace(base, arms={**base.arms, **longer.arms}, scores=base.scores + longer.scores)
    assert (
        "the baseline saw 8 (those that it inherits included), fused everywhere 14."
        in found(result)["longer_training"].sentence
    )
    assert "longer_training" not in found(replace(result, against="fused"))


def test_a_configuration_that_somebody_chose_may_flatter() -> None:
    result = replace(crossed({"A_0": BASE, "fused": LOWER}, folds=10), chosen=("fused",))
    assert (
        "If fused everywhere was chosen by a search on these subjects, the scores flatter"
        in found(result)["chosen_before"].sentence
    )


def test_undefined_scores_and_failures_are_said() -> None:
    undefined = crossed({"A_0": [0.5, math.nan, 0.7]}, folds=3, metric="auc")
    assert found(undefined)["undefined"].sentence == (
        "Not every score is defined in each of the 3 folds: not AUC in 1. These are left out."
    )
    failed = replace(crossed({"A_0": BASE, "fused": [math.inf, *LOWER[1:]]}, folds=10), failures=("fold 1: boom",))
    assert found(failed)["failed"].sentence == (
        "Not every arm could be trained in each of the 10 folds: not fused everywhere in 1. These are left out. "
        "The last failure: fold 1: boom."
    )


def test_columns() -> None:
    columns = cross_validation_columns(crossed({"A_0": BASE, "fused": LOWER}, folds=10))
    assert columns["Arm"].tolist() == ["A_0: no fusion *", "fused everywhere"]
    assert columns["Loss"].tolist() == ["0.600 ± 0.018", "0.409 ± 0.016"]
    assert columns["Loss minus that of *"].tolist() == ["–", "-0.191 [-0.200, -0.182]"]
    assert columns["p"].tolist() == ["–", "< 0.001"] and "Expert entropy" not in columns


def test_one_arm_is_shown_without_comparison() -> None:
    result = crossed({"A_0": BASE}, folds=5)
    assert list(cross_validation_columns(result)) == ["Arm", "Loss", "Accuracy", "Sensitivity", "Specificity", "F1", "AUC"]
    assert cross_validation_findings(result) == [] and "held out twice" in how_it_was_compared(result)


def test_how_it_was_compared() -> None:
    text = how_it_was_compared(crossed({"A_0": BASE, "fused": LOWER, "alone": SAME}, folds=10))
    assert "held out once; in each of the 10 folds" in text and "J = 10 and 0.111 subjects" in text
    assert text.endswith("Holm's p-values allow for the 2 arms compared.")
