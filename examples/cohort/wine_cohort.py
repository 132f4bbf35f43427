"""A cohort: Italian wines of three cultivars, by their composition and by their colour."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from sklearn.datasets import load_wine

from nas_fusion.cohorts import Cohort

# What each measurement is divided by before its logarithm is taken: constants, so that no subject tells about another.
_USUAL = {
    "composition": {
        "alcohol": 13.0,
        "malic_acid": 2.0,
        "ash": 2.4,
        "alcalinity_of_ash": 20.0,
        "magnesium": 100.0,
        "proline": 700.0,
    },
    "colour": {
        "total_phenols": 2.3,
        "flavanoids": 2.0,
        "nonflavanoid_phenols": 0.36,
        "proanthocyanins": 1.6,
        "color_intensity": 5.0,
        "hue": 0.95,
        "od280/od315_of_diluted_wines": 2.6,
    },
}


def wine(*, spread: float = 0.3) -> Cohort:
    """Return 178 wines with two tables: six measurements of what is dissolved, seven of phenols and colour.

    Logarithms of multiples of a usual value, divided by `spread`. The measurements are those of scikit-learn's `load_wine`
    (Aeberhard and Forina, 1992, UCI Machine Learning Repository, CC BY 4.0), which come with it: nothing is downloaded. One
    wine of one cultivar is one row; wines of one producer cannot be told apart, so there are no groups.

    Args:
        spread: What the logarithms are divided by, above 0.

    Raises:
        ValueError: If `spread` is not above 0.
    """
    if not spread > 0:
        raise ValueError(f"`spread` must be above 0, but got {spread}.")
    data = load_wine()
    columns = {name: data.data[:, i] for i, name in enumerate(data.feature_names)}
    modalities = {
        table: np.stack([np.log(columns[name] / usual) / spread for name, usual in usuals.items()], axis=1).astype(np.float32)
        for table, usuals in _USUAL.items()
    }
    n = len(data.target)
    return Cohort(
        name="wine",
        subjects=tuple(f"wine-{i:03d}" for i in range(n)),
        modalities={table: torch.from_numpy(values) for table, values in modalities.items()},
        kinds=dict.fromkeys(modalities, "vector"),
        labels=torch.from_numpy(data.target.astype(np.int64)),
        classes=("barolo", "grignolino", "barbera"),
        fingerprint=_digest(*modalities.values(), data.target),
        present=torch.ones(n, len(modalities), dtype=torch.bool),
        provenance={"source": "sklearn.datasets.load_wine", "licence": "CC BY 4.0", "spread": spread},
    )


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
