"""Whether routing depends on regions, on subjects, on classes, and whether a model needs it to: tests of gates and losses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nas_fusion.analysis.paired import PairedDifference
from nas_fusion.analysis.routing import Adaptivity, Array, LayerUse, Whole

INTERVENTIONS = {
    "mean": "the population mean of its region",
    "another": "another subject's gates",
    "one_for_all": "one mixture of experts for all regions and subjects",
}
"""What gates are replaced by, in words."""

_EVEN = 1e-12  # variance of gates below which they are all the same


@dataclass(frozen=True)
class VarianceShares:
    """Where the variance of gates comes from; the three sum to 1, or are not numbers where all gates are the same.

    Attributes:
        region: Region identity: what a region's gates have in common over subjects.
        subject: What a subject's gates have in common over regions.
        interaction: What is left: a subject's own pattern over regions, and noise.
    """

    region: float
    subject: float
    interaction: float

    @property
    def between_subjects(self) -> float:
        """The share between subjects beyond region identity: 0 where every subject is routed alike."""
        return self.subject + self.interaction


def variance_shares(layer: LayerUse) -> VarianceShares:
    """Return the components of variance of a layer's gates: regions, subjects, and regions within subjects.

    The two-way layout with one value a cell, both factors random: expected mean squares give unbiased components, summed over
    experts, and those below 0 count as 0. Source: Searle, Casella and McCulloch, Variance Components (1992), section 4.
    """
    gates = np.asarray(layer.gates, dtype=np.float64)
    n, t, _ = gates.shape
    if n < 2 or gates.var(axis=(0, 1)).sum() < _EVEN:
        return VarianceShares(math.nan, math.nan, math.nan)
    mean = gates.mean(axis=(0, 1))
    by_subject, by_token = gates.mean(axis=1) - mean, gates.mean(axis=0) - mean
    rest = gates - mean - by_subject[:, None] - by_token[None]
    if t < 2:
        return VarianceShares(0.0, 1.0, 0.0)
    within = float((rest**2).sum()) / ((n - 1) * (t - 1))
    subject = max(0.0, (t * float((by_subject**2).sum()) / (n - 1) - within) / t)
    region = max(0.0, (n * float((by_token**2).sum()) / (t - 1) - within) / n)
    total = region + subject + within
    return VarianceShares(region / total, subject / total, within / total)


@dataclass(frozen=True)
class ClassTest:
    """Whether the classes use the experts differently.

    Attributes:
        statistic: Share of the variance of the subjects' mean gates that lies between classes, in [0, 1].
        p: How often shuffled labels give as much, the observed labels counted; not a number where nothing varies.
        permutations: Number of shuffles.
    """

    statistic: float
    p: float
    permutations: int


def class_test(layer: LayerUse, *, permutations: int = 1999, seed: int = 0) -> ClassTest:
    """Return a permutation test of whether the mean gates of subjects differ between classes.

    Subjects are what is shuffled, never tokens: those of one subject are not independent. The statistic is that of a
    one-way multivariate analysis of variance on distances (Anderson, Austral Ecology 26 (2001) 32-46) in its equivalent form
    as a share of variance. The subjects are those of validation: a small p says that the router treats unseen subjects of the
    classes differently, not that it should.
    """
    shares = np.asarray(layer.by_subject, dtype=np.float64)
    centred = shares - shares.mean(axis=0)
    total = float((centred**2).sum())
    if total < _EVEN * len(shares) or len(set(layer.labels.tolist())) < 2:
        return ClassTest(math.nan, math.nan, permutations)
    generator = np.random.default_rng(seed)
    observed = _between(centred, layer.labels)
    shuffled = [_between(centred, generator.permutation(layer.labels)) for _ in range(permutations)]
    reached = sum(value >= observed * (1 - 1e-9) for value in shuffled)
    return ClassTest(observed / total, (1 + reached) / (1 + permutations), permutations)


def _between(centred: Array, labels: Whole) -> float:
    member = labels[None] == np.unique(labels)[:, None]
    sums = member @ centred
    return float(((sums**2).sum(axis=1) / member.sum(axis=1)).sum())


def lost_without(adaptivity: Adaptivity, intervention: str, *, confidence: float = 0.95) -> PairedDifference:
    """Return by how much the loss rises where gates are replaced: paired by subject, with Student's interval.

    A subject's loss under the intervention is the mean over its draws, so that only subjects are counted as independent.

    Raises:
        ValueError: If the intervention was not made.
    """
    if intervention not in adaptivity.replaced:
        raise ValueError(f"`intervention` must be one of {list(adaptivity.replaced)}, but got {intervention!r}.")
    differences = np.asarray(adaptivity.replaced[intervention]).mean(axis=0) - adaptivity.own
    n = len(differences)
    mean, error = float(differences.mean()), float(differences.std(ddof=1) / math.sqrt(n))
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return PairedDifference(mean, error, mean - reach, mean + reach, n, units=n)
