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
    known = manifest.table["subject"].isin(splits.development).to_numpy()
    for name in manifest.vectors:
        columns = [[number(value) for value in manifest.table[column]] for column in manifest.columns[name]]
        values = torch.tensor(columns, dtype=torch.float64).T
        there[name] = ~values.isnan().any(dim=1)
        sample = values[there[name] & torch.tensor(known)]
        scale = sample.std(dim=0, unbiased=False)
        scaled = (values - sample.mean(dim=0)) / torch.where(scale > 0, scale, 1.0)
        features[name] = torch.where(there[name][:, None], scaled, 0.0).to(torch.float32)
    return features, there
