"""What to evaluate next: the configurations that a second-order model of all evaluations expects the most of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nas_fusion.samplers.candidates import Candidates, Evaluation
from nas_fusion.samplers.coding import Floats, Ints
from nas_fusion.samplers.forecast import Forecast
from nas_fusion.samplers.quadratic import Data, Model, noise_of_means

_DIGITS = 6  # of the logarithms of improvements that are compared: less differs between machines
_CENTRES, _CLIMBS, _KEPT = 8, 3, 64


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
        yield from _ranked(candidates, model, _climbed(candidates, model, best, known), known)


def _ranked(candidates: Candidates, model: Model, pool: Ints, known: Ints) -> Iterator[int]:
    is_free = _are_new(pool, known)
    forecast = Forecast(model, candidates.coded(pool))
    while is_free.any():
        position = int(np.argmax(np.where(is_free, _scores(forecast), -np.inf)))
        is_free[position] = False
        yield candidates.index(pool[position])
        forecast.believe(position)


def _scores(forecast: Forecast) -> Floats:
    return np.round(forecast.log_expected_improvement(), _DIGITS)


def _climbed(candidates: Candidates, model: Model, best: Ints, known: Ints) -> Ints:
    """Return a part of a large space: a random sample, what is around the best, and what is found from these by climbing."""
    start = np.vstack([candidates.drawn(len(known)), candidates.neighbours(best)])
    pool = _most_promising(candidates, model, start, known)
    for _ in range(_CLIMBS):
        near = _most_promising(candidates, model, candidates.neighbours(pool[:_CENTRES]), known)
        pool = _most_promising(candidates, model, np.vstack([pool, near]), known)
    return candidates.joined(pool)


def _most_promising(candidates: Candidates, model: Model, levels: Ints, known: Ints) -> Ints:
    """Return the canonical forms of the rows with the highest scores, the highest first, what is known left out.

    What looks promising is found among all rows before it is made canonical: of many rows that takes much longer.
    """
    rows = candidates.canonical(_by_score(candidates, model, candidates.joined(levels))[: 2 * _KEPT])
    return _by_score(candidates, model, rows[_are_new(rows, known)])[:_KEPT]


def _by_score(candidates: Candidates, model: Model, levels: Ints) -> Ints:
    scores = _scores(Forecast(model, candidates.coding.coded(levels)))
    return levels[np.argsort(-scores, kind="stable")]


def _are_new(levels: Ints, known: Ints) -> NDArray[np.bool_]:
    rows = {row.tobytes() for row in known}
    return np.array([row.tobytes() not in rows for row in levels], dtype=bool)
