"""Simulated subjects one after the other: who somebody is, and what tractography and a resting scan show of it.

Whatever is random about a subject is drawn from generators of its own, addressed by (seed, subject), so that the number of
subjects changes nobody's brain, and the task only what it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_fusion.cohorts.scanner import generator
from nas_fusion.cohorts.simulated_connectome_atlas import Atlas, atlas, symmetric
from nas_fusion.cohorts.simulated_connectome_dynamics import LinearModel, linear_model
from nas_fusion.cohorts.simulated_connectome_options import Options
from nas_fusion.cohorts.simulated_connectome_tasks import TASKS, Task

Array = npt.NDArray[np.float64]

EDGE_SD, NETWORK_SD = 0.45, 0.15
EXPONENT = 0.6
GAIN_SD = 0.05
STRENGTH, STRENGTH_SD = 0.90, 0.02
SHARED_INPUT = 0.1
GLOBAL_SD, NOISE_SD = 0.4, 0.5
TRAITS, TRACTS, RECORDING = range(3)


@dataclass(frozen=True)
class Traits:
    """What is random about one subject, measurements apart.

    Attributes:
        subtype: One number in [0, 1), which the task's weights make a subtype.
        coins: One number in [0, 1) for each network: its gain is +1 from 0.5 on.
        label: One number in [0, 1): the label is positive where it is below the label's probability.
        gains: Variation of each network's gain `(networks,)`.
        strength: Of the coupling of all regions.
        edges: Variation of each log-weight, the upper triangle in row order.
        networks: Variation of the log-weights inside each network `(networks,)`.
    """

    subtype: float
    coins: Array
    label: float
    gains: Array
    strength: float
    edges: Array
    networks: Array


@dataclass(frozen=True)
class Subject:
    """One simulated subject.

    Attributes:
        label: Index of its class.
        subtype: Index of its subtype.
        gains: 0 for -1, 1 for +1, for each network with a gain.
        counts: Structural connectome: streamlines between regions `(regions, regions)`, symmetric whole numbers, diagonal 0.
        series: Recorded activity `(timepoints, regions)`, float32.
    """

    label: int
    subtype: int
    gains: tuple[int, ...]
    counts: Array
    series: npt.NDArray[np.float32]

    @property
    def correlations(self) -> Array:
        """Functional connectome: Pearson correlations of the series `(regions, regions)`."""
        found = np.corrcoef(self.series.astype(np.float64), rowvar=False)
        result: Array = np.clip((found + found.T) / 2, -1, 1)
        return result


def draw_traits(rng: np.random.Generator, regions: int, networks: int) -> Traits:
    """Return the traits of a subject; the order of the draws is part of the cohort's definition."""
    return Traits(
        subtype=rng.random(),
        coins=rng.random(networks),
        label=rng.random(),
        gains=rng.normal(0, GAIN_SD, networks),
        strength=rng.normal(STRENGTH, STRENGTH_SD),
        edges=rng.normal(0, EDGE_SD, regions * (regions - 1) // 2),
        networks=rng.normal(0, NETWORK_SD, networks),
    )


def simulated_subjects(options: Options) -> Iterator[Subject]:
    """Yield the subjects in the order of their ids."""
    task, regions = TASKS[options.task](options.flip), atlas(options.regions)
    for i in range(len(options.subjects)):
        yield simulated_subject(i, options, task, regions)


def simulated_subject(i: int, options: Options, task: Task, regions: Atlas) -> Subject:
    """Return the subject at a position."""
    traits = draw_traits(generator(options.seed, i, TRAITS), options.regions, len(regions.network_names))
    subtype = task.subtype(traits.subtype)
    gains = tuple(int(coin >= 0.5) for coin in traits.coins[: task.gains])
    weights = log_weights(regions, traits)
    lift = np.zeros(len(regions.network_names))
    lift[task.gains : task.gains + task.markers.shape[1]] = options.phenotype * task.lift[subtype]
    counts = streamlines(weights + within(regions, lift), generator(options.seed, i, TRACTS))
    factors = np.ones(len(regions.network_names))
    signs = 2 * np.array(gains) - 1
    factors[: task.gains] = np.maximum(1 + options.gain * signs + traits.gains[: task.gains], 0)
    model = activity(regions, weights, factors, traits.strength)
    series = recording(model, options.timepoints, generator(options.seed, i, RECORDING))
    return Subject(int(traits.label < task.positive[(subtype, *gains)]), subtype, gains, counts, series)


def log_weights(regions: Atlas, traits: Traits) -> Array:
    """Return a subject's own log-weights `(regions, regions)`, symmetric, without what its subtype changes."""
    own = symmetric(traits.edges, len(regions.networks))
    return regions.log_weights + own + within(regions, traits.networks)


def within(regions: Atlas, values: Array) -> Array:
    """Return a matrix `(regions, regions)` with a value inside each network, 0 between networks.

    Args:
        regions: The atlas.
        values: One for each network.
    """
    return np.where(regions.together, values[regions.networks], 0)


def streamlines(weights: Array, rng: np.random.Generator) -> Array:
    """Return streamline counts `(regions, regions)`: Poisson around the exponential of log-weights, the triangle drawn once."""
    n = len(weights)
    return symmetric(rng.poisson(np.exp(weights[np.triu_indices(n, 1)])), n)


def activity(regions: Atlas, weights: Array, factors: Array, strength: float) -> LinearModel:
    """Return the model of a subject's activity.

    Each region's input is comparable over regions, as the group's sums normalise it; how subjects differ stays.

    Args:
        regions: The atlas.
        weights: The subject's log-weights `(regions, regions)`.
        factors: Of the coupling inside each network `(networks,)`, at least 0.
        strength: Of the coupling of all regions.
    """
    others = 1 - np.eye(len(weights))
    group = np.exp(EXPONENT * regions.log_weights) * others
    scale = np.sqrt(group.sum(1))
    coupling = np.exp(EXPONENT * weights) * others / np.outer(scale, scale)
    coupling *= 1 + within(regions, factors - 1)
    return linear_model(coupling, strength, np.eye(len(weights)) + SHARED_INPUT * regions.together)


def recording(model: LinearModel, timepoints: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return a recorded series `(timepoints, regions)`: activity, a signal that all regions share, and measurement noise."""
    n = len(model.rates)
    activity = model.series(rng.standard_normal((timepoints, n)))
    shared = GLOBAL_SD * rng.standard_normal((timepoints, 1))
    return (activity + shared + NOISE_SD * rng.standard_normal((timepoints, n))).astype(np.float32)
