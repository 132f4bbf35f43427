from __future__ import annotations

import re

import pytest

from nas_fusion.analysis import diagnose, findings_text, plain_table, points, short_points
from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.naming import in_words
from nas_fusion.analysis.shapley import PointValues
from nas_fusion.analysis.worth import importance_in_words
from nas_fusion.space import SearchSpace
from nas_fusion.words import Words
from tests.nas_fusion_tests.analysis_tests.routed import FUSED, SPACE, model, routed_comparison, routed_search, static

FUSION = re.compile(r"fus(e|ion)|\bpoints?\b|\bmodules?\b|A_0: no", re.IGNORECASE)
ALL = {"sc": "e3k2", "fused": "e4k2", "granularity": "subject"}


def test_a_space_without_words_speaks_of_fusion_points() -> None:
    assert SearchSpace.words == Words() and Words().chosen == "Chosen points"


def test_configurations_are_named_with_every_choice() -> None:
    assert points(SPACE, SPACE.complete(ALL)) == "sc:e3k2 + fused:e4k2 + granularity:subject"
    assert short_points(SPACE, SPACE.complete(ALL)) == "sc+fused:e4+subject"
    assert points(SPACE, SPACE.baseline) == "static" and in_words(SPACE, SPACE.baseline) == "the static model"


def test_the_verdict_can_be_to_keep_the_static_model() -> None:
    arm = routed_search(SPACE.baseline, 0.15)
    verdict = diagnose(routed_comparison(arm, static(0.15)))[0]
    assert verdict.signature == "baseline_selected"
    assert verdict.sentence == (
        "Keep the static model, routing brings nothing here: SFSA kept the static model, which has one expert in every layer. "
        "The nearest of 1 candidates, fused:e3k2, has 0.200 nats, the static model 0.150."
    )
    assert verdict.causes == ("one expert suffices",)
    assert verdict.command == ("nas-fusion search routed --set preset=small --set scope=full --study set-scope-full")


def test_a_lead_within_chance_keeps_the_static_model_too() -> None:
    verdict = diagnose(routed_comparison(routed_search(FUSED, 0.149), static(0.15)))[0]
    assert verdict.signature == "improvement_within_spread"
    assert verdict.sentence.startswith(
        "Keep the static model, routing brings nothing here: SFSA accepted fused:e3k2, but its lead"
    )
    assert verdict.sentence.endswith("Nothing is lost by keeping the simpler model.")
    assert verdict.causes[0].startswith("a mixture was accepted by chance") and verdict.command.endswith(
        "--folds 5 --study folds-5"
    )


def test_routing_can_pay() -> None:
    verdict = diagnose(routed_comparison(routed_search(FUSED, 0.05), static(0.15)))[0]
    assert verdict.level == "good"
    assert verdict.sentence.startswith("Routing pays: SFSA chose fused:e3k2, whose loss is lower than the static model's for")


@pytest.mark.parametrize("value", [0.05, 0.149])
def test_nothing_that_is_said_speaks_of_fusion_points(value: float) -> None:
    arms = (
        routed_search(FUSED, value),
        static(0.15),
        model("alone:SC", "SC alone", 0.69),
        model("alone:FC", "FC alone", 0.58),
        model("logistic:all", "logistic regression", 0.64),
        model("dense", "dense mixtures", 0.14),
    )
    comparison = routed_comparison(*arms)
    said = findings_text(diagnose(comparison)) + plain_table(comparison)
    spoken = said.replace("late fusion", "").replace("fused", "").replace("nas-fusion", "")
    assert not FUSION.search(spoken), FUSION.search(spoken)
    assert "Chosen routing" in said and "A_0: static" in said and "--module" not in said


def test_what_options_are_worth_is_told_in_the_spaces_words() -> None:
    worth = PointValues({"sc": "e3k2", "fused": "e4k2"}, {"sc": 0.01, "fused": 0.1}, {("sc", "fused"): 0.0}, None, 0.11)
    said = importance_in_words(SPACE, worth)
    assert said.startswith("fused:e4k2 is worth most") and "No two routing options interact" in said


def test_commands_keep_what_else_was_set() -> None:
    command = "nas-fusion search routed --set scope=branches --set preset=small --cohort-set seed=3 --folds 2"
    found = next_command(routed_comparison(command=command), {"--set": "scope=full"})
    assert found == (
        "nas-fusion search routed --set preset=small --cohort-set seed=3 --folds 2 --set scope=full --study set-scope-full"
    )
    found = next_command(routed_comparison(command=command), {"--cohort-set": "train=9"})
    assert "--cohort-set seed=3" in found and found.count("--set ") == 2 and "--cohort-set train=9" in found


def test_the_number_of_configurations_is_that_of_canonical_ones() -> None:
    said = findings_text(diagnose(routed_comparison(routed_search(FUSED, 0.05), static(0.15))))
    assert SPACE.size == 16 and "best of all 15 configurations" in said
    assert "single modalities, of logistic regression, or of how far" in said
