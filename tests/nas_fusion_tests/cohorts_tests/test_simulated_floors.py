"""Floors with the clinical table and with absent modalities, against simulation and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from nas_fusion.cohorts import simulated_floors
from nas_fusion.cohorts.simulated_clinical import SHIFT
from nas_fusion.cohorts.simulated_floors import floors
from nas_fusion.cohorts.simulated_mri import simulated_mri
from nas_fusion.cohorts.simulated_presence import patterns
from nas_fusion.cohorts.simulated_tasks import Task, additive, discordance, null

N = 60_000
ALL = ("T1w", "FLAIR", "clinical")
TASKS = pytest.mark.parametrize("task", [discordance(0.05), additive(), null()], ids=lambda task: task.name)
Array = np.ndarray


def simulate(task: Task, seed: int = 0) -> tuple[Array, Array, Array]:
    """Return bits and readouts `(n, 2)` and labels `(n,)`."""
    rng = np.random.default_rng(seed)
    bits = (rng.random((N, 2)) < [task.aged, 0.5]).astype(int)
    return bits, rng.standard_normal((N, 2)) + SHIFT * bits, (rng.random(N) < task.positive[bits[:, 0], bits[:, 1]]).astype(int)


def posterior(task: Task, bits: Array, numbers: Array, shown: tuple[int, ...]) -> Array:
    """Return the probability of the positive class given the bits that are shown and the readouts of both, by Bayes."""
    weight = np.empty((N, 2, 2))
    for aged in range(2):
        for lesions in range(2):
            density = norm.pdf(numbers[:, 0] - SHIFT * aged) * norm.pdf(numbers[:, 1] - SHIFT * lesions)
            seen = np.all([bits[:, bit] == (aged, lesions)[bit] for bit in shown], axis=0) if shown else True
            weight[:, aged, lesions] = task.bits[aged, lesions] * density * seen
    return (weight * task.positive).sum((1, 2)) / weight.sum((1, 2))


@TASKS
@pytest.mark.parametrize(("modalities", "shown"), [(("clinical",), ()), (("T1w", "clinical"), (0,)), (ALL, (0, 1))])
def test_joint_floors_are_the_loss_of_bayes_rule(task: Task, modalities: tuple[str, ...], shown: tuple[int, ...]) -> None:
    bits, numbers, labels = simulate(task)
    p = posterior(task, bits, numbers, shown)
    losses = -np.log(np.where(labels == 1, p, 1 - p))
    assert floors(task, modalities)["joint"] == pytest.approx(losses.mean(), abs=1e-12 + 4 * losses.std() / N**0.5)


@TASKS
def test_the_floor_of_late_fusion_is_what_a_flexible_sum_reaches(task: Task) -> None:
    bits, numbers, labels = simulate(task)
    bends = SplineTransformer(5, degree=3, extrapolation="linear").fit_transform(numbers)
    of_table = PolynomialFeatures(2, include_bias=False).fit_transform(bends[:, ::1])
    design = np.column_stack([bits, of_table])
    half = N // 2
    model = LogisticRegression(C=10, max_iter=400).fit(design[:half:2], labels[:half:2])
    reached = log_loss(labels[half:], model.predict_proba(design[half:]))
    floor = floors(task, ALL)["late_fusion"]
    assert floor - 0.006 < reached < floor + 0.015


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=8), st.lists(st.floats(0, 1), min_size=8, max_size=8))
@settings(max_examples=40, deadline=None)
def test_no_sum_of_logits_and_no_mean_of_probabilities_is_below_the_floor(logits: list[float], chances: list[float]) -> None:
    task = discordance(0.05)
    floor = floors(task, ALL)["late_fusion"]
    weight, bits = task.bits[:, :, None, None] * simulated_floors._density(), np.indices((2, 2))[..., None, None]
    grid = np.arange(weight.shape[2])
    cells = (grid[:, None] > 18).astype(int) * 2 + (grid[None, :] > 18)  # four quadrants of the table

    def loss(p: Array) -> float:
        positive = task.positive[:, :, None, None]
        return float(-(weight * (positive * np.log(p) + (1 - positive) * np.log1p(-p))).sum())

    summed = np.array(logits)[:2][bits[0]] + np.array(logits)[2:4][bits[1]] + np.array(logits)[4:][cells]
    mean = (np.array(chances)[:2][bits[0]] + np.array(chances)[2:4][bits[1]] + np.array(chances)[4:][cells]) / 3
    assert loss(expit(summed)) >= floor - 1e-9
    assert loss(np.clip(mean, 1e-9, 1 - 1e-9)) >= floor - 1e-7


@TASKS
def test_floors_are_in_order(task: Task) -> None:
    found = floors(task, ALL)
    assert list(found) == ["T1w", "FLAIR", "clinical", "late_fusion", "joint"]
    pair = task.floors(("T1w", "FLAIR"))
    assert found["joint"] == pytest.approx(pair["joint"], abs=1e-9)  # the table adds nothing where both bits are seen
    assert found["joint"] - 1e-9 <= found["late_fusion"] <= min(found["clinical"], pair["late_fusion"]) + 1e-9


def test_floors_have_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    found = floors(discordance(0.05), ALL)
    simulated_floors._sum_with_table.cache_clear()
    monkeypatch.setattr(simulated_floors, "_STEP", 0.25)
    assert floors(discordance(0.05), ALL) == pytest.approx(found, abs=1e-7)
    simulated_floors._sum_with_table.cache_clear()


@pytest.mark.parametrize("modalities", [("T1w", "FLAIR"), ("FLAIR", "clinical"), ("T1w", "FLAIR", "PDw")])
def test_with_absent_modalities_floors_are_means_over_who_has_what(modalities: tuple[str, ...]) -> None:
    task = discordance(0.05)
    found, whole = floors(task, modalities, 0.3), floors(task, modalities)
    for name in modalities:
        assert found[name] == whole[name]
    for key in ("late_fusion", "joint"):
        parts = [chance * floors(task, pattern)[key] for pattern, chance in patterns(modalities, 0.3).items()]
        assert found[key] == pytest.approx(sum(parts)) and found[key] > whole[key]


def test_without_table_and_absence_floors_are_what_they_were() -> None:
    task = discordance(0.05)
    assert floors(task, ("T1w", "FLAIR", "T2w")) == task.floors(("T1w", "FLAIR", "T2w"))
    cohort = simulated_mri(shape=8, train=4, validation=2, test=0, modalities=("T1w", "clinical"), missing=0.3)
    assert cohort.provenance["floors"] == floors(task, ("T1w", "clinical"), 0.3)
