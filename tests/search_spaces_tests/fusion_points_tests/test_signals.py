"""Searches over two signals of one spatial axis and three channels: accelerometer and gyroscope, real and simulated."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from nas_fusion import compare, load_space
from nas_fusion.analysis import Comparison
from nas_fusion.cohorts import Cohort, draw_splits
from nas_fusion.cohorts.splits import Splits
from nas_fusion.cohorts.watch import PACKAGE, watch
from tests.nas_fusion_tests.cohorts_tests.installed import needs

SPACE = {"points": "layer2,layer4", "backbone": "resnet10", "epochs": 3, "batch_size": 16}


def simulated(n: int = 144) -> Cohort:
    """Signals of twelve people who make one of four movements: the first signal tells how fast it is, the second how large."""
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 4
    time = np.arange(48) / 48
    fast, large = 3 + 5 * (labels % 2), 0.5 + 1.5 * (labels // 2)
    phase = generator.uniform(0, 2 * math.pi, size=(2, n, 3, 1))
    wave = np.sin(2 * math.pi * fast[:, None, None] * time + phase[0])
    swing = large[:, None, None] * np.sin(2 * math.pi * 4 * time + phase[1])
    noise = generator.normal(0, 0.3, size=(2, n, 3, 48))
    signals = {"accelerometer": wave + noise[0], "gyroscope": swing + noise[1]}
    cohort = Cohort(
        name="two-signals",
        subjects=tuple(f"window{i:03d}" for i in range(n)),
        modalities={name: torch.from_numpy(values.astype(np.float32)) for name, values in signals.items()},
        kinds=dict.fromkeys(signals, "image"),
        labels=torch.from_numpy(labels.astype(np.int64)),
        classes=("slow small", "fast small", "slow large", "fast large"),
        fingerprint="two signals",
        present=torch.ones(n, 2, dtype=torch.bool),
        groups=tuple(f"person{i // 4 % 12:02d}" for i in range(n)),
    )
    return draw_splits(cohort, folds=2, test=0.25)


def few_windows() -> Cohort:
    """Two windows of each right-handed recording of six people."""
    cohort = watch(folds=2)
    kept = {s for s in cohort.subjects if int(s[6:8]) <= 6 and s.endswith(("right_03", "right_07"))}
    assert cohort.splits is not None
    small = cohort.subset([subject for subject in cohort.subjects if subject in kept])
    return draw_splits(replace(small, fingerprint="few windows"), folds=2, test=1 / 3)


def searched(cohort: Cohort) -> Comparison:
    space = load_space("fusion-points", preset="small", **SPACE)
    return compare(space, cohort, samplers=["sfsa"], sampler_options={"accept": "one_se"}, device="cpu")


def check(comparison: Comparison, cohort: Cohort) -> None:
    """What a finished search says agrees with itself and with the cohort; what it selected, with the rule computed by hand."""
    space, splits, sfsa = comparison.space, cohort.splits, comparison.arm("sfsa")
    assert isinstance(splits, Splits) and sfsa.best is not None
    assert sfsa.path[0] == space.baseline and 3 <= len(sfsa.evaluations) <= space.size == 4
    losses = {e.configuration: np.array(e.fold_losses) for e in sfsa.evaluations if e.configuration is not None}
    lowest = min(losses.values(), key=lambda folds: float(folds.mean()))
    limit = lowest.mean() + lowest.std(ddof=1) / math.sqrt(len(lowest))
    sizes = {c: len(space.active(c)) for c, folds in losses.items() if folds.mean() <= limit}
    assert sfsa.best in sizes and sizes[sfsa.best] == min(sizes.values())
    for arm in comparison.arms:
        assert arm.test is not None and set(arm.test.subjects) == set(splits.test)
        np.testing.assert_allclose(arm.test.probabilities.sum(axis=1), 1, atol=1e-5)
        assert math.isfinite(arm.value)
    assert {arm.name for arm in comparison.arms} >= {"alone:accelerometer", "alone:gyroscope", "early_fusion", "late_fusion"}


def accuracy(comparison: Comparison, arm: str) -> float:
    test = comparison.arm(arm).test
    assert test is not None
    return float((test.probabilities.argmax(axis=1) == test.labels).mean())


def test_a_search_over_two_simulated_signals() -> None:
    cohort = simulated()
    comparison = searched(cohort)
    check(comparison, cohort)
    both = max(accuracy(comparison, arm) for arm in ("A_0", "sfsa", "early_fusion"))
    assert both > max(accuracy(comparison, f"alone:{name}") for name in cohort.modalities)  # each tells one of two facts


@needs(PACKAGE)
def test_a_search_over_accelerometer_and_gyroscope() -> None:
    cohort = few_windows()
    assert len(cohort) == 84 and len(set(cohort.groups or ())) == 6
    check(searched(cohort), cohort)


@pytest.mark.parametrize(("modality", "facts"), [("accelerometer", {1, 3}), ("gyroscope", {2, 3})])
def test_each_simulated_signal_tells_its_own_fact(modality: str, facts: set[int]) -> None:
    """The accelerometer's frequency and the gyroscope's size, read off directly."""
    cohort = simulated()
    values = cohort.modalities[modality].numpy()
    spectrum = np.abs(np.fft.rfft(values, axis=2)).mean(axis=1)
    said = spectrum[:, 8] > spectrum[:, 3] if modality == "accelerometer" else values.std(axis=(1, 2)) > 0.8
    assert np.array_equal(said, np.isin(cohort.labels.numpy(), list(facts)))
