"""What should hold, and by how much it does or does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.greedy_vs_exhaustive.measures import bootstrap_mean
from benchmarks.greedy_vs_exhaustive.run import Result, trials

AGAINST = ("tpe", "gp", "nsgaii")


def margin(ours: Sequence[Result], peers: Sequence[Result], *, distinct: bool = False) -> dict[str, Any]:
    """Return the worst that one searcher's mean regret is above another's, from evaluation m + 1 on.

    Args:
        ours: One result a search.
        peers: The other searcher's. What both searched counts, for as many evaluations as the other was given.
        distinct: Whether repetitions of a configuration count as no evaluation, as where a store answers them.

    Returns:
        `worst` (ours minus theirs, positive where theirs is better), `low` and `high` of its 95 % interval over landscapes,
        `at` which evaluation, `n` landscapes.
    """
    first = peers[0]
    last = min(trials(first.searcher, first.problem.m, first.size), len(first.regret))
    field = "regret_of_distinct" if distinct else "regret"
    known = {result.problem: getattr(result, field) for result in ours}
    peers = [result for result in peers if result.problem in known]
    difference = np.array([known[result.problem] - getattr(result, field) for result in peers])
    start = first.problem.m  # position of evaluation m + 1
    worst = start + int(np.argmax(difference.mean(axis=0)[start:last]))
    groups = np.unique([result.problem.group for result in peers], return_inverse=True)[1]
    low, high = bootstrap_mean(difference[:, worst], groups=groups)
    mean = float(difference[:, worst].mean())
    return {"worst": mean, "low": low, "high": high, "at": worst + 1, "n": len(peers)}
