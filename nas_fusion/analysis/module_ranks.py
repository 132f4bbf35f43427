"""Whether modules rank the same points, and the same subsets of points, alike: Kendall's tau-b between their landscapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from nas_fusion.analysis.modules import RESAMPLES, ModuleComparison
from nas_fusion.analysis.scores import Array
from nas_fusion.space import Configuration

POINTS, SUBSETS = "single points", "subsets of points"
_MOST_RANKED = 2**8  # configurations: of more, the interval would take minutes
_COMPARED_AT_ONCE = 2**22  # pairs of losses, that memory stays small


def rank_correlations(
    result: ModuleComparison, *, resamples: int = RESAMPLES, confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Return how alike two modules rank the same places, for each pair of modules.

    Columns: `over` (`single points`, or `subsets of points`, at least one, where all of them are known of both modules),
    `one`, `other`, `n` places ranked, `tau`: Kendall's tau-b of the two modules' losses (1: the same order, -1: the reverse;
    not a number where a module's losses are all equal), `low` and `high`: its percentile interval over bootstrap resamples of
    the subjects. A resample adds noise to the losses, so that draws lie rather below tau than above. What training again would
    change is not in the interval.

    Source: Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945).

    Args:
        result: What was compared.
        resamples: Of the bootstrap.
        confidence: Of its intervals, in (0, 1).
        seed: Of its draws.
    """
    rows: list[dict[str, object]] = []
    for over in (POINTS, SUBSETS):
        places = _places(result, over)
        modules = [module for module in result.modules if module in places]
        if len(modules) < 2:
            continue
        n = len(places[modules[0]])
        taus = kendall(np.array([[result.losses.mean[c] for c in places[module]] for module in modules]))
        drawn = _drawn(result, [places[module] for module in modules], resamples if n <= _MOST_RANKED else 0, seed)
        for i, j in combinations(range(len(modules)), 2):
            low, high = _ends(drawn[:, i, j], (1 - confidence) / 2)
            rows.append(
                {"over": over, "one": modules[i], "other": modules[j], "n": n, "tau": taus[i, j], "low": low, "high": high}
            )
    return pd.DataFrame(rows, columns=["over", "one", "other", "n", "tau", "low", "high"])


def kendall(losses: Array) -> Array:
    """Return Kendall's tau-b between all pairs of rows `(..., rows, places)`, as `(..., rows, rows)`; NaN for equal losses."""
    first, second = np.triu_indices(losses.shape[-1], 1)
    signs = np.sign(losses[..., first] - losses[..., second]).astype(np.float32)  # sums of up to 2^24 ones are exact
    shared = (signs @ np.swapaxes(signs, -1, -2)).astype(float)
    untied = np.sqrt(np.diagonal(shared, axis1=-2, axis2=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(shared / (untied[..., :, None] * untied[..., None, :]))


def _places(result: ModuleComparison, over: str) -> dict[str, list[Configuration]]:
    """Return for each module that lacks none the configurations that are ranked, places in the same order."""
    if over == POINTS:
        singles = {module: [result.single(module, point) for point in result.points] for module in result.modules}
        return {module: own for module, own in singles.items() if all(c in result.models for c in own)}
    return {module: _by_places(result, module) for module in result.modules if result.is_complete(module)}


def _by_places(result: ModuleComparison, module: str) -> list[Configuration]:
    return sorted(result.of_module(module), key=lambda c: [point in result.space.active(c) for point in result.points])


def _drawn(result: ModuleComparison, places: Sequence[list[Configuration]], resamples: int, seed: int) -> Array:
    """Return tau-b between modules in each resample `(resamples, modules, modules)`."""
    if not resamples:
        return np.empty((0, len(places), len(places)))
    losses = np.stack([result.losses.drawn(own, resamples=resamples, seed=seed) for own in places], axis=1)
    at_once = max(1, _COMPARED_AT_ONCE // (losses.shape[1] * losses.shape[2] ** 2))
    return np.concatenate([kendall(losses[start : start + at_once]) for start in range(0, len(losses), at_once)])


def _ends(drawn: Array, tail: float) -> tuple[float, float]:
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
