"""Tasks of the simulated connectome cohort: how the label depends on both connectomes, and what no model can do better than.

A subject has a subtype, which only the structural connectome shows (its marker networks are strong or weak there), and a gain
of +1 or -1 in each of some networks, which only the functional connectome shows. The probability of each label given all of
them says what log-loss any model can reach at best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import entr

Table = npt.NDArray[np.float64]

CLASSES = ("control", "patient")
SC, FC = "SC", "FC"


@dataclass(frozen=True)
class Task:
    """How the label depends on subtype and gains.

    Attributes:
        name: Such as `selection`.
        weights: Probability of each subtype `(subtypes,)`.
        markers: Which marker networks are strong in each subtype, `(subtypes, markers)` of 0 and 1; they follow the networks
            with gains in the atlas.
        positive: Probability of the positive class given subtype and gains, `(subtypes, 2, ..., 2)`: an axis for each network
            with a gain, index 0 for -1 and 1 for +1. Gains are fair coins.
    """

    name: str
    weights: Table
    markers: Table
    positive: Table

    @property
    def gains(self) -> int:
        """Number of networks with a gain: the first ones of the atlas."""
        return self.positive.ndim - 1

    @property
    def lift(self) -> Table:
        """Strength of each marker network in each subtype, relative to its mean over the cohort, `(subtypes, markers)`."""
        return self.markers - self.weights @ self.markers

    def subtype(self, number: float) -> int:
        """Return the subtype that a number in [0, 1) falls to."""
        return min(int((np.cumsum(self.weights) <= number).sum()), len(self.weights) - 1)

    def floors(self, modalities: Sequence[str]) -> dict[str, float]:
        """Return the lowest expected log-loss, in nats: each modality alone, their late fusion, and everything jointly.

        They are those of a reader who sees subtype and gains without error. A functional connectome of finitely many time
        points shows its gains with noise, so that what depends on it can be approached, not reached. Late fusion is any sum of
        one function of each modality.
        """
        table = self.positive.reshape(len(self.weights), -1)
        weight = np.outer(self.weights, np.full(table.shape[1], 1 / table.shape[1]))
        alone = {SC: entropy(weight.sum(1), (weight * table).sum(1)), FC: entropy(weight.sum(0), (weight * table).sum(0))}
        joint = entropy(weight, weight * table)
        known = {name: alone[name] for name in modalities}
        if len(known) < 2:
            return {**known, "late_fusion": min(known.values()), "joint": min(known.values())}
        return {**known, "late_fusion": additive_floor(weight, table), "joint": joint}


def entropy(weight: Table, positive: Table) -> float:
    """Return the conditional entropy of a binary label in nats.

    Args:
        weight: Probability of each case, sums to 1.
        positive: Probability of each case together with the positive class, the same shape.
    """
    chance = positive / weight
    return float((weight * (entr(chance) + entr(1 - chance))).sum())


def additive_floor(weight: Table, positive: Table) -> float:
    """Return the lowest log-loss, in nats, of log-odds that are a function of the row plus one of the column.

    The loss is convex in both functions, so its minimum is the floor.

    Args:
        weight: Probability of each cell `(rows, columns)`.
        positive: Probability of the positive class in each cell `(rows, columns)`.
    """
    rows, columns = weight.shape

    def loss(parameters: Table) -> tuple[float, Table]:
        logits = parameters[:rows, None] + parameters[rows:]
        value = (weight * (np.logaddexp(0, logits) - positive * logits)).sum()
        slope = weight * (1 / (1 + np.exp(-logits)) - positive)
        return float(value), np.concatenate([slope.sum(1), slope.sum(0)])

    bounds = [(-30.0, 30.0)] * (rows + columns)  # a floor may be reached only at infinity; there exp(-30) is left
    return float(minimize(loss, np.zeros(rows + columns), jac=True, bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-10}).fun)


def selection(flip: float = 0.0) -> Task:
    """Return the task in which the subtype says which of three networks' gains is the label.

    FC alone is informative, since one of the three counts, so that training never begins on a plateau; SC alone is not.
    """
    gains = np.indices((2, 2, 2)).astype(float)
    return Task("selection", np.full(3, 1 / 3), np.eye(3), _flipped(gains, flip))


def mixture(flip: float = 0.0) -> Task:
    """Return the task in which each of four subtypes reads the same three networks by a rule of its own.

    The label is the sign of a sum of gains, whose signs any two subtypes give differently in two networks of three: what one
    subtype's patients have, another's controls have. The subtype that reads all gains as they are is twice as frequent, so that
    FC alone is informative at first order.
    """
    rules = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    gains = 2 * np.indices((2, 2, 2)) - 1
    sure = (np.tensordot(rules, gains, axes=1) > 0).astype(float)
    return Task("mixture", np.array([2, 1, 1, 1]) / 5, np.eye(4), _flipped(sure, flip))


def _flipped(sure: Table, flip: float) -> Table:
    return sure * (1 - 2 * flip) + flip


TASKS = {"selection": selection, "mixture": mixture}
"""Name to a function of the probability that a label is wrong."""
