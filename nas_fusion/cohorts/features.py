"""Numeric columns of a manifest as vectors."""

from __future__ import annotations

import pandas as pd
import torch

from nas_fusion.cohorts.manifest import Manifest
from nas_fusion.cohorts.splits import Splits


def standardised(manifest: Manifest, splits: Splits) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the features `(subjects, features)` of each table, and who has them `(subjects,)`.

    They are standardised by the mean and standard deviation of the development subjects: never of test subjects, never by
    label. (No subject trains in every one of k folds, so statistics of training subjects alone would differ between folds.)
    """
    features, there = {}, {}
    known = manifest.table["subject"].isin(splits.development).to_numpy()
    for name in manifest.vectors:
        numbers = manifest.table[list(manifest.columns[name])].apply(pd.to_numeric, errors="coerce")
        values = torch.tensor(numbers.to_numpy(dtype="float64"))
        there[name] = ~values.isnan().any(dim=1)
        sample = values[there[name] & torch.tensor(known)]
        scale = sample.std(dim=0, unbiased=False)
        scaled = (values - sample.mean(dim=0)) / torch.where(scale > 0, scale, 1.0)
        features[name] = torch.where(there[name][:, None], scaled, 0.0).to(torch.float32)
    return features, there
