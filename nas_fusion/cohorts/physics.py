"""Physics of the simulated scans: what signal a tissue gives in a pulse sequence.

Tissue values at 3 T: Wansapura et al., J. Magn. Reson. Imaging 9 (1999) 531-538. Times are in milliseconds throughout, signals
relative to the equilibrium magnetisation of pure water. Every function works element-wise on tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class Tissue:
    """Relaxation times `t1` and `t2` (ms) and proton density (water = 1)."""

    t1: float
    t2: float
    density: float


GREY = Tissue(1331.0, 110.0, 0.82)
WHITE = Tissue(832.0, 79.6, 0.70)
FLUID = Tissue(4163.0, 2000.0, 1.0)
TISSUES = (GREY, WHITE, FLUID)


class Sequence(Protocol):
    """A pulse sequence: what its factor without transverse decay is, how often it repeats, and when its echo comes."""

    @property
    def tr(self) -> float:
        """Repetition time in ms."""

    @property
    def te(self) -> float:
        """Echo time in ms."""

    def longitudinal(self, t1: torch.Tensor) -> torch.Tensor:
        """Return the magnetisation that is read out, by longitudinal relaxation time (ms), in [0, 1]."""


@dataclass(frozen=True)
class InversionRecovery:
    """Magnitude inversion recovery: |1 - 2 exp(-TI / T1) + exp(-TR / T1)|, with repetition, inversion and echo times in ms."""

    tr: float
    ti: float
    te: float

    def longitudinal(self, t1: torch.Tensor) -> torch.Tensor:
        """Return the magnetisation that is read out, by longitudinal relaxation time (ms), in [0, 1]."""
        return (1 - 2 * torch.exp(-self.ti / t1) + torch.exp(-self.tr / t1)).abs()


@dataclass(frozen=True)
class SpinEcho:
    """Saturation recovery: 1 - exp(-TR / T1), with repetition and echo times in ms."""

    tr: float
    te: float

    def longitudinal(self, t1: torch.Tensor) -> torch.Tensor:
        """Return the magnetisation that is read out, by longitudinal relaxation time (ms), in [0, 1]."""
        return 1 - torch.exp(-self.tr / t1)


FLAIR = InversionRecovery(tr=9000.0, ti=2500.0, te=90.0)
SEQUENCES: Mapping[str, Sequence] = {
    "T1w": InversionRecovery(tr=2300.0, ti=900.0, te=3.0),
    "FLAIR": FLAIR,
    "T2w": SpinEcho(tr=6000.0, te=100.0),
    "PDw": SpinEcho(tr=6000.0, te=15.0),
}


def signal(sequence: Sequence, t1: torch.Tensor, t2: torch.Tensor, density: torch.Tensor) -> torch.Tensor:
    """Return the signal of tissues in a sequence: density times longitudinal factor times exp(-TE / T2).

    Args:
        sequence: The pulse sequence.
        t1: Longitudinal relaxation times in ms, any shape.
        t2: Transverse relaxation times in ms, of a shape that broadcasts.
        density: Proton densities, of a shape that broadcasts.
    """
    return density * sequence.longitudinal(t1) * torch.exp(-sequence.te / t2)


def nominal(sequence: Sequence, tissue: Tissue) -> float:
    """Return the signal of one tissue with the values of the table."""
    return float(signal(sequence, *torch.tensor([tissue.t1, tissue.t2, tissue.density], dtype=torch.float64)))


def flair_iso_t2(t1: torch.Tensor, t2: torch.Tensor, changed_t1: torch.Tensor) -> torch.Tensor:
    """Return the T2 (ms) that keeps the FLAIR signal where T1 changes: such a change is seen by other sequences alone.

    From E(T1) exp(-TE / T2) = E(T1') exp(-TE / T2') with the longitudinal factor E.

    Args:
        t1: T1 before the change, in ms.
        t2: T2 before the change, in ms.
        changed_t1: T1 after it, in ms.
    """
    return 1 / (1 / t2 + torch.log(FLAIR.longitudinal(changed_t1) / FLAIR.longitudinal(t1)) / FLAIR.te)
