from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nas_fusion.analysis import Arm, Comparison, Escape, Finding, Landscape, diagnose, synergy_landscape
from nas_fusion.analysis.ways_out import is_trapped, ways_out
from nas_fusion.space import Configuration
from tests.nas_fusion_tests.analysis_tests.builders import (
    GREEDY_STEPS,
    SPACE,
    baseline,
    beam,
    evaluation,
    exhaustive,
    on,
    one_search,
    planted_comparison,
    search,
    sfsa,
)

LANDSCAPE = synergy_landscape()
BACKWARD = [(), (1, 2, 3, 4), (2, 3, 4), (1, 3, 4), (1, 2, 4), (1, 2, 3), (3, 4), (1, 4), (1, 3), (1,), (3,)]
FINDS_NOTHING = Escape("sfsa", {}, 8, None, 0.22, False, tuple(on(*points) for points, _ in GREEDY_STEPS))
FINDS = Escape("backward", {}, 11, 9, 0.0, True, tuple(on(*points) for points in BACKWARD))


def about(comparison: Comparison, title: str) -> Finding:
    signatures = ("greedy_trapped", "optimum_found", "outdone")
    return next(f for f in diagnose(comparison) if f.signature in signatures and f.sentence.startswith(title))


def noisy(error_of_sfsa: float) -> Comparison:
    """The planted landscape in four folds, where the difference of layer2 and the optimum has a standard error."""
    samples: dict[Configuration, Any] = {c: (loss,) * 4 for c, loss in LANDSCAPE.losses.items()}
    spread = error_of_sfsa * 3**0.5  # of +1, -1, +1, -1: standard error spread / sqrt(3)
    samples[on(2)] = tuple(0.52 + sign * spread for sign in (1, -1, 1, -1))
    return planted_comparison(landscape=Landscape(samples, SPACE))


def test_a_trapped_search_and_one_that_finds_the_optimum() -> None:
    found = about(planted_comparison(), "SFSA")
    assert (found.signature, found.level) == ("greedy_trapped", "warning")
    assert found.sentence == (
        "SFSA is trapped: after 8 of 16 evaluations it stopped at layer2 (0.520 nats on the landscape), but layer1 + layer3 "
        "reaches 0.300, a regret of 0.220. Its parts alone look worse than layer2 (0.520): layer1 0.610, layer3 0.650. The "
        "cheapest way out: beam search found it with 13 evaluations (130 epochs), 5 of them of configurations new to SFSA "
        "(50 epochs)."
    )
    assert found.causes[0].startswith("some points are worth little alone and much together")
    assert found.command == "nas-fusion search fusion-points --sampler beam --study sampler-beam"
    assert about(planted_comparison(), "Beam").sentence == (
        "Beam search needed 13 of 16 evaluations (81 %) and its choice, layer1 + layer3, is the best of all."
    )
    assert not [f for f in diagnose(planted_comparison()) if f.sentence.startswith("Exhaustive")]


def test_replayed_searches_may_be_cheaper_and_what_is_new_is_told_apart() -> None:
    found = about(planted_comparison(escapes=(FINDS_NOTHING, FINDS)), "SFSA")
    assert found.sentence.endswith(
        "The cheapest way out: backward search, replayed on the landscape, finds it with 11 evaluations (110 epochs), 8 of "
        "them of configurations new to SFSA (80 epochs); the fewest new ones are those of beam search: 5 of 13 (50 epochs)."
    )
    assert "--sampler beam " in found.command
    without_beam = planted_comparison(
        arms=(sfsa(LANDSCAPE), exhaustive(LANDSCAPE)), escapes=(replace(FINDS, options={"patience": 2}),)
    )
    alone = about(without_beam, "SFSA")
    assert alone.sentence.endswith(
        "backward search (patience=2), replayed on the landscape, finds it with 11 evaluations (110 epochs), 8 of "
        "them of configurations new to SFSA (80 epochs)."
    )
    assert "--sampler backward --sampler-set patience=2" in alone.command


def test_ways_out_by_evaluations_and_none_that_evaluates_everything() -> None:
    everything = Escape("exhaustive", {}, 16, 6, 0.0, True, tuple(SPACE.configurations()))
    comparison = planted_comparison(escapes=(everything, FINDS_NOTHING, FINDS))
    found = ways_out(comparison, comparison.arms[0])
    assert [(way.title, way.evaluations, way.epochs, way.new, way.new_epochs, way.replayed) for way in found] == [
        ("backward search", 11, 110.0, 8, 80.0, True),
        ("beam search", 13, 130.0, 5, 50.0, False),
    ]
    assert ways_out(one_search(), one_search().arms[0]) == []


def test_a_supernet_is_part_of_the_price() -> None:
    few = [((), None), ((1, 3), ()), ((1, 4), ())]
    arm = search("differentiable", "Differentiable search", few, [(), (1, 3)], landscape=LANDSCAPE, supernet={"epochs": 95.0})
    comparison = planted_comparison(arms=(sfsa(LANDSCAPE), beam(LANDSCAPE), exhaustive(LANDSCAPE), arm), escapes=(FINDS,))
    found = ways_out(comparison, comparison.arms[0])
    assert [(way.sampler, way.epochs) for way in found] == [("backward", 110.0), ("differentiable", 125.0), ("beam", 130.0)]
    assert about(comparison, "SFSA").sentence.endswith("those of differentiable search: 2 of 3 and a supernet (115 epochs).")


def test_without_epochs_the_fewest_evaluations_are_the_cheapest() -> None:
    unknown = (replace(e, cost={}) for e in beam(LANDSCAPE).evaluations)
    comparison = planted_comparison(
        arms=(sfsa(LANDSCAPE), replace(beam(LANDSCAPE), evaluations=tuple(unknown)), exhaustive(LANDSCAPE)), escapes=(FINDS,)
    )
    found = ways_out(comparison, comparison.arms[0])
    assert [(way.sampler, way.epochs, way.new_epochs) for way in found] == [("backward", 110.0, 80.0), ("beam", None, None)]


def test_where_a_beam_was_trapped_too_the_next_command_is_exhaustive() -> None:
    trapped = replace(beam(LANDSCAPE), best=on(2), path=(on(), on(2)), regret=0.22)
    findings = diagnose(planted_comparison(arms=(sfsa(LANDSCAPE), trapped, baseline(0.65))))
    found = [finding for finding in findings if finding.signature == "greedy_trapped"]
    assert len(found) == 2 and all("--sampler exhaustive" in finding.command for finding in found)
    assert "No other search at hand finds it with fewer than all 16 evaluations." in found[0].sentence


def test_where_no_other_search_is_known_a_beam_comes_next() -> None:
    found = about(planted_comparison(arms=(sfsa(LANDSCAPE), baseline(0.65))), "SFSA")
    assert "--sampler beam --sampler-set width=2" in found.command


def test_a_regret_within_training_noise_is_no_trap() -> None:
    flat = Landscape.from_function(lambda c: 0.455 - 0.002 * len(SPACE.active(c)), SPACE)
    near = about(planted_comparison(arms=(sfsa(flat), baseline(0.455)), landscape=flat), "SFSA")
    assert near.signature == "optimum_found"
    assert near.sentence.endswith("is 0.006 nats above the best of all, which training again may swap.")


def test_a_regret_within_two_standard_errors_is_not_called_trapped() -> None:
    found = about(noisy(0.15), "SFSA")
    assert found.signature == "optimum_found"
    assert found.sentence.endswith(
        "layer2, is 0.220 ± 0.150 nats above the best of all, which is within two standard errors: this is not called trapped."
    )
    assert is_trapped(noisy(0.15), noisy(0.15).arms[0]) is False


def test_a_regret_beyond_two_standard_errors_is_told_with_its_error() -> None:
    found = about(noisy(0.05), "SFSA")
    assert "a regret of 0.220 ± 0.050, mean ± standard error of the paired difference." in found.sentence
    assert is_trapped(noisy(0.05), noisy(0.05).arms[0]) is True
    assert is_trapped(one_search(), one_search().arms[0]) is None


@pytest.mark.parametrize(
    ("arm", "escapes", "cause"),
    [
        (sfsa(LANDSCAPE), (replace(FINDS, sampler="sfsa"),), "replayed on the landscape, the same search finds the optimum"),
        (sfsa(LANDSCAPE), (), "some points are worth little alone"),
        (
            search("random", "Random search", [((), None), ((1,), ()), ((1, 3), ())], [(), (1,)], landscape=LANDSCAPE),
            (),
            "its own losses misled it: on the landscape a single step leads further",
        ),
        (
            search("random", "Random search", [((), None), ((1,), ())], [(), (1,)], landscape=LANDSCAPE),
            (),
            "a single step would have led further, but the search did not try it",
        ),
    ],
)
def test_causes_tell_the_landscape_from_what_the_search_saw(arm: Arm, escapes: tuple[Escape, ...], cause: str) -> None:
    found = about(planted_comparison(arms=(arm, baseline(0.65)), escapes=escapes), arm.title)
    assert found.signature == "greedy_trapped" and cause in found.causes[0]


def test_without_a_landscape_only_what_another_search_found_is_known() -> None:
    arms = (sfsa(LANDSCAPE), beam(LANDSCAPE), baseline(0.65))
    comparison = planted_comparison(arms=arms, landscape=None)
    found = about(comparison, "SFSA")
    assert found.signature == "outdone"
    assert found.sentence.startswith(
        "SFSA missed something: it stopped at layer2 (0.520 nats), but Beam search found layer1 + layer3 (0.300) with 13 "
        "evaluations against 8, a loss lower by 0.220 ± 0.0"
    )
    assert found.sentence.endswith("How far either is from the best of all 16 configurations is not known.")
    assert "--samplers sfsa,beam,exhaustive" in found.command
    assert not [f for f in diagnose(comparison) if f.signature == "outdone" and f.sentence.startswith("Beam")]


def test_a_lead_within_noise_or_of_the_same_choice_is_not_mentioned() -> None:
    close = replace(beam(LANDSCAPE), value=0.515, validation=sfsa(LANDSCAPE).validation)
    same = replace(beam(LANDSCAPE), best=on(2))
    for other in (close, same):
        findings = diagnose(planted_comparison(arms=(sfsa(LANDSCAPE), other, baseline(0.65)), landscape=None))
        assert not [finding for finding in findings if finding.signature == "outdone"]


def test_a_search_that_evaluated_everything_is_not_judged_by_itself() -> None:
    every = tuple(evaluation(c, loss) for c, loss in LANDSCAPE.losses.items())
    arm = replace(sfsa(LANDSCAPE), evaluations=every, parents=(None,) * 16)
    findings = diagnose(planted_comparison(arms=(arm, baseline(0.65))))
    assert not [f for f in findings if f.signature in ("greedy_trapped", "optimum_found")]
