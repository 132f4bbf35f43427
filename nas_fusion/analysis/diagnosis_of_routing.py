"""What the evidence on routing says in words: whether experts are used, what routing depends on, and whether that matters."""

from __future__ import annotations

import math

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Comparison
from nas_fusion.analysis.diagnosis_of_references import in_numbers, is_clear
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.routing import Adaptivity, LayerUse, RoutingEvidence
from nas_fusion.analysis.routing_statistics import lost_without, variance_shares
from nas_fusion.analysis.routing_tables import class_tests, p_in_words

COLLAPSED = 0.95
"""Share of one expert from which a layer counts as collapsed."""
DEAD = 0.01
"""Share below which an expert counts as unused."""


def how_routed(comparison: Comparison) -> list[Finding]:
    """Return what the evidence on routing says; nothing where a comparison holds none.

    Collapse comes first: a layer in which one expert has at least 95 % of all gates, then experts with less than 1 %. Then
    whether the model needs each subject's own gates, where the variance of gates comes from, and whether classes differ.
    """
    evidence = comparison.routing
    if evidence is None:
        return []
    found = _load(comparison, evidence)
    if evidence.adaptivity is not None and {"another", "mean"} <= evidence.adaptivity.replaced.keys():
        found.append(_adaptive(evidence, evidence.adaptivity))
    return found + _variance(evidence) + _classes(evidence)


def collapsed(layer: LayerUse) -> bool:
    """Return whether one expert of a layer has nearly all gates."""
    return bool(layer.n_experts > 1 and layer.load.max() >= COLLAPSED)


def unused(layer: LayerUse) -> list[int]:
    """Return the experts of a layer that get next to nothing, counted from 1."""
    return [i + 1 for i, share in enumerate(layer.load) if share < DEAD]


def _load(comparison: Comparison, evidence: RoutingEvidence) -> list[Finding]:
    causes = (
        "the balance of the experts' load weighs too little against the task",
        "the gate gets no gradient from the task: one expert is selected and its gate normalised after the selection",
        "one expert suffices for this task",
    )
    command = next_command(comparison, dict(comparison.space.words.wider))
    fallen = [layer for layer in evidence.layers if collapsed(layer)]
    if fallen:
        each = ", ".join(
            f"expert {layer.load.argmax() + 1} of {layer.name} has {100 * layer.load.max():.1f} %" for layer in fallen
        )
        sentence = (
            f"Routing has collapsed in {len(fallen)} of {len(evidence.layers)} layers: {each} of all gates. Such a layer is a "
            f"single expert that costs as much as several{_of(evidence)}."
        )
        return [Finding("routing_collapsed", sentence, causes, command)]
    dead = {layer.name: unused(layer) for layer in evidence.layers if unused(layer)}
    if dead:
        each = ", ".join(f"expert {' and '.join(map(str, experts))} of {name}" for name, experts in dead.items())
        sentence = f"Some experts are not used: {each} {_has(dead)} less than 1 % of all gates{_of(evidence)}."
        return [Finding("experts_unused", sentence, causes, command)]
    least = min(evidence.layers, key=lambda layer: layer.usage_entropy)
    smallest = 100 * min(float(layer.load.min()) for layer in evidence.layers)
    sentence = (
        f"All experts are in use: the smallest share of one is {smallest:.0f} %, and the entropy of usage is at least "
        f"{least.usage_entropy:.2f} of that of even usage (lowest in {least.name}){_of(evidence)}."
    )
    return [Finding("experts_used", sentence, level="good")]


def _adaptive(evidence: RoutingEvidence, adaptivity: Adaptivity) -> Finding:
    another, mean = lost_without(adaptivity, "another"), lost_without(adaptivity, "mean")
    numbers = (
        f"With another subject's gates the validation loss of {evidence.model} rises by {in_numbers(another, digits=4)}, with "
        f"the population mean of each region by {in_numbers(mean, digits=4)}"
    )
    if is_clear(another):
        return Finding("routing_adaptive", f"The model needs each subject's own routing. {numbers}.", level="good")
    if another.low > 0:
        sentence = f"Each subject's own routing matters, but little. {numbers}."
        return Finding("routing_hardly_adaptive", sentence, level="note")
    sentence = (
        f"The routing is not sample-adaptive in effect: it may differ between subjects, but the model does as well without. "
        f"{numbers}. What figures show of single subjects decides nothing."
    )
    return Finding("routing_not_adaptive", sentence, level="note")


def _variance(evidence: RoutingEvidence) -> list[Finding]:
    shares = {layer.name: variance_shares(layer) for layer in evidence.layers}
    known = {name: share for name, share in shares.items() if not math.isnan(share.region)}
    if not known:
        mixed = "" if all(map(collapsed, evidence.layers)) else ", experts are only mixed"
        sentence = f"The gates are the same for every region and every subject: nothing is routed{mixed}."
        return [Finding("gates_constant", sentence)]
    each = ", ".join(f"{name} {100 * share.between_subjects:.0f} %" for name, share in known.items())
    sentence = (
        f"Of the variance of gates, the share between subjects beyond region identity is: {each}. The rest tells only "
        "which region a token is; where that is all, every subject is routed alike."
    )
    return [Finding("gate_variance", sentence, level="note")]


def _classes(evidence: RoutingEvidence) -> list[Finding]:
    tests = {name: test for name, test in class_tests(evidence).items() if not math.isnan(test.p)}
    if not tests:
        return []
    smallest = min(tests, key=lambda name: tests[name].p)
    p, share = tests[smallest].p, tests[smallest].statistic
    corrected = f", corrected for {len(tests)} layers" if len(tests) > 1 else ""
    basis = f"permuting the labels of validation subjects, {p_in_words(p)}{corrected}"
    if p < 0.05:
        sentence = (
            f"Subjects of different classes use the experts differently, most clearly in {smallest}, where class explains "
            f"{100 * share:.0f} % of the variance of subjects' usage ({basis}). That is how the router treats them, and no "
            "proof that the classes need different experts."
        )
        return [Finding("classes_routed_differently", sentence, level="note")]
    sentence = f"No layer routes the classes measurably differently (smallest p in {smallest}: {basis})."
    return [Finding("classes_routed_alike", sentence, level="note")]


def _of(evidence: RoutingEvidence) -> str:
    """What is spoken of, where it is not what the search selected."""
    return (
        "" if evidence.selected else f" (in {evidence.model}, the best model with mixtures that was tried; it was not selected)"
    )


def _has(dead: dict[str, list[int]]) -> str:
    return "has" if sum(map(len, dead.values())) == 1 else "have"
