"""A tiny cohort of made-up connectomes for tests that really train."""

from __future__ import annotations

import torch

from nas_fusion import Cohort
from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.cohorts.splits import Fold, Splits
from search_spaces.expert_routing import ExpertRoutingSpace

from .connectomes import CLASSES, batch_of

REGIONS = 6
NARROW = {"hidden": 4, "projection": 4, "encoder_layers": 1, "epochs": 1, "batch_size": 8}
"""Options that make a training take milliseconds."""


def tiny_cohort(*names: str, folds: int = 1, subjects: int = 16) -> Cohort:
    """Subjects with random connectomes, 4 of which validate in each fold."""
    inputs = Inputs(tuple(Modality(name, "matrix", (REGIONS, REGIONS)) for name in names), CLASSES)
    batch = batch_of(inputs, subjects)
    ids = tuple(f"s{i:02d}" for i in range(subjects))
    apart = [ids[4 * fold : 4 * fold + 4] for fold in range(folds)]
    return Cohort(
        name="tiny",
        subjects=ids,
        modalities=batch.inputs,
        kinds=dict.fromkeys(names, "matrix"),
        labels=batch.labels,
        classes=CLASSES,
        fingerprint=f"tiny of {names}, {subjects} subjects",
        present=torch.ones(subjects, len(names), dtype=torch.bool),
        splits=Splits(tuple(Fold(tuple(i for i in ids if i not in validation), validation) for validation in apart)),
    )


def narrow(scope: str = "branches", **options: object) -> ExpertRoutingSpace:
    """The small preset made narrow, with other options."""
    return ExpertRoutingSpace(scope, **{**NARROW, **options})  # type: ignore[arg-type]
