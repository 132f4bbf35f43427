"""What to evaluate next: the configurations that a second-order model of all evaluations expects the most of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nas_fusion.samplers.candidates import Candidates, Evaluation
from nas_fusion.samplers.coding import Floats, Ints
from nas_fusion.samplers.forecast import Forecast
from nas_fusion.samplers.quadratic import Data, Model, noise_of_means

_DIGITS = 6  # of the logarithms of improvements that are compared: less differs between machines
_CENTRES = 8
_CLIMBS, _CLIMBERS = 3, 16


def proposals(candidates: Candidates, evidence: Sequence[Evaluation]) -> Iterator[int]:
    """Yield indices of configurations, the most promising first, each as if those before it had come out as expected.

    The start comes first unless it is known. Ties are broken by fewer active units, then by index.

    Args:
        candidates: What may be evaluated.
        evidence: What is known, of infinite cost where nothing is known but that it is worthless.
    """
    start = np.zeros((1, len(candidates.sizes)), dtype=np.intp)
    known = np.vstack([candidates.levels([evaluation.configuration for evaluation in evidence]), start])
    if not (known[:-1] == 0).all(axis=1).any():
        yield candidates.index(start[0])
    finite = [evaluation for evaluation in evidence if math.isfinite(evaluation.cost)]
    # Without a loss, only where something is evaluated tells anything.
    levels = candidates.levels([evaluation.configuration for evaluation in finite]) if finite else start
    values = np.array([evaluation.cost for evaluation in finite] or [0.0])
    noise = noise_of_means([evaluation.losses for evaluation in finite])
    model = Model(candidates.coding, Data(candidates.coding.coded(levels), values, noise))
    if candidates.is_listed:
        yield from _ranked(candidates, model, candidates.listed, known)
    else:
        best = levels[np.argsort(values, kind="stable")[:_CENTRES]]
        yield from _ranked(candidates, model, _climbed(candidates, model, best, len(levels)), known)


def _ranked(candidates: Candidates, model: Model, pool: Ints, known: Ints) -> Iterator[int]:
    rows = {row.tobytes() for row in known}
    is_free = np.array([row.tobytes() not in rows for row in pool], dtype=bool)
    forecast = Forecast(model, candidates.coded(pool))
    while is_free.any():
        position = int(np.argmax(np.where(is_free, _scores(forecast), -np.inf)))
        is_free[position] = False
        yield candidates.index(pool[position])
        forecast.believe(position)


def _scores(forecast: Forecast) -> Floats:
    return np.round(forecast.log_expected_improvement(), _DIGITS)


def _climbed(candidates: Candidates, model: Model, best: Ints, seed: int) -> Ints:
    """Return a part of a large space: a random sample, what is around the best, and what is found from these by climbing."""
    pool = candidates.joined(candidates.drawn(seed), candidates.neighbours(best))
    for _ in range(_CLIMBS):
        scores = _scores(Forecast(model, candidates.coding.coded(pool)))
        pool = candidates.joined(pool, candidates.neighbours(pool[np.argsort(-scores, kind="stable")[:_CLIMBERS]]))
    return pool
