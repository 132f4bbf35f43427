"""Evidence on routing as tables: for programs (pandas), and as text ready to be shown."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from nas_fusion.analysis.routing import LayerUse, RoutingEvidence
from nas_fusion.analysis.routing_statistics import INTERVENTIONS, ClassTest, class_test, lost_without, variance_shares

READING_LAYERS = (
    "Entropies are shares of that of even use: usage near 0 is collapse onto one expert, gates near 0 mean one expert a token. "
    "Spread is the standard deviation of gates. Their variance is split into what regions have in common over subjects, what a "
    "subject's regions have in common, and what is left, a subject's own pattern over regions (variance components). Classes "
    "differ: permutation test of the subjects' mean gates, p multiplied by the number of layers."
)
READING_ADAPTIVITY = (
    "The trained model, gates of all layers replaced at once, on the validation subjects; mean ± standard error of the paired "
    "differences over subjects and their 95 % interval. A mean mixes more experts than were selected, which may help or harm "
    "by itself; another subject's gates do not. An interval that holds zero shows no need for what was replaced."
)


def usage_table(evidence: RoutingEvidence) -> pd.DataFrame:
    """Return one row for each layer and expert (counted from 1).

    Columns: `layer`, `expert`, `share` of all gates, `chosen` (share of the tokens in which its gate is not 0), and the share
    among the subjects of each class, `share:<class>`.
    """
    rows = []
    for layer in evidence.layers:
        classes = layer.by_class
        for expert in range(layer.n_experts):
            rows.append(
                {
                    "layer": layer.name,
                    "expert": expert + 1,
                    "share": float(layer.load[expert]),
                    "chosen": float((layer.gates[:, :, expert] > 0).mean()),
                    **{f"share:{name}": float(shares[expert]) for name, shares in classes.items()},
                }
            )
    return pd.DataFrame(rows)


def subject_table(evidence: RoutingEvidence) -> pd.DataFrame:
    """Return one row for each layer and subject: `layer`, `subject`, `class`, and the share of each expert, `expert:<n>`."""
    return pd.concat([_subjects(layer) for layer in evidence.layers], ignore_index=True)


def region_table(evidence: RoutingEvidence) -> pd.DataFrame:
    """Return one row a layer and token: `layer`, `part`, `token`, the `expert` with the largest mean gate, its `share`."""
    rows = [
        {
            "layer": layer.name,
            "part": layer.parts[i] if layer.parts else "",
            "token": token,
            "expert": int(layer.by_token[i].argmax()) + 1,
            "share": float(layer.by_token[i].max()),
        }
        for layer in evidence.layers
        for i, token in enumerate(layer.tokens)
    ]
    return pd.DataFrame(rows)


def class_tests(evidence: RoutingEvidence) -> dict[str, ClassTest]:
    """Return each layer's test of whether classes are routed differently; p is multiplied by the number of layers tested."""
    tests = {layer.name: class_test(layer) for layer in evidence.layers}
    tested = sum(not math.isnan(test.p) for test in tests.values())
    return {name: ClassTest(test.statistic, _capped(test.p * tested), test.permutations) for name, test in tests.items()}


def routing_summary(evidence: RoutingEvidence) -> dict[str, Any]:
    """Return the evidence in numbers, for programs: JSON-compatible but for numbers that are not known, which are NaN."""
    tests = class_tests(evidence)
    layers = [
        {
            "layer": layer.name,
            "shares": layer.load.tolist(),
            "usage_entropy": layer.usage_entropy,
            "gate_entropy": layer.gate_entropy,
            **{f"variance_{name}": share for name, share in asdict(variance_shares(layer)).items()},
            "classes_differ_p": tests[layer.name].p,
        }
        for layer in evidence.layers
    ]
    tested = evidence.adaptivity
    lost = {} if tested is None else {name: asdict(lost_without(tested, name)) for name in tested.replaced}
    return {"model": evidence.model, "selected": evidence.selected, "layers": layers, "loss_rises_by": lost}


def layer_columns(evidence: RoutingEvidence) -> pd.DataFrame:
    """Return what the layers' gates tell, a row a layer, as text ready to be shown."""
    tests = class_tests(evidence)
    return pd.DataFrame([_layer(layer, tests[layer.name]) for layer in evidence.layers])


def adaptivity_columns(evidence: RoutingEvidence) -> pd.DataFrame:
    """Return what replacing gates costs, a row an intervention, as text ready to be shown; empty where it was not tested."""
    if evidence.adaptivity is None:
        return pd.DataFrame()
    rows = []
    for name in evidence.adaptivity.replaced:
        lost = lost_without(evidence.adaptivity, name)
        rise = f"{lost.mean:+z.4f} ± {lost.standard_error:.4f} [{lost.low:+z.4f}, {lost.high:+z.4f}]"
        draws = len(evidence.adaptivity.replaced[name])
        rows.append({"Gates replaced by": INTERVENTIONS.get(name, name), "Loss rises by (nats)": rise, "Draws": str(draws)})
    return pd.DataFrame(rows)


def _subjects(layer: LayerUse) -> pd.DataFrame:
    shares = pd.DataFrame(layer.by_subject, columns=[f"expert:{i + 1}" for i in range(layer.n_experts)])
    shares.insert(0, "class", [layer.classes[i] for i in layer.labels])
    shares.insert(0, "subject", list(layer.subjects))
    shares.insert(0, "layer", layer.name)
    return shares


def _layer(layer: LayerUse, test: ClassTest) -> dict[str, str]:
    shares = variance_shares(layer)
    return {
        "Layer": layer.name,
        "Experts": str(layer.n_experts),
        "Shares of the experts": " / ".join(_percent(share) for share in sorted(layer.load, reverse=True)) + " %",
        "Usage entropy": f"{layer.usage_entropy:.2f}",
        "Gate entropy": f"{layer.gate_entropy:.2f}",
        "Spread of gates": f"{float(np.sqrt(layer.gates.var(axis=(0, 1)).mean())):.3f}",
        "Of its variance: region": _share(shares.region),
        "subject": _share(shares.subject),
        "own pattern": _share(shares.interaction),
        "Classes differ": "–" if math.isnan(test.p) else p_in_words(test.p),
    }


def p_in_words(p: float) -> str:
    """Return a p value with as many digits as it deserves."""
    return f"p = {p:.2g}" if p >= 0.001 else f"p = {p:.1g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0.01 else f"{100 * share:.1f}"


def _share(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"


def _capped(p: float) -> float:
    return p if math.isnan(p) else min(1.0, p)
