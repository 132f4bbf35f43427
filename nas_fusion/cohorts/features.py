"""Numeric columns of a manifest as vectors."""

from __future__ import annotations

import torch

from nas_fusion.cohorts.manifest import Manifest
from nas_fusion.cohorts.splits import Splits
from nas_fusion.cohorts.tables import number


def standardised(manifest: Manifest, splits: Splits) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the features `(subjects, features)` of each table, and who has them `(subjects,)`.

    They are standardised by the mean and standard deviation of the development subjects: never of test subjects, never by
    label. (No subject trains in every one of k folds, so statistics of training subjects alone would differ between folds.)
    """
    features, there = {}, {}
    known = torch.tensor(manifest.table["subject"].isin(splits.development).to_numpy())
    for name in manifest.vectors:
        columns = [[number(value) for value in manifest.table[column]] for column in manifest.columns[name]]
        values = torch.tensor(columns, dtype=torch.float64).T
        there[name] = ~values.isnan().any(dim=1)
        features[name] = scaled(values, there[name], known)
    return features, there


def scaled(values: torch.Tensor, there: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return features, float32, standardised by the subjects who are there and known; zeros for who is not there.

    Args:
        values: `(subjects, features)`, float64.
        there: Who has them, boolean `(subjects,)`.
        known: Whose mean and standard deviation may be looked at, boolean `(subjects,)`.
    """
    sample = values[there & known]
    scale = sample.std(dim=0, unbiased=False)
    found = (values - sample.mean(dim=0)) / torch.where(scale > 0, scale, 1.0)
    return torch.where(there[:, None], found, 0.0).to(torch.float32)
