"""Floors of the connectome tasks: closed forms, and the best of all late fusions found independently."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from nas_fusion.cohorts.simulated_connectome_tasks import TASKS, Task, additive_floor, selection


def binary(p: float) -> float:
    return float(-p * np.log(p) - (1 - p) * np.log(1 - p)) if 0 < p < 1 else 0.0


@pytest.mark.parametrize("flip", [0.0, 0.03, 0.2])
def test_floors_of_selection(flip: float) -> None:
    floors = selection(flip).floors(("SC", "FC"))
    functional = 0.75 * binary((1 - 2 * flip) / 3 + flip) + 0.25 * binary(flip)
    expected = {"SC": np.log(2), "FC": functional, "late_fusion": functional, "joint": binary(flip)}
    assert floors == pytest.approx(expected, abs=1e-6)
    assert selection(flip).floors(("FC",)) == pytest.approx(dict.fromkeys(("FC", "late_fusion", "joint"), functional), abs=1e-6)


def test_rules_of_mixture_contradict_each_other() -> None:
    task = TASKS["mixture"](0.0)
    rules = task.positive.reshape(4, -1)
    assert (rules.mean(axis=1) == 0.5).all()
    assert all((rules[i] != rules[j]).sum() == 4 for i in range(4) for j in range(i))
    signs = {(0, 0, 0): 0, (1, 0, 0): 0, (1, 1, 0): 1, (1, 1, 1): 1}
    assert all(task.positive[(0, *gains)] == label for gains, label in signs.items())
    assert [task.positive[s, 1, 0, 0] for s in range(4)] == [0, 1, 0, 0]
    chance = task.weights @ rules
    expected = np.mean([binary(p) for p in chance])
    found = task.floors(("SC", "FC"))
    assert found["FC"] == pytest.approx(expected) and found["SC"] == pytest.approx(np.log(2)) and found["joint"] == 0


def test_additive_floor_is_what_logistic_regression_finds() -> None:
    rng = np.random.default_rng(0)
    weight, table = rng.dirichlet(np.ones(12)).reshape(3, 4), rng.uniform(0.05, 0.95, (3, 4))
    rows, columns = (index.ravel() for index in np.indices((3, 4)))
    features = np.concatenate([np.eye(3)[rows], np.eye(4)[columns]], axis=1)
    model = LogisticRegression(C=1e10, tol=1e-12, max_iter=10_000)
    shares = np.concatenate([(weight * table).ravel(), (weight * (1 - table)).ravel()])
    model.fit(np.tile(features, (2, 1)), np.repeat([1, 0], 12), sample_weight=1e4 * shares)
    chance = model.predict_proba(features)[:, 1].reshape(3, 4)
    expected = -(weight * (table * np.log(chance) + (1 - table) * np.log(1 - chance))).sum()
    assert additive_floor(weight, table) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_well_formed(name: str) -> None:
    task = TASKS[name](0.1)
    subtypes = len(task.weights)
    assert task.name == name and task.weights.sum() == pytest.approx(1) and task.markers.shape[0] == subtypes
    assert task.positive.shape == (subtypes, *(2,) * task.gains) and task.gains + task.markers.shape[1] <= 7
    assert ((task.positive == 0.1) | (task.positive == 0.9)).all()
    assert task.weights @ task.lift == pytest.approx(np.zeros(task.markers.shape[1]))
    floors = task.floors(("SC", "FC"))
    assert floors["joint"] <= floors["late_fusion"] + 1e-9 <= min(floors["SC"], floors["FC"]) + 2e-9


def test_subtypes_have_their_probabilities() -> None:
    task = Task("any", np.array([0.5, 0.2, 0.3]), np.eye(3), np.zeros((3, 2)))
    numbers = [task.subtype((i + 0.5) / 1000) for i in range(1000)]
    assert np.bincount(numbers).tolist() == [500, 200, 300] and task.subtype(np.nextafter(1.0, 0)) == 2
