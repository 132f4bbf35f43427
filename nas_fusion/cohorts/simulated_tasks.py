"""Tasks of the simulated MRI cohort: how the label depends on what each scan shows, and what no model can do better than.

A subject has two hidden bits: `aged`, a lower grey-white contrast that T1w shows and FLAIR does not, and `lesions`, which FLAIR
shows and T1w does not. The probability of each label given both bits says what log-loss any model can reach at best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import entr, expit

Table = npt.NDArray[np.float64]

AGED, LESIONS = 0, 1
SEEN: Mapping[str, tuple[int, ...]] = {
    "T1w": (AGED,),
    "FLAIR": (LESIONS,),
    "T2w": (AGED, LESIONS),
    "PDw": (AGED, LESIONS),
}
"""Which bits a scan shows. T2w shows both: lesions lengthen T2, and so does what keeps FLAIR the same when T1 ages; so does
PDw, at its short echo time much more faintly."""


@dataclass(frozen=True)
class Task:
    """How the label depends on the two bits.

    Attributes:
        name: `discordance`, `additive` or `null`.
        classes: Names of the two classes, the positive one second.
        aged: Probability of the first bit; the second is a fair coin.
        positive: Probability of the positive class given the bits, `(2, 2)`, axis 0 is `aged`, axis 1 `lesions`.
    """

    name: str
    classes: tuple[str, str]
    aged: float
    positive: Table

    @property
    def bits(self) -> Table:
        """Probability of each pair of bits, `(2, 2)`."""
        return np.outer([1 - self.aged, self.aged], [0.5, 0.5])

    def floors(self, modalities: Sequence[str]) -> dict[str, float]:
        """Return the lowest expected log-loss, in nats: each modality alone, their late fusion, and everything jointly.

        Late fusion is any sum of one function of each modality, whether of logits or of probabilities.
        """
        shown = [SEEN[name] for name in modalities]
        alone = {name: self.entropy_given(bits) for name, bits in zip(modalities, shown, strict=True)}
        joint = self.entropy_given(tuple({bit for bits in shown for bit in bits}))
        one_sees_all = any(set(bits) == {AGED, LESIONS} for bits in shown)
        sum_of_two = len(set(shown)) > 1 and not one_sees_all
        late = additive_floor(self.bits, self.positive) if sum_of_two else min(alone.values())
        return {**alone, "late_fusion": late, "joint": joint}

    def entropy_given(self, seen: tuple[int, ...]) -> float:
        """Return the entropy of the label, in nats, given some of the bits."""
        hidden = tuple({AGED, LESIONS} - set(seen))
        weight = self.bits.sum(axis=hidden)
        chance = (self.bits * self.positive).sum(axis=hidden) / weight
        return float((weight * (entr(chance) + entr(1 - chance))).sum())


def additive_floor(weight: Table, positive: Table) -> float:
    """Return the lowest log-loss, in nats, of log-odds that are a sum of a function of each bit.

    The loss is convex in the three free numbers of such a sum, so its minimum is the floor.

    Args:
        weight: Probability of each pair of bits, `(2, 2)`.
        positive: Probability of the positive class given the bits, `(2, 2)`.
    """

    def loss(parameters: Table) -> float:
        offset, first, second = parameters
        logits = offset + first * np.array([[0.0], [1.0]]) + second * np.array([[0.0, 1.0]])
        return float((weight * (positive * np.logaddexp(0, -logits) + (1 - positive) * np.logaddexp(0, logits))).sum())

    return float(minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).fun)


def discordance(flip: float, aged: float = 0.3) -> Task:
    """Return the task in which lesions mean one thing in an aged brain and another in one that is not.

    The label is "the bits differ", wrong with probability `flip`. FLAIR alone is informative because ageing is rarer than not.
    """
    differ = np.array([[0.0, 1.0], [1.0, 0.0]])
    return Task("discordance", ("concordant", "discordant"), aged, differ * (1 - 2 * flip) + flip)


def additive(strength: float = 2.0, offset: float = 2.0) -> Task:
    """Return the task whose log-odds are a sum: `strength` for or against by each bit, and an offset: late fusion is right.

    With the offset either finding suffices: no pair of bits leaves the label open, so that few subjects are enough to learn it.
    """
    sign = np.array([-1.0, 1.0])
    return Task("additive", ("control", "patient"), 0.5, expit(strength * (sign[:, None] + sign[None, :]) + offset))


def null(aged: float = 0.3) -> Task:
    """Return the task whose label depends on nothing."""
    return Task("null", ("control", "patient"), aged, np.full((2, 2), 0.5))


TASKS = ("discordance", "additive", "null")


def make_task(name: str, *, flip: float) -> Task:
    """Return a task by name; `flip` concerns `discordance` alone."""
    if name == "discordance":
        return discordance(flip)
    return additive() if name == "additive" else null()
