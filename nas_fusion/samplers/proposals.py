"""What to evaluate next: the configurations that a second-order model of all evaluations expects the most of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nas_fusion.samplers.candidates import Candidates, Evaluation
from nas_fusion.samplers.coding import Coding, Ints
from nas_fusion.samplers.forecast import Forecast
from nas_fusion.samplers.quadratic import Data, Model, noise_of_means

_DIGITS = 6  # of the logarithms of improvements that are compared: less differs between machines
_CLIMBS, _CLIMBERS = 3, 16


def proposals(candidates: Candidates, evidence: Sequence[Evaluation]) -> Iterator[int]:
    """Yield indices of configurations, the most promising first, each as if those before it had come out as expected.

    The start comes first unless it is known. Ties are broken by fewer active units, then by index.

    Args:
        candidates: What may be evaluated.
        evidence: What is known, of infinite cost where nothing is known but that it is worthless.
    """
    start = np.zeros((1, len(candidates.sizes)), dtype=np.intp)
    known = np.array([candidates.levels(evaluation.configuration) for evaluation in evidence], dtype=np.intp)
    known = known.reshape(-1, len(candidates.sizes))
    if not (known == 0).all(axis=1).any():
        yield candidates.index(start[0])
        known = np.vstack([known, start])
    model = Model(Coding(candidates.sizes), _data(candidates, evidence, start))
    pool = _unknown(_pool(candidates, model), known)
    forecast = Forecast(model, pool)
    is_free = np.ones(len(pool), dtype=bool)
    while is_free.any():
        scores = np.where(is_free, np.round(forecast.log_expected_improvement(), _DIGITS), -np.inf)
        position = int(np.argmax(scores))
        is_free[position] = False
        yield candidates.index(pool[position])
        forecast.believe(position)


def _data(candidates: Candidates, evidence: Sequence[Evaluation], start: Ints) -> Data:
    finite = [evaluation for evaluation in evidence if math.isfinite(evaluation.cost)]
    if not finite:  # only where it is evaluated tells anything as yet
        return Data(start, np.zeros(1))
    levels = np.array([candidates.levels(evaluation.configuration) for evaluation in finite], dtype=np.intp)
    noise = noise_of_means([evaluation.losses for evaluation in finite])
    return Data(levels, np.array([evaluation.cost for evaluation in finite]), noise)


def _pool(candidates: Candidates, model: Model) -> Ints:
    """Return all candidates; of a large space a sample, with what is found from it by climbing."""
    if candidates.is_listed:
        return candidates.listed
    pool = candidates.drawn(model.data.levels, model.data.values)
    for _ in range(_CLIMBS):
        scores = np.round(Forecast(model, pool).log_expected_improvement(), _DIGITS)
        top = pool[np.argsort(-scores, kind="stable")[:_CLIMBERS]]
        pool = candidates.joined(pool, candidates.neighbours(top))
    return pool


def _unknown(pool: Ints, known: Ints) -> Ints:
    rows = {row.tobytes() for row in known}
    return pool[[row.tobytes() not in rows for row in pool]]
