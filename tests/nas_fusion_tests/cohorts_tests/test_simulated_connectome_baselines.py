"""What linear models read in the simulated connectomes: nothing in SC, a part in FC, nearly all with their products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nas_fusion.cohorts.simulated_connectome import simulated_connectomes
from nas_fusion.cohorts.simulated_connectome_atlas import atlas

Features = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def accuracy() -> Callable[[str, float], float]:
    """Return a function that gives the cross-validated accuracy of a set of features with a strength of regularisation."""
    cohort = simulated_connectomes(train=250, validation=150, test=0, seed=1000, phenotype=2.4, flip=0.03)
    i, j = np.triu_indices(90, 1)
    structure, function = (cohort.modalities["SC"].log1p().numpy()[:, i, j], cohort.modalities["FC"].numpy()[:, i, j])
    networks = atlas(90).networks
    inside = [(networks[i] == k) & (networks[j] == k) for k in range(6)]
    gains = np.stack([function[:, edges].mean(1) for edges in inside[:3]], axis=1)
    markers = np.stack([structure[:, edges].mean(1) for edges in inside[3:]], axis=1)
    products = gains[:, :, None] * (markers - markers.mean(0))[:, None]
    features: Features = {
        "SC": structure,
        "FC": function,
        "SC+FC": np.hstack([structure, function]),
        "gains": gains,
        "oracle": np.hstack([gains, markers, products.reshape(len(gains), -1)]),
    }

    def score(name: str, strength: float) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        return float(cross_val_score(model, features[name], cohort.labels.numpy(), cv=5).mean())

    return score


@pytest.mark.parametrize(
    ("name", "strength", "low", "high"),
    [
        ("SC", 1e-3, 0.40, 0.60),
        ("FC", 1e-3, 0.57, 0.76),
        ("SC+FC", 1e-3, 0.55, 0.76),
        ("gains", 10.0, 0.58, 0.76),
        ("oracle", 10.0, 0.87, 0.98),
    ],
)
def test_linear_baselines(accuracy: Callable[[str, float], float], name: str, strength: float, low: float, high: float) -> None:
    assert low <= accuracy(name, strength) <= high
