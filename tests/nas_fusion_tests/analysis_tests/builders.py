"""Comparisons made by hand: the planted landscape, with predictions that have the losses asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nas_fusion.analysis import BASELINE, Arm, Comparison, Landscape, synergy_landscape
from nas_fusion.record import Evaluation, Predictions
from nas_fusion.space import Configuration, SearchSpace

SPACE = synergy_landscape().space
FLOORS = {"late_fusion": 0.627, "joint": 0.199, "T1w": 0.693, "FLAIR": 0.627}


def on(*points: int, space: SearchSpace = SPACE) -> Configuration:
    return space.complete({f"layer{point}": "mmtm" for point in points})


def predictions(mean: float, *, subjects: int = 160, folds: int = 1, noise: float = 0.1, seed: int = 0) -> Predictions:
    """Two classes in turn; losses common to all models up to `noise`, scaled so that their mean is exactly `mean`."""
    common, own = np.random.default_rng(99), np.random.default_rng([1, seed])
    losses = common.gamma(2.0, 1.0, subjects) * np.exp(noise * own.normal(size=subjects))
    losses *= mean / losses.mean()
    labels = np.arange(subjects) % 2
    right = np.exp(-losses)
    probabilities = np.where(np.eye(2, dtype=bool)[labels], right[:, None], 1 - right[:, None])
    return Predictions(
        tuple(f"sub-{i:03d}" for i in range(subjects)), np.arange(subjects) * folds // subjects, labels, probabilities
    )


def evaluation(
    configuration: Configuration | None,
    value: float,
    *,
    fold_losses: Sequence[float] = (),
    lineage: Sequence[Configuration] = (),
    reference: str | None = None,
) -> Evaluation:
    name = reference or (configuration or SPACE.baseline).to_json()
    cost = {"epochs": 10.0, "lineage_epochs": 10.0 * (1 + len(lineage)), "samples": 3200.0, "seconds": 10.0}
    curve = tuple(value + 0.4 * 0.6**epoch for epoch in range(10))
    return Evaluation(
        key=f"{name} {len(lineage)}",
        value=value,
        fold_losses=tuple(fold_losses) or (value,),
        metrics={"accuracy": (0.9,)},
        cost=cost | {"lineage_samples": 320 * cost["lineage_epochs"]},
        configuration=configuration,
        reference=reference,
        lineage=tuple(lineage),
        epochs=(10,),
        curves=(curve,),
    )


def search(
    name: str,
    title: str,
    steps: Sequence[tuple[Sequence[int], Sequence[int] | None]],
    path: Sequence[Sequence[int]],
    *,
    landscape: Landscape,
    bonus: float = 0.0,
    **more: Any,
) -> Arm:
    """A search that evaluated `steps` (points, points of the parent); its own losses lie `bonus` below the landscape's."""
    evaluations = []
    for points, parent in steps:
        lineage = () if parent is None else tuple(on(*p) for p in path if len(p) <= len(parent))[: len(parent) + 1]
        evaluations.append(evaluation(on(*points), landscape.loss(on(*points)) - bonus * len(lineage), lineage=lineage))
    best = on(*path[-1])
    value = next(e.value for e in evaluations if e.configuration == best)
    arm = {
        "validation": predictions(value, seed=len(steps)),
        "study": f"fusion-points-{name}",
        "trained": len(steps),
        "landscape_value": landscape.loss(best),
        "regret": landscape.regret(best),
        "share_of_exhaustive": len(steps) / landscape.space.size,
        "test": predictions(value + 0.02, subjects=400, seed=100 + len(steps)),
    }
    return Arm(
        name=name,
        title=title,
        value=value,
        evaluations=tuple(evaluations),
        path=tuple(on(*points) for points in path),
        best=best,
        parents=tuple(None if parent is None else on(*parent) for _, parent in steps),
        **(arm | more),
    )


def reference(name: str, title: str, value: float, *, members: int = 1, ours: bool = False, seed: int = 50) -> Arm:
    evaluations = tuple(evaluation(None, value, reference=f"{name} {i}") for i in range(members))
    test = predictions(value + 0.01, subjects=400, seed=seed + 1)
    return Arm(
        name, title, value, predictions(value, seed=seed), evaluations, is_search=False, ours=ours, test=test, trained=members
    )


def baseline(value: float, *, test: float | None = None, seed: int = 70) -> Arm:
    evaluations = (evaluation(SPACE.baseline, value),)
    tested = predictions(value if test is None else test, subjects=400, seed=seed + 1)
    return Arm(
        BASELINE,
        "A_0, logits averaged",
        value,
        predictions(value, seed=seed),
        evaluations,
        is_search=False,
        best=SPACE.baseline,
        test=tested,
        landscape_value=value,
        share_of_exhaustive=1 / SPACE.size,
    )


GREEDY_STEPS = [((), None), ((1,), ()), ((2,), ()), ((3,), ()), ((4,), ()), ((1, 2), (2,)), ((2, 3), (2,)), ((2, 4), (2,))]
BEAM_STEPS = [
    *GREEDY_STEPS,
    ((1, 3), (1,)),
    ((1, 4), (1,)),
    ((1, 2, 3), (1, 3)),
    ((1, 3, 4), (1, 3)),
    ((1, 2, 4), (1, 2)),
]


def sfsa(landscape: Landscape, **more: Any) -> Arm:
    return search("sfsa", "SFSA", GREEDY_STEPS, [(), (2,)], landscape=landscape, **more)


def beam(landscape: Landscape, **more: Any) -> Arm:
    return search("beam", "Beam search", BEAM_STEPS, [(), (1,), (1, 3)], landscape=landscape, **more)


def exhaustive(landscape: Landscape, **more: Any) -> Arm:
    steps = [(tuple(int(p[-1]) for p in SPACE.active(c)), () if SPACE.active(c) else None) for c in SPACE.configurations()]
    optimum = [int(p[-1]) for p in SPACE.active(landscape.optimum)]
    return search("exhaustive", "Exhaustive search", steps, [(), optimum] if optimum else [()], landscape=landscape, **more)


def planted_comparison(**changes: Any) -> Comparison:
    """SFSA, beam and exhaustive search on the planted landscape, with every kind of reference."""
    landscape = synergy_landscape()
    fields: dict[str, Any] = {
        "space": SPACE,
        "cohort": cohort(),
        "arms": (
            sfsa(landscape),
            beam(landscape),
            exhaustive(landscape),
            baseline(0.65),
            reference("alone:T1w", "T1w alone", 0.70, seed=51),
            reference("alone:FLAIR", "FLAIR alone", 0.64, seed=53),
            reference("late_fusion", "Late fusion", 0.65, members=2, seed=55),
            reference("all_active", "All points active", 0.35, seed=57),
            reference("ensemble_of_placements", "Ensemble of placements", 0.60, members=4, seed=59),
            reference("early_fusion", "Early fusion", 0.66, ours=True, seed=61),
        ),
        "inherit": "parent",
        "command": "nas-fusion compare fusion-points --samplers sfsa,beam,exhaustive",
        "landscape": landscape,
        "landscape_inherit": "baseline",
        "trained_for_search": 13,
        "trained_for_audit": 10,
        "settings": {"seed": 0, "device": "cpu", "precision": "float32", "plan": {"epochs": 10}, "versions": {"torch": "2.13"}},
    }
    return Comparison(**(fields | changes))


def cohort(**changes: Any) -> Mapping[str, Any]:
    facts = {
        "name": "simulated-mri",
        "subjects": 880,
        "classes": ["concordant", "discordant"],
        "modalities": ["T1w", "FLAIR"],
        "fingerprint": "1f2e3d",
        "floors": FLOORS,
        "task": "discordance",
    }
    return facts | changes


def one_search(**changes: Any) -> Comparison:
    """What `search` shows: one arm, the baseline, no landscape and no reference."""
    landscape = synergy_landscape()
    arm = sfsa(landscape, landscape_value=None, regret=None, test=None)
    fields: dict[str, Any] = {
        "arms": (arm, replace(baseline(0.65), test=None, landscape_value=None)),
        "command": "nas-fusion search fusion-points --sampler sfsa",
        "landscape": None,
        "landscape_inherit": None,
        "trained_for_audit": 0,
    }
    return planted_comparison(**(fields | changes))
