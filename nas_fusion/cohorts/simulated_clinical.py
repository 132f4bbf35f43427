"""The clinical table of the simulated MRI cohort: numbers that tell a part of what the scans show, others nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nas_fusion.cohorts.simulated_tasks import AGED, LESIONS

CLINICAL = "clinical"
SHIFT = 1.5
"""By how many standard deviations a finding moves the number that reads it out: it tells who has it with an AUC of 0.86."""
READOUTS: Mapping[str, int] = {"reaction_time": AGED, "walking_time": LESIONS}
"""Which bit each of the informative columns reads out."""
NOISE = ("height", "grip_strength", "pulse", "sodium")
COLUMNS = (*READOUTS, *NOISE)
STREAM = 64  # of a subject's generators, behind those of sequences


def readings(bits: tuple[bool, bool], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the columns of one subject `(6,)`, in standard deviations: unit normal numbers, shifted where there is a finding.

    Args:
        bits: Whether the brain has aged, and whether it has lesions.
        rng: The subject's generator for the table.
    """
    drawn = rng.standard_normal(len(COLUMNS))
    drawn[: len(READOUTS)] += SHIFT * np.array([bits[bit] for bit in READOUTS.values()], dtype=np.float64)
    return drawn
