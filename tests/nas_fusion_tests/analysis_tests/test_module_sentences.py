"""Whether the best point moves with the module, in words: yes, no, and that it cannot be told."""

from __future__ import annotations

from dataclasses import replace

from nas_fusion.analysis import module_findings
from tests.nas_fusion_tests.analysis_tests.modular import modular

POINTS = ("layer1", "layer2", "layer3")


def gains(**of: tuple[float, float, float]) -> dict[tuple[str, str], float]:
    return {(module, point): gain for module, own in of.items() for point, gain in zip(POINTS, own, strict=True)}


MOVES = gains(mmtm=(0.3, 0.05, 0.1), film=(0.05, 0.1, 0.3))
STAYS = gains(mmtm=(0.3, 0.05, 0.1), film=(0.25, 0.1, 0.02))


def test_it_moves() -> None:
    verdict = module_findings(modular(MOVES))[0]
    assert (verdict.signature, verdict.level) == ("best_point_moves", "note")  # trained once
    assert verdict.sentence == (
        "The best point moves with the module: no point can be the best with both of mmtm and film. Not excluded are layer1 "
        "with mmtm; layer3 with film. The same point is the best with all of them in 0 % of the resamples."
    )
    assert module_findings(modular(MOVES, runs=2))[0].level == "good"


def test_it_does_not_move() -> None:
    verdict = module_findings(modular(STAYS))[0]
    assert verdict.signature == "best_point_stays"
    assert verdict.sentence == (
        "The best point does not move with the module: layer1 is the best with mmtm and film, and every other point is "
        "excluded. The same point is the best with all of them in 100 % of the resamples."
    )


def test_it_cannot_be_told_whether_the_same_is_ahead_or_not() -> None:
    same = module_findings(modular(gains(mmtm=(0.3, 0.29, 0.1), film=(0.3, 0.0, 0.0))))[0]
    assert same.signature == "best_point_unknown" and same.level == "note"
    assert same.sentence.startswith(
        "Whether the best point moves with the module cannot be told: layer1 is ahead with each of them, but not every other "
        "point is excluded. Not excluded are layer1 or layer2 with mmtm; layer1 with film."
    )
    assert same.command == (
        "nas-fusion compare fusion-points --samplers exhaustive --modules mmtm,film --seeds 3 --study seeds-3"
    )
    assert same.causes[1] == "few validation subjects: 60"
    different = module_findings(modular(gains(mmtm=(0.3, 0.29, 0.1), film=(0.29, 0.3, 0.0))))[0]
    assert different.signature == "best_point_unknown" and "different ones are ahead" in different.sentence


def test_modules_that_gain_nowhere_have_no_best_point() -> None:
    found = module_findings(modular(gains(mmtm=(0.3, 0.05, 0.1), film=(-0.1, 0.0, 0.01))))
    assert found[0].sentence.endswith(
        "cannot be told: only with mmtm does a single point gain over the baseline by more than chance and 0.02 nats."
    )
    without = next(each for each in found if each.signature == "module_without_gain")
    assert "film (+0.010, " in without.sentence
    nobody = module_findings(modular(gains(mmtm=(0.0, 0.0, 0.0), film=(-0.1, 0.0, 0.01))))
    assert "with none of these modules does a single point gain" in nobody[0].sentence
    third = gains(mmtm=(0.3, 0.05, 0.1), film=(0.05, 0.1, 0.3), idle=(0.0, 0.0, 0.0))
    assert module_findings(modular(third))[0].signature == "best_point_moves"


def test_points_that_could_not_be_evaluated_leave_it_open() -> None:
    result = modular(MOVES)
    models = {c: each for c, each in result.models.items() if c != result.single("film", "layer2")}
    verdict = module_findings(replace(result, models=models))[0]
    assert verdict.sentence.endswith("cannot be told: not every single point of film could be evaluated.")


def test_ranks() -> None:
    found = [each.sentence for each in module_findings(modular(MOVES, scale=0.0, subsets=True)) if "rank the" in each.sentence]
    assert found[0] == (
        "How alike modules rank the 3 single points (Kendall's tau-b, 95 % interval): mmtm and film -0.33 (-0.33 to -0.33). "
        "The interval lies below zero: they rank rather in reverse."
    )
    assert len(found) == 2 and "7 subsets of points" in found[1]
    many = gains(a=(0.3, 0.1, 0.2), b=(0.3, 0.2, 0.1), c=(0.1, 0.2, 0.3), d=(0.3, 0.1, 0.2))
    (sentence,) = [each.sentence for each in module_findings(modular(many, scale=0.0)) if "rank the" in each.sentence]
    assert "from b and c -1.00 (-1.00 to -1.00) to a and d +1.00 (+1.00 to +1.00), median" in sentence
    assert sentence.endswith("Of 6 intervals, 3 lie above zero (alike) and 3 below.")


def test_the_joint_search_against_the_arms() -> None:
    def joint(**chosen: str) -> tuple[str, str]:
        finding = next(each for each in module_findings(modular(MOVES, joint=chosen)) if each.signature.startswith("joint"))
        return finding.signature, finding.sentence

    better = joint(layer1="mmtm", layer3="film")  # single points are known of the arms: 0.3 is their best
    assert better[0] == "joint_is_better"
    assert "chose layer1:mmtm + layer3:film; the best of the arms is" in better[1]
    assert "the joint choice's loss is lower by +0.300 nats" in better[1]
    assert joint(layer2="mmtm")[0] == "joint_is_worse" and joint(layer1="mmtm")[0] in (
        "joint_found_best",
        "joint_not_told_apart",
    )
    assert {joint(layer1="mmtm")[0], joint(layer3="film")[0]} == {"joint_found_best", "joint_not_told_apart"}
    assert "It took 8 evaluations and 40 epochs; the arms 8 and 40, each by itself" in better[1]


def test_what_training_again_says() -> None:
    once = module_findings(modular(MOVES))[-1]
    assert once.signature == "trained_once" and "--seeds 3" in once.command
    again = module_findings(modular(MOVES, runs=3))[-1]
    assert again.sentence == (
        "Taken training by training (folds and seeds), the point of the lowest mean loss is the best: layer1 in 3 of 3 with "
        "mmtm; layer3 in 3 of 3 with film."
    )
    assert module_findings(modular(MOVES, command=""))[-1].command == ""
