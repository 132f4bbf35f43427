"""Which points may be the best one with each module: what the data exclude, and what they leave open."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.modules import RESAMPLES, ModuleComparison, losses_by_run
from nas_fusion.analysis.paired import PairedDifference, paired_difference
from nas_fusion.record import Predictions

_OF_TRAININGS = 0.9


@dataclass(frozen=True)
class BestPoints:
    """What is known of the best single point of a module.

    Attributes:
        module: Its name.
        best: The point of the lowest loss.
        gain: By how much its loss is below the baseline's; the interval allows for all gains that were looked at.
        candidates: The points that the data do not exclude from being the best, `best` among them, in the space's order.
    """

    module: str
    best: str
    gain: PairedDifference
    candidates: tuple[str, ...]

    @property
    def gains(self) -> bool:
        """Whether the module gains anything over the baseline at its best point that is neither negligible nor chance."""
        return self.gain.low > 0 and self.gain.mean > NEGLIGIBLE


def best_points(result: ModuleComparison) -> tuple[BestPoints, ...]:
    """Return what is known of the best point of each module of which every single point, and the baseline, are known.

    A point is excluded where another one of the same module has a lower loss: on the same subjects by more than 0.02 nats, by
    Student's interval of the mean difference, at a level that holds for all comparisons together (Bonferroni), and in at least
    nine of ten trainings (folds and seeds). Sets that have no point in common so show that the best point moves.
    """
    if result.space.baseline not in result.models:
        return ()
    modules = [m for m in result.modules if all(result.single(m, point) in result.models for point in result.points)]
    return tuple(_best_points(result, module, len(modules)) for module in modules)


def moving(found: tuple[BestPoints, ...]) -> tuple[tuple[BestPoints, BestPoints], ...]:
    """Return the pairs of modules whose best points must differ: no point may be the best with both."""
    return tuple((a, b) for a, b in combinations(found, 2) if not set(a.candidates) & set(b.candidates))


def share_of_one_point(result: ModuleComparison, found: tuple[BestPoints, ...], *, seed: int = 0) -> float:
    """Return in which share of the bootstrap resamples of the subjects the same point is the best with all of some modules."""
    if not found:
        return math.nan
    best = [_best_in_draws(result, each.module, seed) for each in found]
    return float(np.mean([all(other == first for other in others) for first, *others in zip(*best, strict=True)]))


def _best_points(result: ModuleComparison, module: str, modules: int) -> BestPoints:
    models = {point: result.models[result.single(module, point)].validation for point in result.points}
    losses = {point: result.losses.mean[result.single(module, point)] for point in result.points}
    best = min(result.points, key=losses.__getitem__)
    looks = modules * math.comb(len(models), 2)
    excluded = {
        worse for worse, better in combinations_by_loss(losses) if _is_worse(models[worse], models[better], max(1, looks))
    }
    gain = paired_difference(result.models[result.space.baseline].validation, models[best], candidates=modules * len(models))
    return BestPoints(module, best, gain, tuple(point for point in result.points if point not in excluded))


def combinations_by_loss(losses: dict[str, float]) -> Iterator[tuple[str, str]]:
    """Yield each pair of points, that of the higher loss first."""
    for one, other in combinations(losses, 2):
        yield (one, other) if losses[one] > losses[other] else (other, one)


def _is_worse(one: Predictions, other: Predictions, looks: int) -> bool:
    difference = paired_difference(one, other, candidates=looks)
    of_runs = float(np.mean(losses_by_run(one) > losses_by_run(other)))
    return difference.low > 0 and difference.mean > NEGLIGIBLE and of_runs >= _OF_TRAININGS


def _best_in_draws(result: ModuleComparison, module: str, seed: int) -> list[int]:
    drawn = result.losses.drawn([result.single(module, p) for p in result.points], resamples=RESAMPLES, seed=seed)
    return [int(index) for index in drawn.argmin(axis=1)]
