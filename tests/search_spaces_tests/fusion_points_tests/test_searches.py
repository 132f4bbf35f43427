"""Searches that really train, checked against all configurations."""

from __future__ import annotations

import optuna

from nas_fusion import Cohort, EvaluationWorker, ExhaustiveSampler, SFSASampler
from nas_fusion.space import Configuration
from search_spaces.fusion_points import FusionPointSpace

from .tables import crossed_tables

QUICK = {"hidden": 32, "epochs": 8, "batch_size": 32, "learning_rate": 0.01}
"""A training takes less than a second."""


def greedy(space: FusionPointSpace, values: dict[Configuration, float]) -> list[Configuration]:
    """Return the path of greedy forward search in a landscape, written down from its definition."""
    path = [space.baseline]
    while moves := space.forward_moves(path[-1]):
        best = min(moves, key=lambda move: values[move])
        if values[best] >= values[path[-1]]:
            break
        path.append(best)
    return path


def searched(space: FusionPointSpace, cohort: Cohort) -> tuple[dict[Configuration, float], list[Configuration]]:
    """Return the landscape of a space, every configuration trained from scratch, and the path that SFSA takes in it."""
    worker, paths = EvaluationWorker(space, cohort, inherit="none"), []
    for sampler in (SFSASampler(space, inherit="none"), ExhaustiveSampler(space, inherit="none")):
        study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.NopPruner())
        study.optimize(worker)
        paths.append(sampler.path(study))
    values = {space.configuration(i): worker.evaluate(space.configuration(i)) for i in range(space.size)}
    assert not any(evaluation.trained for evaluation in values.values())
    best = min(values, key=lambda configuration: values[configuration].value)
    assert paths[1][-1] == best
    return {configuration: evaluation.value for configuration, evaluation in values.items()}, paths[0]


def test_six_tables_are_searched_as_the_landscape_says() -> None:
    names = ("fourier", "profile", "karhunen", "pixel", "zernike", "morphology")
    cohort = crossed_tables(*names, meet=("profile", "zernike"))
    space = FusionPointSpace(modules="film", backbone="perceptron", layers=3, **QUICK)
    values, path = searched(space, cohort)
    assert space.size == 8 and path == greedy(space, values)
    assert values[space.baseline] > 0.65, "no table tells anything alone"
    assert len(path) > 1 and values[path[-1]] < 0.55
    assert values[path[-1]] - min(values.values()) < 0.1


def test_point_module_and_who_meets_are_searched_together() -> None:
    cohort = crossed_tables("blood", "genes", "gait", meet=("blood", "gait"))
    modules = ["mmtm", "film(blood,gait)", "film(blood,genes)"]
    space = FusionPointSpace(modules=modules, backbone="perceptron", layers=2, **QUICK)
    values, path = searched(space, cohort)
    single = {(p, m): values[space.complete({p: m})] for p in space.parameters for m in modules}
    assert space.size == 16 and path == greedy(space, values)
    assert all(single[point, "film(blood,genes)"] > 0.65 for point in space.parameters), "gait is not heard"
    assert all(single[point, "film(blood,gait)"] < 0.4 for point in space.parameters)
    first = space.active(path[1])
    assert list(first.values()) == ["film(blood,gait)"], "the module and the two that matter, before a third is let in"
