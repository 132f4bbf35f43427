"""Comparisons of a space that routes, made by hand: its own words, a constrained parameter, its references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas_fusion.analysis import BASELINE, Arm, Comparison
from nas_fusion.space import Configuration, SearchSpace
from nas_fusion.words import Words
from tests.nas_fusion_tests.analysis_tests.builders import cohort, evaluation, predictions, reference

WORDS = Words(
    title="Which experts",
    question="Does routing pay?",
    parameter="routing option",
    parameters="routing options",
    active="routing options that are on",
    chosen="Chosen routing",
    choice="mixture",
    choices="choices",
    none="static",
    names_choices=True,
    short={"granularity=subject": "subject"},
    baseline="the static model",
    baseline_title="A_0: static",
    baseline_is="which has one expert in every layer",
    baseline_fuses=True,
    pays="Routing pays",
    brings_nothing="Keep the static model, routing brings nothing here",
    unproven="Routing is not proven here",
    whether="whether routing pays cannot be said",
    keep="Nothing is lost by keeping the simpler model.",
    baseline_causes=("one expert suffices",),
    chance_causes=("seeds",),
    late_fusion_causes=("no interaction",),
    noise_cause="noise is shared",
    folds_cause="routing differs between subgroups",
    local_cause="granularity does nothing without a mixture",
    not_compared=("single modalities", "logistic regression"),
    wider=(("--set", "scope=full"),),
    other=(("--set", "scope=full"),),
    certainty=(("--seeds", "3"),),
    enough_subjects=512,
)


class Routed(SearchSpace):
    """Two branches, and a granularity that needs a mixture in one of them."""

    name = "routed"
    words = WORDS

    def __init__(self) -> None:
        super().__init__(
            {"sc": ("static", "e3k2"), "fused": ("static", "e2k2", "e3k2", "e4k2"), "granularity": ("node", "subject")}
        )

    def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
        return parameter != "granularity" or configuration["sc"] != "static" or configuration["fused"] != "static"


SPACE = Routed()
FUSED = SPACE.complete({"fused": "e3k2"})


def routed_search(best: Configuration, value: float, *, static: float = 0.15, **more: Any) -> Arm:
    """A search that evaluated the static model and `FUSED`."""
    path = (SPACE.baseline,) if best == SPACE.baseline else (SPACE.baseline, best)
    fields: dict[str, Any] = {
        "evaluations": (evaluation(SPACE.baseline, static), evaluation(FUSED, value if best == FUSED else static + 0.05)),
        "path": path,
        "best": best,
        "parents": (None, SPACE.baseline),
        "validation": predictions(value, subjects=600, seed=5),
    }
    return Arm("sfsa", "SFSA", value, **(fields | more))


def static(value: float, **more: Any) -> Arm:
    validation = predictions(value, subjects=600, seed=6)
    fields: dict[str, Any] = {"evaluations": (evaluation(SPACE.baseline, value),), "best": SPACE.baseline}
    return Arm(BASELINE, SPACE.words.baseline_title, value, validation, is_search=False, **(fields | more))


def model(name: str, title: str, value: float, *, seed: int = 7) -> Arm:
    """A reference on the same subjects as the search."""
    known = reference(name, title, value)
    return Arm(name, title, value, predictions(value, subjects=600, seed=seed), known.evaluations, is_search=False)


def routed_comparison(*arms: Arm, **changes: Any) -> Comparison:
    fields: dict[str, Any] = {
        "space": SPACE,
        "cohort": cohort(name="simulated-connectomes", modalities=["SC", "FC"], floors={}),
        "arms": arms,
        "inherit": "none",
        "command": "nas-fusion search routed --set preset=small",
    }
    return Comparison(**(fields | changes))
