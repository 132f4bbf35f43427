"""Let every searcher search every landscape, in several processes."""

from __future__ import annotations

import math
import multiprocessing
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import optuna

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
    """

    problem: Problem
    searcher: str
    evaluations: int
    distinct: int
    found: int | None
    regret: Floats
    regret_of_distinct: Floats
    size: int


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
    if SEARCHERS[searcher].full:
        return size
    return min(size, budget(m, size) if searcher == "gp" else HORIZON[m])


def run(job: Job) -> list[Result]:
    """Return how each searcher fared on one landscape."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    landscape = job.problem.build()
    target, losses = Target.of(landscape), np.array(list(landscape.losses.values()))
    results = []
    for name in job.searchers:
        n = trials(name, job.problem.m, len(losses))
        order = search(landscape, SEARCHERS[name], n_trials=n, seed=job.problem.seed)
        results.append(result(job.problem, name, order, losses, target))
    return results


def result(problem: Problem, searcher: str, order: Sequence[int], losses: Floats, target: Target) -> Result:
    """Return how a search went, from the indices of the configurations that it evaluated."""
    seen = losses[np.asarray(order)]
    first = first_times(order)
    length = min(HORIZON[problem.m], len(losses))
    curve = partial(regret_curve, minimum=target.minimum, scale=target.scale, length=length)
    return Result(
        problem,
        searcher,
        evaluations=len(order),
        distinct=int(first.sum()),
        found=evaluations_until(seen, target.limit),
        regret=curve(seen),
        regret_of_distinct=curve(seen[first]),
        size=len(losses),
    )


def run_all(jobs: Sequence[Job], processes: int) -> Iterator[list[Result]]:
    """Yield the results of all jobs in their order."""
    if processes == 1:
        yield from map(run, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(run, jobs, chunksize=4)
