"""The chain: its floors are what an enumeration and an unpenalised regression say, and modalities change nobody."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from benchmarks._chain import CHANCE, SEPARATION, STRENGTH, chain, floors

SIZES = {"train": 1200, "validation": 400, "test": 400}


def enumerated(modalities: int) -> dict[tuple[int, ...], list[float]]:
    """Probability of each state of the bits that are shown, and of the positive label in it."""
    found: dict[tuple[int, ...], list[float]] = {}
    for bits in itertools.product((0, 1), repeat=4):
        weight = math.prod(p if bit else 1 - p for p, bit in zip(CHANCE, bits, strict=True))
        evidence = sum(1 if a != b else -1 for a, b in itertools.pairwise(bits))
        entry = found.setdefault(bits[:modalities], [0.0, 0.0])
        entry[0] += weight
        entry[1] += weight / (1 + math.exp(-STRENGTH * evidence))
    return found


@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_floors(modalities: int) -> None:
    states = enumerated(modalities)
    chance = [positive / weight for weight, positive in states.values()]
    weights = [weight for weight, _ in states.values()]
    joint = -sum(w * (p * math.log(p) + (1 - p) * math.log(1 - p)) for w, p in zip(weights, chance, strict=True))
    found = floors(modalities)
    assert found["joint"] == pytest.approx(joint, abs=1e-9)
    rows = np.array([*states, *states], dtype=float)
    labels = np.repeat([1, 0], len(states))
    weight = np.concatenate([np.multiply(weights, chance), np.multiply(weights, np.subtract(1, chance))])
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(rows, labels, sample_weight=weight * 1e4)
    log_chances = model.predict_log_proba(rows)[np.arange(len(rows)), labels]
    assert found["late_fusion"] == pytest.approx(-float((weight * log_chances).sum()), abs=1e-5)


def test_each_modality_is_needed_and_none_suffices() -> None:
    joint = [floors(n)["joint"] for n in (2, 3, 4)]
    assert joint[0] - joint[1] > 0.1 and joint[1] - joint[2] > 0.1
    assert min(floors(n)["late_fusion"] for n in (2, 3, 4)) > 0.6


def test_subjects_stay_the_same_with_more_modalities() -> None:
    two, four = chain(2, seed=5, **SIZES), chain(4, seed=5, **SIZES)
    assert torch.equal(two.labels, four.labels) and two.splits == four.splits and two.fingerprint != four.fingerprint
    assert all(torch.equal(two.modalities[name], four.modalities[name]) for name in ("m1", "m2"))
    assert not torch.equal(two.labels, chain(2, seed=6, **SIZES).labels)


def test_vectors_show_their_bit_along_one_direction() -> None:
    values = chain(2, seed=5, **SIZES).modalities["m2"].double()
    spectrum = torch.linalg.eigvalsh(torch.cov(values.T))
    assert spectrum[-1] == pytest.approx(1 + SEPARATION**2 / 4, rel=0.1) and spectrum[:-1].max() < 1.4
