from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nas_fusion.analysis import (
    BASELINE,
    Arm,
    Comparison,
    Finding,
    Landscape,
    diagnose,
    findings_markdown,
    findings_text,
    synergy_landscape,
)
from tests.nas_fusion_tests.analysis_tests.builders import (
    SPACE,
    baseline,
    cohort,
    on,
    one_search,
    planted_comparison,
    predictions,
    reference,
    sfsa,
)

# Where every configuration is as good as the other: 0.002 nats a point, as chance and longer training give.
FLAT = Landscape.from_function(lambda c: 0.455 - 0.002 * len(SPACE.active(c)), SPACE)
ADDITIVE = cohort(task="additive", floors={"late_fusion": 0.44, "joint": 0.44})
WITHOUT_FLOORS = cohort(floors={})


def found(comparison: Comparison) -> dict[str, Finding]:
    return {finding.signature: finding for finding in diagnose(comparison)}


def flat(*more: Arm, **changes: object) -> Comparison:
    arm = sfsa(FLAT, validation=predictions(0.453, seed=1), test=predictions(0.462, subjects=400, seed=3))
    return planted_comparison(arms=(arm, baseline(0.455, test=0.46), *more), landscape=FLAT, cohort=ADDITIVE, **changes)


def by_folds(losses: dict[tuple[int, ...], Sequence[float]]) -> Comparison:
    """SFSA with the fold losses of some configurations; the others are far worse."""
    arm = sfsa(synergy_landscape())
    known = {on(*points): tuple(values) for points, values in losses.items()}
    evaluations = tuple(replace(e, fold_losses=known.get(e.configuration, (0.9, 0.9, 0.9))) for e in arm.evaluations)
    validation = predictions(0.52, folds=3, seed=8)
    return planted_comparison(arms=(replace(arm, evaluations=evaluations, validation=validation), baseline(0.65)))


def test_where_modalities_interact_it_says_that_fusion_pays() -> None:
    first = diagnose(planted_comparison())[0]
    assert (first.signature, first.level) == ("fusion_pays", "good")
    assert first.sentence.startswith("Cross-modal fusion pays: SFSA chose layer2, whose loss is lower than the baseline's")
    assert "0.130 ± 0." in first.sentence and "on the untouched test subjects 0.110 ± 0." in first.sentence


def test_where_a_module_was_accepted_by_chance_it_says_that_fusion_brings_nothing() -> None:
    first = diagnose(flat())[0]
    assert (first.signature, first.level) == ("improvement_within_spread", "warning")
    assert first.sentence.startswith("Fusion brings nothing here: SFSA accepted layer2, but its lead over the baseline")
    assert "within what chance gives: 0.002 ± 0.0" in first.sentence
    assert (
        "The best of 4 equally useless candidates beats their parent in 4 of 5 searches (80 %). Keep the baseline."
        in first.sentence
    )
    assert first.causes[0] == "a module was accepted by chance: the best of 7 candidates flatters"
    assert first.command.endswith("--folds 5 --study folds-5")


def test_a_gain_that_is_certain_but_negligible_is_nothing_either() -> None:
    arm = sfsa(FLAT, validation=predictions(0.445, noise=0.0), test=None)
    sure = planted_comparison(
        arms=(arm, replace(baseline(0.455), validation=predictions(0.455, noise=0.0))), cohort=WITHOUT_FLOORS
    )
    first = diagnose(sure)[0]
    assert first.signature == "improvement_within_spread"
    assert "its lead over the baseline on the same validation subjects is negligible: 0.010 ± 0.00" in first.sentence


def test_a_gain_that_the_test_subjects_do_not_show_is_not_proven() -> None:
    arm = sfsa(synergy_landscape(), test=predictions(0.65, subjects=400, seed=3))
    first = diagnose(planted_comparison(arms=(arm, baseline(0.65))))[0]
    assert first.signature == "not_confirmed_on_test"
    assert first.sentence.startswith("Fusion is not proven here: SFSA chose layer2 for a lead over the baseline of 0.130")
    assert first.command


def test_the_baseline_selected() -> None:
    arm = replace(sfsa(FLAT), best=SPACE.baseline, path=(SPACE.baseline,), value=0.40)
    first = diagnose(planted_comparison(arms=(arm, baseline(0.40)), cohort=ADDITIVE))[0]
    assert first.signature == "baseline_selected"
    assert first.sentence == (
        "Fusion brings nothing here: SFSA kept the baseline, where only the logits meet. "
        "The nearest of 7 candidates, layer1 + layer2, has 0.451 nats, the baseline 0.400."
    )
    assert len(first.causes) == 3
    assert first.command.endswith("--module mmtm,concat_conv --study module-mmtm-concat_conv")


def test_where_every_candidate_failed_nothing_is_said_of_fusion() -> None:
    arm = sfsa(FLAT)
    arm = replace(arm, best=SPACE.baseline, path=(SPACE.baseline,), evaluations=arm.evaluations[:1], parents=arm.parents[:1])
    first = diagnose(planted_comparison(arms=(arm, baseline(0.40)), cohort=ADDITIVE))[0]
    assert first.signature == "nothing_tried" and first.level == "warning"
    assert first.sentence == "Whether fusion pays cannot be said: SFSA has a loss of the baseline alone, and of no candidate."


def test_the_baseline_selected_although_another_has_the_lower_mean() -> None:
    arm = replace(sfsa(FLAT), best=SPACE.baseline, path=(SPACE.baseline,), value=0.46)
    first = diagnose(planted_comparison(arms=(arm, baseline(0.46)), cohort=ADDITIVE))[0]
    assert first.sentence.endswith(
        "The best of 7 candidates, layer1 + layer2, has 0.451 nats, the baseline 0.460: lower, but not by enough for the "
        "search's rule of acceptance."
    )


def test_without_the_baselines_predictions_nothing_is_claimed() -> None:
    first = diagnose(planted_comparison(arms=(sfsa(synergy_landscape()),)))[0]
    assert (first.signature, first.level) == ("not_judged", "note")
    assert "whether fusion pays cannot be said" in first.sentence


@pytest.mark.parametrize(("loss", "words"), [(0.40, "Late fusion wins"), (0.452, "Late fusion is as good"), (0.55, None)])
def test_late_fusion_against_the_choice(loss: float, words: str | None) -> None:
    late = found(flat(reference("late_fusion", "Late fusion", loss, members=2))).get("late_fusion_wins")
    assert (late is None) == (words is None)
    if late is not None:
        assert late.sentence.startswith(f"{words}: separately trained networks") and f"reach {loss:.3f} nats" in late.sentence
        assert late.causes and late.command.endswith("--module concat_conv --study module-concat_conv")


def test_a_loss_clearly_under_the_floor_of_late_fusion_is_a_proof() -> None:
    proof = found(planted_comparison())["below_late_fusion_floor"]
    assert (
        proof.level == "good" and "layer2 has a test loss of at most 0.5" in proof.sentence and "below 0.627" in proof.sentence
    )
    assert "below_late_fusion_floor" not in found(flat())
    assert "below_late_fusion_floor" not in found(planted_comparison(cohort=WITHOUT_FLOORS))


def test_a_loss_just_under_the_floor_proves_nothing() -> None:
    arm = sfsa(synergy_landscape(), test=predictions(0.61, subjects=400))
    assert "below_late_fusion_floor" not in found(planted_comparison(arms=(arm, baseline(0.65))))


def test_a_loss_under_what_any_model_can_reach_is_suspected_of_a_leak() -> None:
    arm = sfsa(synergy_landscape(), test=predictions(0.05, subjects=400))
    leak = found(planted_comparison(arms=(arm, baseline(0.65))))["below_joint_floor"]
    assert leak.level == "warning" and leak.causes[0] == "the label leaks into an input"


def test_a_baseline_at_the_joint_floor_leaves_nothing_to_gain() -> None:
    assert "0.455 nats, cannot be told from the best" in found(flat())["baseline_at_joint_floor"].sentence
    assert "baseline_at_joint_floor" not in found(planted_comparison())


def test_a_modality_that_is_much_noisier() -> None:
    alone = (reference("alone:T1w", "T1w alone", 0.70, seed=51), reference("alone:FLAIR", "FLAIR alone", 0.50, seed=53))
    noisy = found(flat(*alone))["noisy_modality"]
    assert noisy.level == "warning"
    assert noisy.sentence == (
        "One modality is much noisier: T1w alone reaches 0.700 nats and FLAIR alone 0.500, where knowing nothing costs 0.693."
    )
    assert noisy.causes and noisy.command.endswith("--module concat_conv --study module-concat_conv")
    third = found(replace(flat(*alone), cohort={**ADDITIVE, "modalities": ["T1w", "FLAIR", "T2w"]}))
    assert third["noisy_modality"].command.endswith("--modalities FLAIR,T2w --study modalities-FLAIR-T2w")


def test_a_modality_at_chance_that_helps_when_fused_is_no_noise() -> None:
    noisy = found(planted_comparison())["noisy_modality"]
    assert noisy.level == "note" and not noisy.causes
    assert noisy.sentence.endswith("fused it helps all the same: what T1w tells, it tells in combination with the others.")


def test_modalities_that_are_about_equally_good_are_not_mentioned() -> None:
    alone = (reference("alone:T1w", "T1w alone", 0.56, seed=51), reference("alone:FLAIR", "FLAIR alone", 0.54, seed=53))
    assert "noisy_modality" not in found(flat(*alone))


def test_folds_that_would_choose_differently() -> None:
    differ = by_folds({(): (0.65, 0.65, 0.65), (2,): (0.50, 0.55, 0.51), (1,): (0.60, 0.40, 0.60)})
    finding = found(differ)["choice_differs_between_folds"]
    assert finding.sentence.endswith(
        "the mean over folds favours layer2, but by itself fold 1 layer2, fold 2 layer1, fold 3 layer2."
    )
    assert finding.causes and finding.command.endswith("--folds 6 --study folds-6")


def test_a_choice_that_has_not_the_lowest_mean_is_not_said_to_have_it() -> None:
    differ = by_folds({(): (0.65, 0.65, 0.65), (2,): (0.50, 0.55, 0.51), (1,): (0.60, 0.30, 0.60)})
    finding = found(differ)["choice_differs_between_folds"]
    assert finding.sentence.endswith(
        "the search selected layer2, the mean over folds favours layer1, but by itself fold 1 layer2, fold 2 layer1, "
        "fold 3 layer2."
    )


def test_folds_that_gain_differently() -> None:
    differ = by_folds({(): (0.65, 0.45, 0.65), (2,): (0.50, 0.50, 0.50)})
    finding = found(differ)["gain_differs_between_folds"]
    assert "layer2 beats the baseline by 0.150, -0.050, 0.150 nats in the 3 folds, 0.083 ± 0.067 on average" in finding.sentence
    assert finding.causes and finding.command


def test_folds_that_agree_are_not_mentioned() -> None:
    agree = found(by_folds({(): (0.65, 0.66, 0.64), (2,): (0.50, 0.52, 0.51)}))
    assert not {"choice_differs_between_folds", "gain_differs_between_folds", "one_split"} & agree.keys()


def test_what_one_split_cannot_tell() -> None:
    note = found(planted_comparison())["one_split"]
    assert note.level == "note" and "layer1 + layer2 (0.540), layer2 + layer3 (0.540), layer2 + layer4 (0.540)" in note.sentence


def test_a_single_search_is_told_to_compare() -> None:
    findings = found(one_search())
    assert findings["not_compared"].command == "nas-fusion compare fusion-points"
    assert "best of all 16 configurations" in findings["not_compared"].sentence
    assert not {"greedy_trapped", "optimum_found", "late_fusion_wins"} & findings.keys()


def test_every_failure_has_causes_and_a_next_command() -> None:
    comparisons = [planted_comparison(), flat(reference("late_fusion", "Late fusion", 0.4)), one_search()]
    for finding in [finding for comparison in comparisons for finding in diagnose(comparison)]:
        assert finding.sentence.endswith(".")
        if finding.level == "warning":
            assert finding.causes and finding.command.startswith("nas-fusion ")


def test_a_comparison_without_a_search_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`comparison` must hold a search, but got \['A_0'\]\."):
        diagnose(planted_comparison(arms=(baseline(0.6),)))
    assert BASELINE == "A_0"


def test_findings_as_text() -> None:
    findings = [Finding("a", "It is so.", ("this", "that"), "nas-fusion list"), Finding("b", "Good.", level="good")]
    assert findings_text(findings) == "! It is so.\n  Likely causes: this; that.\n  Next: nas-fusion list\n+ Good."
    assert findings_markdown(findings) == (
        "- **warning**: It is so.\n  - this\n  - that\n\n  ```\n  nas-fusion list\n  ```\n- **good**: Good."
    )
    with pytest.raises(ValueError, match="`level` must be one of good, note, warning, but got 'bad'"):
        Finding("a", "b", level="bad")
