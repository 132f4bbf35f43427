"""The atlas of the simulated connectomes: mirrored regions, networks where they should be, a group with known effects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from nas_fusion.cohorts.simulated_connectome_atlas import SEEDS_MM, atlas, left_grey_matter, spread, symmetric


@pytest.mark.parametrize("regions", [20, 80, 90, 116, 400])
def test_regions_are_mirrored_and_named(regions: int) -> None:
    found = atlas(regions)
    left, right = found.coordinates[::2], found.coordinates[1::2]
    assert found.coordinates.shape == (regions, 3) and len(set(found.names)) == regions
    assert np.array_equal(left * (-1, 1, 1), right) and (left[:, 0] < -6).all()
    assert np.array_equal(found.networks[::2], found.networks[1::2])
    assert np.bincount(found.networks, minlength=7).min() >= 2
    assert all(name.startswith("LR"[i % 2]) for i, name in enumerate(found.names))


def test_networks_of_ninety_regions() -> None:
    found = atlas(90)
    assert np.bincount(found.networks).tolist()[:3] == [12, 12, 12] and found.network_names[:3] == tuple(SEEDS_MM)
    assert found.names[0] == "L default mode 1"
    for k, seeds in enumerate(SEEDS_MM.values()):
        member = found.coordinates[::2][found.networks[::2] == k]
        assert cdist(np.array(seeds), member).min(axis=1).max() < 30
    front = [found.coordinates[found.networks == k, 1].mean() for k in range(3, 7)]
    assert front == sorted(front)


def test_spreading_takes_the_farthest_point_each_time() -> None:
    points = left_grey_matter()
    chosen = spread(points, 12)
    for n in range(1, 12):
        distance = cdist(points, chosen[:n]).min(axis=1)
        assert cdist(chosen[n : n + 1], chosen[:n]).min() == pytest.approx(distance.max())
    assert pdist(chosen).min() > 25


def test_group_is_symmetric_the_same_in_both_hemispheres_and_falls_with_distance() -> None:
    found = atlas(90)
    weights, mirror = found.log_weights, np.arange(90) ^ 1
    assert np.array_equal(weights, weights.T) and np.allclose(weights, weights[np.ix_(mirror, mirror)])
    i, j = np.triu_indices(90, 1)
    other = (i ^ 1 != j) & ~found.together[i, j]
    distance = cdist(found.coordinates, found.coordinates)[i, j]
    slope, at_zero = np.polyfit(distance[other], weights[i, j][other], 1)
    assert slope == pytest.approx(-0.04, abs=0.003) and at_zero == pytest.approx(5.5, abs=0.3)
    residual = weights[i, j] - 5.5 + 0.04 * distance
    assert residual[other].std() == pytest.approx(1.3, abs=0.05)
    inside, homotopic = found.together[i, j] & (i ^ 1 != j), (i ^ 1 == j)
    assert residual[inside].mean() == pytest.approx(2.5, abs=0.2) and residual[homotopic].mean() == pytest.approx(4.0, abs=0.7)


def test_symmetric_matrix_of_a_triangle() -> None:
    assert symmetric(np.array([1.0, 2.0, 3.0]), 3).tolist() == [[0, 1, 2], [1, 0, 3], [2, 3, 0]]
