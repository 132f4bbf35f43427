"""Tasks: floors against enumeration, scikit-learn and simulated bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brute
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from nas_fusion.cohorts.simulated_tasks import SEEN, Task, additive, additive_floor, discordance, make_task, null

BOTH = ("T1w", "FLAIR")


def simulate(task: Task, n: int = 100_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    bits = rng.random((n, 2)) < [task.aged, 0.5]
    return bits.astype(int), (rng.random(n) < task.positive[bits[:, 0].astype(int), bits[:, 1].astype(int)]).astype(int)


@pytest.mark.parametrize(
    ("flip", "flair", "joint"),
    [(0.0, 0.611, 0.0), (0.05, 0.627, 0.199), (0.08, 0.636, 0.279)],
)
def test_floors_of_discordance(flip: float, flair: float, joint: float) -> None:
    floors = discordance(flip).floors(BOTH)
    assert list(floors) == ["T1w", "FLAIR", "late_fusion", "joint"]
    assert floors["T1w"] == pytest.approx(np.log(2))
    assert floors["FLAIR"] == pytest.approx(flair, abs=5e-4)
    assert floors["late_fusion"] == pytest.approx(floors["FLAIR"], abs=1e-8)
    assert floors["joint"] == pytest.approx(joint, abs=5e-4)


def test_floors_of_the_companions() -> None:
    floors = additive().floors(BOTH)
    assert floors["late_fusion"] == pytest.approx(floors["joint"], abs=1e-8)
    assert floors["T1w"] == pytest.approx(floors["FLAIR"]) and floors["T1w"] - floors["joint"] > 0.15
    assert list(null().floors(BOTH).values()) == pytest.approx([np.log(2)] * 4)


@pytest.mark.parametrize("task", [discordance(0.05), additive(), null()], ids=lambda task: task.name)
def test_floors_are_what_the_best_models_of_simulated_bits_reach(task: Task) -> None:
    bits, labels = simulate(task)
    both = np.column_stack([bits, bits.prod(axis=1)])
    designs = {"T1w": bits[:, :1], "FLAIR": bits[:, 1:], "late_fusion": bits, "joint": both}
    for name, floor in task.floors(BOTH).items():
        model = LogisticRegression(C=1e6).fit(designs[name], labels)
        assert log_loss(labels, model.predict_proba(designs[name])) == pytest.approx(floor, abs=5e-3)


def test_averaged_probabilities_do_not_pass_the_floor_either() -> None:
    task = discordance(0.05)

    def loss(p: np.ndarray) -> float:
        chance = np.clip((np.array([[p[0]], [p[1]]]) + np.array([[p[2], p[3]]])) / 2, 1e-9, 1 - 1e-9)
        return float(-(task.bits * (task.positive * np.log(chance) + (1 - task.positive) * np.log(1 - chance))).sum())

    best = brute(loss, [(0.0, 1.0)] * 4, Ns=15, full_output=True)[1]
    assert best >= task.floors(BOTH)["late_fusion"] - 1e-9


@given(
    st.floats(0.1, 0.9),
    st.lists(st.floats(0.05, 0.95), min_size=4, max_size=4),
    st.lists(st.floats(-4, 4), min_size=3, max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_no_sum_beats_the_additive_floor(aged: float, positive: list[float], parameters: list[float]) -> None:
    task = Task("any", ("a", "b"), aged, np.array(positive).reshape(2, 2))
    logits = parameters[0] + parameters[1] * np.array([[0], [1]]) + parameters[2] * np.array([[0, 1]])
    chance = 1 / (1 + np.exp(-logits))
    loss = -(task.bits * (task.positive * np.log(chance) + (1 - task.positive) * np.log(1 - chance))).sum()
    floor = additive_floor(task.bits, task.positive)
    assert floor <= loss + 1e-7
    joint, alone = task.entropy_given((0, 1)), min(task.entropy_given((0,)), task.entropy_given((1,)))
    assert joint - 1e-7 <= floor <= alone + 1e-7


def test_a_modality_that_shows_both_bits_needs_no_fusion() -> None:
    assert SEEN["T2w"] == (0, 1)
    floors = discordance(0.05).floors(("T1w", "FLAIR", "T2w"))
    assert floors["T2w"] == floors["late_fusion"] == floors["joint"] < floors["FLAIR"]
    assert discordance(0.05).floors(("FLAIR",)) == pytest.approx(dict.fromkeys(("FLAIR", "late_fusion", "joint"), 0.6268694576))


def test_classes_are_in_the_order_that_readers_of_files_give_them() -> None:
    assert all(list(task.classes) == sorted(task.classes) for task in (discordance(0.05), additive(), null()))


def test_tasks_by_name() -> None:
    assert [make_task(name, flip=0.1).name for name in ("discordance", "additive", "null")] == [
        "discordance",
        "additive",
        "null",
    ]
    assert make_task("discordance", flip=0.1).positive == pytest.approx(np.array([[0.1, 0.9], [0.9, 0.1]]))
