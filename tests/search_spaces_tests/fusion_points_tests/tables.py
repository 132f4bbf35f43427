"""A cohort of small tables for tests that really train."""

from __future__ import annotations

import torch

from nas_fusion import Cohort
from nas_fusion.cohorts.splits import Fold, Splits


def crossed_tables(*names: str, meet: tuple[str, str], train: int = 320, validation: int = 160, seed: int = 0) -> Cohort:
    """Return subjects whose class is whether two of the tables agree in the sign of their first feature.

    Neither of the two tells anything of the class alone, and the other tables tell nothing at all.
    """
    n = train + validation
    drawn = torch.randn(len(names), n, 4, generator=torch.Generator().manual_seed(seed))
    modalities = dict(zip(names, drawn, strict=True))
    ids = tuple(f"s{i:03d}" for i in range(n))
    return Cohort(
        name="crossed tables",
        subjects=ids,
        modalities=modalities,
        kinds=dict.fromkeys(names, "vector"),
        labels=(modalities[meet[0]][:, 0] * modalities[meet[1]][:, 0] > 0).long(),
        classes=("differ", "agree"),
        fingerprint=f"crossed tables {names} {meet} {train} {validation} {seed}",
        present=torch.ones(n, len(names), dtype=torch.bool),
        splits=Splits((Fold(ids[:train], ids[train:]),)),
    )
