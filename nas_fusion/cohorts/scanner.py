"""Simulated subjects and their scans: who somebody is, and what each pulse sequence shows of it.

Whatever is random about a subject is drawn from generators of its own, addressed by (seed, subject), so that neither the number
of subjects, nor the task, nor the choice of modalities changes anybody's brain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nas_fusion.cohorts.anatomy import EXTENT_MM, deform, smooth_field, tissue_map
from nas_fusion.cohorts.physics import SEQUENCES, TISSUES, WHITE, Sequence, flair_iso_t2, nominal, signal
from nas_fusion.cohorts.simulated_tasks import AGED, LESIONS, SEEN

SCALE_SD = 0.04
DISPLACEMENT_SD, DISPLACEMENT_KNOTS = 0.035, 4
ATROPHY = 0.15
RELAXATION_SD = 0.03
AGEING_SD = 0.05
BIAS_SD, BIAS_KNOTS = 0.1, 3
NOISE_SD = 0.04
N_LESIONS = 3
RADIUS_MM = (10.0, 16.0)
LESION_EDGE = 2.5
LESION_WHITE = 0.7


@dataclass(frozen=True)
class Traits:
    """What is random about one subject, the scanners' noise apart.

    Attributes:
        bits: Two numbers in [0, 1): a bit of the task is set where its number is below the bit's probability.
        label: One number in [0, 1): the label is positive where it is below the label's probability.
        scale: Factor of each axis `(3,)`.
        displacement: Knots of the deformation `(3, k, k, k)`, in half widths of the cube.
        atrophy: Share of grey matter that has become fluid, in [0, 0.15].
        t1: Factor of each tissue's T1 `(3,)`.
        t2: Factor of each tissue's T2 `(3,)`.
        ageing: Variation of the white matter's T1 that FLAIR does not show, relative.
        centres: Two numbers in [0, 1) that pick the lesions' centres.
        radii: Radii of the lesions in mm.
    """

    bits: tuple[float, float]
    label: float
    scale: torch.Tensor
    displacement: torch.Tensor
    atrophy: float
    t1: torch.Tensor
    t2: torch.Tensor
    ageing: float
    centres: tuple[float, ...]
    radii: tuple[float, ...]


def generator(seed: int, subject: int, stream: int = 0) -> np.random.Generator:
    """Return one of a subject's own generators: stream 0 for its traits, one more for each sequence."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(subject, stream))))


def draw_traits(rng: np.random.Generator) -> Traits:
    """Return the traits of a subject; the order of the draws is part of the cohort's definition."""
    knots = (3, *(DISPLACEMENT_KNOTS,) * 3)
    return Traits(
        bits=(rng.random(), rng.random()),
        label=rng.random(),
        scale=torch.from_numpy(rng.normal(1, SCALE_SD, 3)).float(),
        displacement=torch.from_numpy(rng.normal(0, DISPLACEMENT_SD, knots)).float(),
        atrophy=rng.uniform(0, ATROPHY),
        t1=torch.from_numpy(rng.normal(1, RELAXATION_SD, 3)),
        t2=torch.from_numpy(rng.normal(1, RELAXATION_SD, 3)),
        ageing=rng.normal(0, AGEING_SD),
        centres=tuple(rng.random(N_LESIONS).tolist()),
        radii=tuple(rng.uniform(*RADIUS_MM, N_LESIONS).tolist()),
    )


@dataclass(frozen=True)
class Brain:
    """One subject as the scanners find it.

    Attributes:
        fractions: Grey matter, white matter and fluid `(3, size, size, size)`.
        lesion: How far each voxel is lesion `(size, size, size)`, in [0, 1]; `None` without lesions.
        tissue: T1 and T2 in ms of the three tissues as long as they have not aged, `(2, 3)`.
        aged_t1: T1 in ms `(3,)` after ageing.
    """

    fractions: torch.Tensor
    lesion: torch.Tensor | None
    tissue: torch.Tensor
    aged_t1: torch.Tensor


def make_brain(traits: Traits, *, size: int, ageing: float, lesions: bool) -> Brain:
    """Return the brain of a subject.

    Args:
        traits: Who it is.
        size: Voxels along each axis.
        ageing: Relative lengthening of the white matter's T1 by the task, at least 0.
        lesions: Whether it has lesions.
    """
    fractions = deform(tissue_map(size), traits.scale, traits.displacement)
    lost = traits.atrophy * fractions[0]
    fractions = fractions + torch.stack([-lost, torch.zeros_like(lost), lost])
    t1 = torch.tensor([tissue.t1 for tissue in TISSUES], dtype=torch.float64) * traits.t1
    t2 = torch.tensor([tissue.t2 for tissue in TISSUES], dtype=torch.float64) * traits.t2
    aged_t1 = t1 * torch.tensor([1.0, 1 + ageing + traits.ageing, 1.0], dtype=torch.float64)
    mask = lesion_mask(fractions[1], traits) if lesions else None
    return Brain(fractions, mask, torch.stack([t1, t2]), aged_t1)


def lesion_mask(white: torch.Tensor, traits: Traits) -> torch.Tensor:
    """Return soft balls `(size, size, size)`, in [0, 1], centred in voxels that are mostly white matter.

    Args:
        white: Fraction of white matter `(size, size, size)`.
        traits: Where the balls are and how large.
    """
    size = len(white)
    candidates = (white > min(LESION_WHITE, 0.9 * float(white.max()))).nonzero()
    axis = torch.arange(size, dtype=torch.float32)
    mask = torch.zeros_like(white)
    for pick, radius in zip(traits.centres, traits.radii, strict=True):
        i, j, k = ((axis - at) ** 2 for at in candidates[int(pick * len(candidates))].tolist())
        distance = (i[:, None, None] + j[:, None] + k).sqrt()
        mask = torch.maximum(mask, torch.sigmoid(LESION_EDGE * (radius * size / EXTENT_MM - distance)))
    return mask


def scan(brain: Brain, name: str, *, k2: float, rng: np.random.Generator) -> torch.Tensor:
    """Return what a sequence shows of a brain `(size, size, size)`: the nominal white matter is 1, outside the brain it is 0.

    Bias field and Rician noise belong to the scan, so each has its own.

    Args:
        brain: The subject.
        name: One of `SEQUENCES`.
        k2: Factor of T2 in lesions.
        rng: The subject's generator for this sequence.
    """
    sequence, size = SEQUENCES[name], brain.fractions.shape[-1]
    healthy = tissue_signals(brain, sequence, aged=AGED in SEEN[name])
    shown = torch.einsum("t,txyz->xyz", healthy, brain.fractions)
    if brain.lesion is not None and LESIONS in SEEN[name]:
        change = tissue_signals(brain, sequence, aged=AGED in SEEN[name], k2=k2) - healthy
        shown = shown + brain.lesion * torch.einsum("t,txyz->xyz", change, brain.fractions)
    knots = torch.from_numpy(rng.normal(0, BIAS_SD, (1, *(BIAS_KNOTS,) * 3))).float()
    shown = shown * smooth_field(knots, size)[0].exp()
    noise = torch.from_numpy(rng.standard_normal((2, size, size, size), dtype=np.float32)) * NOISE_SD
    measured = torch.hypot(shown + noise[0], noise[1])
    return torch.where(brain.fractions.sum(0) > 0.5, measured, 0.0)


def tissue_signals(brain: Brain, sequence: Sequence, *, aged: bool, k2: float = 1.0) -> torch.Tensor:
    """Return the signals of the three tissues `(3,)`, relative to the nominal white matter.

    Ageing lengthens T1 and, with it, T2 so that FLAIR stays the same, in lesions too: FLAIR may therefore be computed from the
    tissue before ageing, and then is independent of it to the last bit.

    Args:
        brain: The subject.
        sequence: The pulse sequence.
        aged: Whether the sequence is shown the aged tissue.
        k2: Factor of T2 in grey and white matter; fluid has no lesions.
    """
    t1, t2 = brain.tissue
    t2 = t2 * torch.tensor([k2, k2, 1.0], dtype=torch.float64)
    if aged:
        t1, t2 = brain.aged_t1, flair_iso_t2(t1, t2, brain.aged_t1)
    density = torch.tensor([tissue.density for tissue in TISSUES], dtype=torch.float64)
    return (signal(sequence, t1, t2, density) / nominal(sequence, WHITE)).float()
