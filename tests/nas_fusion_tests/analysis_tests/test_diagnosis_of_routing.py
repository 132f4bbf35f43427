from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas_fusion.analysis import diagnose
from nas_fusion.analysis.diagnosis_of_routing import collapsed, how_routed, unused
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.routing import RoutingEvidence
from tests.nas_fusion_tests.analysis_tests.builders import one_search
from tests.nas_fusion_tests.analysis_tests.routing_builders import (
    adaptivity,
    evidence,
    layer,
    planted_gates,
    shared_gates,
    whole_evidence,
)


def findings(routing: RoutingEvidence) -> dict[str, Finding]:
    return {finding.signature: finding for finding in how_routed(one_search(routing=routing))}


def test_without_mixtures_nothing_is_said_of_routing() -> None:
    assert how_routed(one_search()) == []


def test_collapse_is_said_in_words_with_the_expert_and_its_share() -> None:
    fallen, fine = layer(shared_gates((0.004, 0.99, 0.006)), "sc.0"), layer(planted_gates(20, 6, region=0.1), "fc.0")
    assert collapsed(fallen) and not collapsed(fine)
    found = findings(evidence(fallen, fine))
    assert found["routing_collapsed"].level == "warning"
    assert found["routing_collapsed"].sentence == (
        "Routing has collapsed in 1 of 2 layers: expert 2 of sc.0 has 99.0 % of all gates. Such a layer is a single expert "
        "that costs as much as several."
    )
    assert found["routing_collapsed"].causes and "experts_used" not in found


def test_one_expert_alone_is_no_collapse() -> None:
    assert not collapsed(layer(np.ones((4, 3, 1))))


def test_experts_that_get_nothing_are_named() -> None:
    dead = layer(shared_gates((0.6, 0.395, 0.005)), "fused.1")
    assert unused(dead) == [3]
    sentence = findings(evidence(dead))["experts_unused"].sentence
    assert sentence == "Some experts are not used: expert 3 of fused.1 has less than 1 % of all gates."
    both = layer(shared_gates((0.49, 0.005, 0.5, 0.005)), "fused.0")
    assert "expert 2 and 4 of fused.0 have less" in findings(evidence(both))["experts_unused"].sentence


def test_even_usage_is_good_news() -> None:
    found = findings(evidence(layer(planted_gates(20, 6, region=0.1))))["experts_used"]
    assert found.level == "good" and found.sentence.startswith("All experts are in use: the smallest share of one is 4")


@pytest.mark.parametrize(
    ("another", "signature", "level", "begin"),
    [
        (0.05, "routing_adaptive", "good", "The model needs each subject's own routing. With another subject's gates"),
        (0.008, "routing_hardly_adaptive", "note", "Each subject's own routing matters, but little."),
        (0.0001, "routing_not_adaptive", "note", "The routing is not sample-adaptive in effect"),
        (-0.01, "routing_not_adaptive", "note", "The routing is not sample-adaptive in effect"),
    ],
)
def test_whether_the_model_needs_own_gates(another: float, signature: str, level: str, begin: str) -> None:
    routing = evidence(layer(planted_gates(20, 6, subject=0.1)), adaptivity=adaptivity(another, 0.02))
    found = findings(routing)[signature]
    assert found.level == level and found.sentence.startswith(begin)
    assert f"rises by {another:.4f} ± 0.00" in found.sentence and "population mean of each region by 0.0200" in found.sentence


def test_constant_gates_route_nothing() -> None:
    found = findings(evidence(layer(shared_gates((0.5, 0.5)))))
    assert found["gates_constant"].level == "warning"
    assert found["gates_constant"].sentence.startswith("The gates are the same for every region and every subject")
    assert "classes_routed_alike" not in found


def test_the_share_between_subjects_is_told_for_each_layer() -> None:
    routing = evidence(layer(planted_gates(100, 50, region=0.08), "sc.0"), layer(planted_gates(100, 50, subject=0.08), "fc.0"))
    assert "is: sc.0 0 %, fc.0 100 %." in findings(routing)["gate_variance"].sentence


def test_classes_that_are_routed_differently_are_told_with_a_corrected_p() -> None:
    gates = planted_gates(60, 5, subject=0.01)
    gates[1::2] += np.array([0.1, -0.1])
    routing = evidence(layer(planted_gates(60, 5, subject=0.05), "sc.0"), layer(gates, "fc.0"))
    sentence = findings(routing)["classes_routed_differently"].sentence
    assert "most clearly in fc.0" in sentence and "p = 0.001, corrected for 2 layers" in sentence and "no proof" in sentence
    alike = findings(evidence(layer(planted_gates(60, 5, subject=0.05))))["classes_routed_alike"].sentence
    assert alike.startswith("No layer routes the classes measurably differently") and "corrected" not in alike


def test_what_was_not_selected_is_said_to_be_so() -> None:
    routing = replace(whole_evidence(subjects=20, pairs=3), selected=False)
    sentence = findings(routing)["experts_used"].sentence
    assert sentence.endswith("(in fused:e3k2, the best model with mixtures that was tried; it was not selected).")


def test_routing_is_part_of_the_diagnosis() -> None:
    comparison = one_search(routing=whole_evidence(subjects=20, pairs=3))
    said = [finding.signature for finding in diagnose(comparison)]
    assert {"experts_used", "routing_adaptive", "gate_variance"} <= set(said)
    assert said.index("experts_used") > 0


def test_constant_gates_of_one_expert_mix_nothing() -> None:
    one, mixed = layer(shared_gates((1.0, 0.0)), "sc.0"), layer(shared_gates((0.6, 0.4)), "fc.0")
    assert findings(evidence(one))["gates_constant"].sentence.endswith("every subject: nothing is routed.")
    assert findings(evidence(one, mixed))["gates_constant"].sentence.endswith("nothing is routed, experts are only mixed.")
