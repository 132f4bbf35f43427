"""Let every searcher search every landscape, in several processes."""

from __future__ import annotations

import math
import multiprocessing
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import optuna

from benchmarks.greedy_vs_exhaustive.known import Known, Searched, key_of
from benchmarks.greedy_vs_exhaustive.landscapes import HORIZON, SHARE, Problem, Target
from benchmarks.greedy_vs_exhaustive.measures import Floats, evaluations_until, first_times, regret_curve
from benchmarks.greedy_vs_exhaustive.searchers import SEARCHERS, search


@dataclass(frozen=True)
class Result:
    """How one search went.

    Attributes:
        problem: What was searched.
        searcher: Who searched.
        evaluations: Trials until it ended, or was ended.
        distinct: Different configurations among them.
        found: The trial that first evaluated an optimum, `None` for none.
        regret: Of the best so far after each trial, `(horizon,)`, in units of the regret of a configuration drawn blindly.
        regret_of_distinct: The same after each different configuration.
        size: Number of configurations of the landscape.
        seconds: Processor time of the search.
        unit: The regret of a configuration drawn blindly, in nats.
    """

    problem: Problem
    searcher: str
    evaluations: int
    distinct: int
    found: int | None
    regret: Floats
    regret_of_distinct: Floats
    size: int
    seconds: float
    unit: float


@dataclass(frozen=True)
class Job:
    """A landscape and who searches it."""

    problem: Problem
    searchers: tuple[str, ...]


def budget(m: int, size: int) -> int:
    """Return the number of evaluations within which an optimum should be found."""
    return math.floor(SHARE[m] * size)


def trials(searcher: str, m: int, size: int) -> int:
    """Return how many trials a searcher is given."""
    if SEARCHERS[searcher].ends:
        return size
    return min(size, budget(m, size) if searcher == "gp" else HORIZON[m])


def run(job: Job, known: Known) -> tuple[list[Result], list[tuple[str, Searched]]]:
    """Return how each searcher fared on one landscape, and what is to be kept of it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    landscape = job.problem.build()
    target, losses = Target.of(landscape), np.array(list(landscape.losses.values()))
    results, keep = [], []
    for name in job.searchers:
        n, seed = trials(name, job.problem.m, len(losses)), job.problem.seed
        key = key_of(landscape, name, n, seed)
        searched = known.get(key)
        if searched is None:
            began = time.process_time()
            order = search(landscape, SEARCHERS[name], n_trials=n, seed=seed)
            searched = Searched(tuple(order), time.process_time() - began)
        keep.append((key, searched))
        results.append(result(job.problem, name, searched, losses, target))
    return results, keep


def result(problem: Problem, searcher: str, searched: Searched, losses: Floats, target: Target) -> Result:
    """Return how a search went, from the configurations that it evaluated and all losses by index."""
    seen = losses[np.asarray(searched.order)]
    first = first_times(searched.order)
    length = min(HORIZON[problem.m], len(losses))
    curve = partial(regret_curve, minimum=target.minimum, scale=target.scale, length=length)
    return Result(
        problem,
        searcher,
        evaluations=len(seen),
        distinct=int(first.sum()),
        found=evaluations_until(seen, target.limit),
        regret=curve(seen),
        regret_of_distinct=curve(seen[first]),
        size=len(losses),
        seconds=searched.seconds,
        unit=target.scale,
    )


_known = Known()


def _begin(path: Path | None) -> None:
    """Read what is known, once in each process."""
    global _known
    _known = Known(path)


def _run(job: Job) -> tuple[list[Result], list[tuple[str, Searched]]]:
    return run(job, _known)


def run_all(jobs: Sequence[Job], processes: int, path: Path | None = None) -> Iterator[list[Result]]:
    """Yield the results of all jobs in their order; what is known is read from and added to a file."""
    known = Known(path)
    for results, keep in _spread(jobs, processes, path):
        known.add(keep)
        yield results


def _spread(
    jobs: Sequence[Job], processes: int, path: Path | None
) -> Iterator[tuple[list[Result], list[tuple[str, Searched]]]]:
    if processes == 1:
        _begin(path)
        yield from map(_run, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes, _begin, (path,)) as pool:
        yield from pool.imap(_run, jobs, chunksize=4)
