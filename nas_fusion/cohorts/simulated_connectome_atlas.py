"""The regions of the simulated connectomes, their networks, and how strongly the population's regions are connected.

Regions are points spread over the grey matter of the embedded tissue map, in mirrored pairs, left before right. No subject's
data is inside: the rule for log-weights (falling with distance, high between mirror images and within networks) has the size
of effects found in structural connectomes from tractography.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from nas_fusion.cohorts.anatomy import affine, tissue_map

Array = npt.NDArray[np.float64]

GREY, MIDLINE_MM = 0.35, 6.0
START_MM = (-8.0, -52.0, 26.0)
SEEDS_MM: dict[str, tuple[tuple[float, float, float], ...]] = {
    "default mode": ((-8, -52, 26), (-6, 52, 6), (-46, -68, 32), (-58, -20, -14), (-24, -22, -18), (-24, 30, 42)),
    "frontoparietal": ((-42, 24, 34), (-38, -56, 46), (-36, 50, 2), (-50, -46, 48), (-30, 10, 54), (-6, 24, 44)),
    "somatomotor": ((-40, -24, 56), (-54, -8, 28), (-6, -20, 60), (-22, -40, 66), (-56, -20, 44), (-36, -4, 56)),
}
"""Left-hemisphere places of three networks in MNI space, as functional imaging reports them."""
SHARE = 6 / 45
"""Share of the regions that each of these networks has."""
REST = 4
"""Networks that the remaining regions form, by place."""

BASE, PER_MM, RESIDUAL_SD = 5.5, -0.04, 1.3
HOMOTOPIC, WITHIN = 1.5, 2.5
POPULATION = 20260402
"""Seed of what every subject has in common: other cohort seeds draw other subjects of the same population."""


@dataclass(frozen=True)
class Atlas:
    """Regions and what they share over the population.

    Attributes:
        coordinates: MNI coordinates in mm `(regions, 3)`; region 2i is on the left, 2i + 1 its mirror image.
        networks: Index of each region's network `(regions,)`.
        network_names: Names of the networks.
        log_weights: Group's log-weights `(regions, regions)`, symmetric; the diagonal has no meaning.
    """

    coordinates: Array
    networks: npt.NDArray[np.int64]
    network_names: tuple[str, ...]
    log_weights: Array

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the regions, such as `L default mode 1`."""
        counts: dict[tuple[int, int], int] = {}
        names = []
        for i, network in enumerate(self.networks.tolist()):
            counts[network, i % 2] = number = counts.get((network, i % 2), 0) + 1
            names.append(f"{'LR'[i % 2]} {self.network_names[network]} {number}")
        return tuple(names)

    @property
    def together(self) -> npt.NDArray[np.bool_]:
        """Whether two regions are in the same network `(regions, regions)`."""
        same: npt.NDArray[np.bool_] = self.networks[:, None] == self.networks
        return same


@cache
def atlas(regions: int = 90) -> Atlas:
    """Return the atlas with a number of regions (even, at least 20); treat it as read-only."""
    left = spread(left_grey_matter(), regions // 2)
    pairs = networks_of(left)
    coordinates = np.stack([left, left * (-1, 1, 1)], axis=1).reshape(regions, 3)
    networks = np.repeat(pairs, 2)
    rest = tuple(f"cluster {i + 1}" for i in range(REST))
    return Atlas(coordinates, networks, (*SEEDS_MM, *rest), group_log_weights(coordinates, networks))


def left_grey_matter() -> Array:
    """Return the MNI coordinates in mm of voxels that are grey matter of the left hemisphere, `(voxels, 3)`."""
    grey = tissue_map(32)[0].numpy()
    place = affine(len(grey))
    voxels = np.argwhere(grey > GREY) @ place[:3, :3].T + place[:3, 3]
    return voxels[voxels[:, 0] < -MIDLINE_MM]


def spread(points: Array, n: int) -> Array:
    """Return `n` of the points, each the farthest from all before (Gonzalez 1985); the first is the nearest to `START_MM`."""
    chosen = [int(cdist([START_MM], points).argmin())]
    distance = cdist(points[chosen], points)[0]
    while len(chosen) < n:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, cdist(points[chosen[-1:]], points)[0])
    return points[chosen]


def networks_of(left: Array) -> npt.NDArray[np.int64]:
    """Return the network of each pair of regions `(pairs,)`.

    The places in `SEEDS_MM` take the nearest free pair in turn, until each network has its share; k-means by place divides the
    rest, numbered from the back of the head to the front.
    """
    networks = np.full(len(left), -1)
    for turn in range(round(SHARE * len(left))):
        for network, seeds in enumerate(SEEDS_MM.values()):
            distance = cdist([seeds[turn % len(seeds)]], left)[0]
            networks[np.where(networks < 0, distance, np.inf).argmin()] = network
    rest = left[networks < 0]
    cluster = KMeans(REST, n_init=10, random_state=0).fit_predict(rest)
    order = np.argsort([rest[cluster == k, 1].mean() for k in range(REST)])
    networks[networks < 0] = len(SEEDS_MM) + np.argsort(order)[cluster]
    return networks


def group_log_weights(coordinates: Array, networks: npt.NDArray[np.int64]) -> Array:
    """Return the population's log-weights `(regions, regions)`: symmetric, and the same in both hemispheres."""
    n = len(networks)
    residual = symmetric(np.random.default_rng(POPULATION).standard_normal(n * (n - 1) // 2), n)
    mirror = np.arange(n) ^ 1
    residual = (residual + residual[np.ix_(mirror, mirror)]) / np.sqrt(2)
    residual[np.arange(n), mirror] /= np.sqrt(2)
    weights = BASE + PER_MM * cdist(coordinates, coordinates) + RESIDUAL_SD * residual
    weights += WITHIN * (networks[:, None] == networks)
    weights[np.arange(n), mirror] += HOMOTOPIC
    return weights


def symmetric(triangle: npt.NDArray[np.generic], n: int) -> Array:
    """Return the symmetric matrix `(n, n)` of an upper triangle `(n (n - 1) / 2,)` in row order, 0 on the diagonal."""
    matrix = np.zeros((n, n))
    matrix[np.triu_indices(n, 1)] = triangle
    return matrix + matrix.T
