"""The numbers of the record: one entry for each family and number of points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.greedy_vs_exhaustive.claims import AGAINST, margin
from benchmarks.greedy_vs_exhaustive.landscapes import order_of
from benchmarks.greedy_vs_exhaustive.measures import bootstrap_mean, wilson
from benchmarks.greedy_vs_exhaustive.run import Result, budget, trials
from benchmarks.greedy_vs_exhaustive.searchers import OURS, SEARCHERS

COMPARED = "surrogate long"
"""That of ours whose regret is compared with that of Optuna's samplers at every budget: it is told the same budget."""


def grid(length: int) -> list[int]:
    """Return the numbers of evaluations at which regret is recorded: each up to 24, then every fourth, every sixteenth."""
    return [n for n in range(1, length + 1) if n <= 24 or (n <= 64 and n % 4 == 0) or n % 16 == 0 or n == length]


def summarise(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return one entry for each family and number of points, in the order in which they first appear."""
    found: dict[tuple[str, int], dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        found[result.problem.family, result.problem.m][result.searcher].append(result)
    return [rounded(entry(family, m, by_name)) for (family, m), by_name in found.items()]


def rounded(value: Any) -> Any:
    """Return JSON-compatible data with every number at five decimals: more would only be noise in the record."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 5) if isinstance(value, float) else value


def entry(family: str, m: int, by_name: dict[str, list[Result]]) -> dict[str, Any]:
    """Return what all searchers did on one family."""
    first = next(iter(by_name.values()))[0]
    limit = budget(m, first.size)
    return {
        "family": family,
        "m": m,
        "order": order_of(family),
        "size": first.size,
        "budget": limit,
        "unit": float(np.mean([result.unit for results in by_name.values() for result in results])),
        "grid": grid(len(first.regret)),
        "searchers": {name: facts(by_name[name], limit) for name in SEARCHERS if name in by_name},
        "margins": {
            peer: margins(by_name[COMPARED], by_name[peer]) for peer in AGAINST if peer in by_name and COMPARED in by_name
        },
    }


def facts(results: Sequence[Result], limit: int) -> dict[str, Any]:
    """Return what one searcher did on one family."""
    horizon = len(results[0].regret)
    regret = np.mean([result.regret for result in results], axis=0)
    until = [result.found if result.found is not None else max(result.evaluations, horizon) for result in results]
    return {
        "n": len(results),
        "trials": trials(results[0].searcher, results[0].problem.m, results[0].size),
        "found": share([result.found is not None for result in results], results),
        "found_in_budget": share([result.found is not None and result.found <= limit for result in results], results),
        "evaluations": float(np.mean([result.evaluations for result in results])),
        "until_found": float(np.mean(until)),
        "seconds": float(np.mean([result.seconds for result in results])),
        "repeated": float(np.mean([1 - result.distinct / result.evaluations for result in results])),
        "regret": [float(regret[n - 1]) for n in grid(horizon)],
        "regret_at_end": float(np.mean([result.regret[-1] for result in results])),
    }


def share(hits: Sequence[bool], results: Sequence[Result]) -> list[float]:
    """Return a share of searches with its 95 % interval: Wilson's, or over tables where several searches share one."""
    groups = [result.problem.group for result in results]
    if len(set(groups)) == len(groups):
        return [float(np.mean(hits)), *wilson(sum(hits), len(hits))]
    numbers = np.unique(groups, return_inverse=True)[1]
    return [float(np.mean(hits)), *bootstrap_mean(np.array(hits, dtype=np.float64), groups=numbers)]


def margins(ours: Sequence[Result], peers: Sequence[Result]) -> dict[str, Any]:
    """Return the worst margins against one of Optuna's samplers, by trials and by different configurations."""
    return {"trials": margin(ours, peers), "distinct": margin(ours, peers, distinct=True)}


def best_of_ours(entry: dict[str, Any]) -> str:
    """Return which of our samplers found an optimum within the budget most often, exhaustive search left out."""
    known = [name for name in OURS if name in entry["searchers"] and name not in ("exhaustive", COMPARED)]
    return max(
        known,
        key=lambda name: (entry["searchers"][name]["found_in_budget"][0], name == "surrogate"),
        default="surrogate",
    )
