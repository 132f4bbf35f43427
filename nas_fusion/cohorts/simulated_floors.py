"""What no model of the simulated MRI cohort can do better than, with its clinical table and with absent modalities too.

The table's two informative columns read out one bit each, shifted unit normal numbers, so floors are integrals over these two
numbers. They are sums over a grid: the trapezoidal rule, whose error falls exponentially for smooth functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import entr, expit
from scipy.stats import norm

from nas_fusion.cohorts.simulated_clinical import CLINICAL, SHIFT
from nas_fusion.cohorts.simulated_presence import patterns
from nas_fusion.cohorts.simulated_tasks import AGED, LESIONS, SEEN, Task

Array = npt.NDArray[np.float64]
_STEP, _REACH = 0.5, 8.0  # of the grid, in standard deviations; halving the step moves no floor by 1e-7 nats
_BISECTIONS = 60


def floors(task: Task, modalities: Sequence[str], missing: float = 0.0) -> dict[str, float]:
    """Return the lowest expected log-loss, in nats: each modality alone, their late fusion, and everything jointly.

    Late fusion is any sum of one function of each modality, whether of logits or of probabilities. Where modalities are absent,
    a modality alone is judged on who has it, and the others are means over the sets of modalities that subjects have, even of
    models that know a function for each set.

    Args:
        task: How the label depends on the bits.
        modalities: Sequences, and `clinical` for the table.
        missing: Expected share of absent cells.
    """
    if CLINICAL not in modalities and not missing:
        return task.floors(modalities)
    alone = {name: _jointly(task, (name,)) for name in modalities}
    sets = patterns(modalities, missing) if missing else {tuple(modalities): 1.0}
    return {
        **alone,
        "late_fusion": sum(chance * _late(task, pattern) for pattern, chance in sets.items()),
        "joint": sum(chance * _jointly(task, pattern) for pattern, chance in sets.items()),
    }


def _bits(modalities: Sequence[str]) -> tuple[int, ...]:
    """Return the bits that scans show."""
    return tuple(sorted({bit for name in modalities if name != CLINICAL for bit in SEEN[name]}))


def _jointly(task: Task, modalities: Sequence[str]) -> float:
    """Return the entropy of the label given all that some modalities show."""
    if CLINICAL not in modalities:
        return task.entropy_given(_bits(modalities))
    hidden = tuple({AGED, LESIONS} - set(_bits(modalities)))
    weight = task.bits[:, :, None, None] * _density()
    total = weight.sum(axis=hidden)
    chance = (weight * task.positive[:, :, None, None]).sum(axis=hidden) / total
    return float((total * (entr(chance) + entr(1 - chance))).sum())


def _late(task: Task, modalities: Sequence[str]) -> float:
    """Return the floor of late fusion of subjects who have just these modalities."""
    if CLINICAL not in modalities:
        return task.floors(modalities)["late_fusion"]
    shown = _bits(modalities)
    if not shown or any(set(SEEN[name]) == {AGED, LESIONS} for name in modalities if name != CLINICAL):
        return _jointly(task, modalities)
    return _sum_with_table(task.name, task.bits.tobytes(), task.positive.tobytes(), shown)


def _density() -> Array:
    """Return the probability of each cell of the grid given the bits, `(2, 2, cells, cells)`."""
    grid = np.arange(-_REACH, _REACH + SHIFT + _STEP / 2, _STEP)
    of_bit = np.stack([norm.pdf(grid), norm.pdf(grid - SHIFT)])
    of_bit /= of_bit.sum(axis=1, keepdims=True)
    return of_bit[:, None, :, None] * of_bit[None, :, None, :]


@cache
def _sum_with_table(name: str, bits: bytes, positive: bytes, shown: tuple[int, ...]) -> float:
    """Return the lowest log-loss of a function of the table plus a function of each of the bits that scans show."""
    weight = np.frombuffer(bits).reshape(2, 2, 1, 1) * _density()
    chance = np.frombuffer(positive).reshape(2, 2, 1, 1)
    return min(_lowest(form, weight, chance, shown) for form in (_logits, _probabilities))


Form = Callable[[Array, Array, Array], float]


def _lowest(form: Form, weight: Array, chance: Array, shown: tuple[int, ...]) -> float:
    """Minimise over what each shown bit adds: a convex function, for the loss is convex in all that is added up."""

    def loss(added: Any) -> float:
        offset = np.zeros((2, 2, 1, 1))
        for bit, amount in zip(shown, added, strict=True):
            offset = offset + amount * np.arange(2).reshape((2, 1, 1, 1) if bit == AGED else (1, 2, 1, 1))
        return form(offset, weight, chance)

    options = {"xatol": 1e-7, "fatol": 1e-11}
    start = np.vstack([np.zeros(len(shown)), 0.2 * np.eye(len(shown))])
    return float(minimize(loss, start[0], method="Nelder-Mead", options={**options, "initial_simplex": start}).fun)


def _logits(offset: Array, weight: Array, chance: Array) -> float:
    """Return the loss of the best function of the table whose logits are added to an offset of the bits."""

    def slope(of_table: Array) -> Array:
        return np.asarray((weight * (expit(of_table + offset) - chance)).sum(axis=(0, 1)))

    shape = weight.shape[2:]
    best = _root(slope, np.full(shape, -60.0), np.full(shape, 60.0)) + offset
    return float((weight * (chance * np.logaddexp(0, -best) + (1 - chance) * np.logaddexp(0, best))).sum())


def _probabilities(offset: Array, weight: Array, chance: Array) -> float:
    """Return the loss of the best function of the table whose probabilities are added to an offset of the bits."""
    low, high = -float(offset.min()), 1 - float(offset.max())
    if high - low < 1e-6:
        return np.inf

    def slope(of_table: Array) -> Array:
        p = np.clip(of_table + offset, 1e-12, 1 - 1e-12)
        return np.asarray((weight * ((1 - chance) / (1 - p) - chance / p)).sum(axis=(0, 1)))

    shape = weight.shape[2:]
    p = np.clip(_root(slope, np.full(shape, low), np.full(shape, high)) + offset, 1e-12, 1 - 1e-12)
    return float(-(weight * (chance * np.log(p) + (1 - chance) * np.log1p(-p))).sum())


def _root(slope: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Return where a function that rises is zero in each cell, by bisection."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        rises = slope(middle) > 0
        low, high = np.where(rises, low, middle), np.where(rises, middle, high)
    return (low + high) / 2
