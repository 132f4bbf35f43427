"""A cohort with a known synergy between any number of modalities: discordance along a chain.

Four hidden bits; each of the modalities `m1` to `m4` is a vector that shows one of them in noise and nothing of the others. For
each two neighbours in the chain it is evidence for the label that they differ, and evidence against it that they agree. The
log-odds of the label are

    strength * (d12 + d23 + d34),    d = 1 where two neighbours differ, else -1.

Label and subjects stay the same however many of the modalities a model is given, and with each more it can know more: there is
one more pair. No modality tells much by itself, nor does any sum of what each tells; the floors say how much.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from scipy.special import entr, expit

from nas_fusion import Cohort
from nas_fusion.cohorts import Fold, Splits

CHANCE = (0.3, 0.5, 0.3, 0.5)
"""Probability of each bit. Those that are no fair coins let each neighbour tell a little by itself."""
STRENGTH = 3.0
FEATURES, SEPARATION = 16, 4.0
Array = npt.NDArray[np.float64]


def states() -> tuple[Array, Array, Array]:
    """Return every state of the bits `(16, 4)`, its probability `(16,)`, and that of the positive label given it `(16,)`."""
    bits = np.array(list(np.ndindex(2, 2, 2, 2)), dtype=float)
    weight = np.where(bits == 1, CHANCE, 1 - np.array(CHANCE)).prod(axis=1)
    return bits, weight, chance_of(bits)


def chance_of(bits: Array) -> Array:
    """Return the probability of the positive label given the bits `(n, 4)`."""
    evidence: Array = (2 * (bits[:, 1:] != bits[:, :-1]) - 1).sum(axis=1)
    return np.asarray(expit(STRENGTH * evidence))


def floors(modalities: int) -> dict[str, float]:
    """Return the lowest log-loss, in nats, given the bits that the first modalities show.

    `joint`: of any function of them. `late_fusion`: of log-odds that are a sum of a function of each.
    """
    bits, weight, positive = states()
    shown, group = np.unique(bits[:, :modalities], axis=0, return_inverse=True)
    total = np.bincount(group, weights=weight)
    chance = np.bincount(group, weights=weight * positive) / total
    joint = float((total * (entr(chance) + entr(1 - chance))).sum())
    design = np.column_stack([np.ones(len(shown)), shown])

    def loss(parameters: Array) -> float:
        logits = design @ parameters
        return float((total * (chance * np.logaddexp(0, -logits) + (1 - chance) * np.logaddexp(0, logits))).sum())

    late = minimize(loss, np.zeros(design.shape[1]), method="BFGS", options={"gtol": 1e-9})
    return {"late_fusion": float(late.fun), "joint": joint}


def chain(modalities: int, *, seed: int, train: int, validation: int, test: int) -> Cohort:
    """Return the cohort with the first of its modalities.

    Args:
        modalities: How many of the four, at least 2.
        seed: Which subjects; bits, labels and each modality's noise do not depend on how many are given.
        train: Subjects that train.
        validation: Subjects that validate.
        test: Subjects that test.
    """
    n = train + validation + test
    rng = np.random.default_rng([seed, 0])
    bits = (rng.random((n, 4)) < CHANCE).astype(float)
    labels = (rng.random(n) < chance_of(bits)).astype(np.int64)
    names = [f"m{k + 1}" for k in range(modalities)]
    values = {name: _shown(bits[:, k], np.random.default_rng([seed, k + 1])) for k, name in enumerate(names)}
    subjects = tuple(f"sub-{i + 1:05d}" for i in range(n))
    facts = {"cohort": "chain", "seed": seed, "parts": [train, validation, test], "modalities": names}
    return Cohort(
        name="chain",
        subjects=subjects,
        modalities=values,
        kinds=dict.fromkeys(names, "vector"),
        labels=torch.from_numpy(labels),
        classes=("concordant", "discordant"),
        fingerprint=hashlib.sha256(json.dumps(facts).encode()).hexdigest(),
        present=torch.ones(n, modalities, dtype=torch.bool),
        splits=_splits(subjects, train, validation),
        provenance={**facts, "floors": floors(modalities)},
    )


def _shown(bit: Array, rng: np.random.Generator) -> torch.Tensor:
    """Return vectors `(subjects, 16)`: unit noise, moved along one direction by `SEPARATION` where the bit is set."""
    direction = rng.normal(size=FEATURES)
    direction /= np.linalg.norm(direction)
    noise = rng.normal(size=(len(bit), FEATURES))
    return torch.from_numpy(noise + SEPARATION * (bit - 0.5)[:, None] * direction).float()


def _splits(subjects: Sequence[str], train: int, validation: int) -> Splits:
    held_out = train + validation
    return Splits((Fold(tuple(subjects[:train]), tuple(subjects[train:held_out])),), tuple(subjects[held_out:]))
