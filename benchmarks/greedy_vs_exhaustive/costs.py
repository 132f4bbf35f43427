"""Tables of what searches cost in training, where ours inherit weights and Optuna's samplers train from scratch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.greedy_vs_exhaustive.landscapes import RECORDED
from benchmarks.greedy_vs_exhaustive.measures import training_cost
from benchmarks.greedy_vs_exhaustive.searchers import OURS, SEARCHERS

Entry = dict[str, Any]
RATIOS = (0.2, 0.5, 1.0)
"""Cost of a training that inherits weights, in trainings from scratch: W/B."""
COMPARED = ("sfsa", "beam 2", "floating", "surrogate", "exhaustive", "random", "tpe", "gp", "nsgaii")


def costs(entries: Sequence[Entry]) -> str:
    """Return the table of how many times less training a search takes than training all configurations from scratch."""
    names = [name for name in (*OURS, "tpe") if any(name in entry["searchers"] for entry in entries)]
    lines = [
        "How many times less training than every configuration from scratch, until the search has ended, where a training that",
        f"inherits weights costs {_ratios()} of one from scratch; mean over families. Ours inherit from A_0 or the parent.",
        "`tpe` does not, and is charged only until it first meets an optimum, which it cannot know.",
        "",
        "| m | landscapes | " + " | ".join(names) + " |",
        "| --- " * (2 + len(names)) + "|",
    ]
    for m, kind, chosen in _groups(entries):
        lines.append(f"| {m} | {kind} | " + " | ".join(_factors(chosen, name) for name in names) + " |")
    return "\n".join(lines)


def regrets(entries: Sequence[Entry]) -> str:
    """Return the table of the regret that is left when so much training has been paid for."""
    names = [name for name in COMPARED if any(name in entry["searchers"] for entry in entries)]
    lines = [
        f"Mean regret that is left once as much training has been paid for as m + 1, and twice as many, trainings from scratch"
        f" take; for ours where a training that inherits costs {_ratios()} of one from scratch.",
        "",
        "| m | landscapes | cost | " + " | ".join(names) + " |",
        "| --- " * (3 + len(names)) + "|",
    ]
    for m, kind, chosen in _groups(entries):
        for cost in (m + 1, 2 * (m + 1)):
            cells = [_left(chosen, name, cost) for name in names]
            lines.append(f"| {m} | {kind} | {cost} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def evaluations_for(cost: float, *, ratio: float, inherits: bool) -> int:
    """Return how many evaluations can be paid for: the inverse of `training_cost`.

    Args:
        cost: In trainings from scratch, at least 1.
        ratio: Cost of a training that inherits, in trainings from scratch.
        inherits: Whether all but the first evaluation inherit.
    """
    return 1 + math.floor((cost - 1) / ratio + 1e-9) if inherits else math.floor(cost)


def _groups(entries: Sequence[Entry]) -> Iterator[tuple[int, str, list[Entry]]]:
    kinds = {(entry["m"], RECORDED if entry["family"].startswith(RECORDED) else "synthetic") for entry in entries}
    for m, kind in sorted(kinds):
        is_recorded = kind == RECORDED
        yield m, kind, [e for e in entries if e["m"] == m and e["family"].startswith(RECORDED) == is_recorded]


def _factors(entries: Sequence[Entry], name: str) -> str:
    known = [(entry["size"], entry["searchers"][name]) for entry in entries if name in entry["searchers"]]
    if not known:
        return ""
    inherits, factors = SEARCHERS[name].inherits, []
    for ratio in RATIOS:
        spent = np.array([facts["evaluations" if inherits else "until_found"] for _, facts in known])
        factors.append(sum(size for size, _ in known) / training_cost(spent, ratio=ratio, inherits=inherits).sum())
    return " / ".join(f"{factor:.1f}" for factor in (factors if inherits else factors[:1]))


def _left(entries: Sequence[Entry], name: str, cost: int) -> str:
    known = [entry for entry in entries if name in entry["searchers"]]
    if not known:
        return ""
    inherits = SEARCHERS[name].inherits
    left = []
    for ratio in RATIOS if inherits else RATIOS[:1]:
        n = evaluations_for(cost, ratio=ratio, inherits=inherits)
        left.append(np.mean([_regret_after(entry, name, n) for entry in known]))
    return " / ".join(f"{value:.3f}" for value in left)


def _regret_after(entry: Entry, name: str, n: int) -> float:
    """Return the mean regret after so many evaluations, or the nearest smaller number that was recorded."""
    position = max(i for i, each in enumerate(entry["grid"]) if each <= n)
    regret: float = entry["searchers"][name]["regret"][position]
    return regret


def _ratios() -> str:
    return " / ".join(f"{ratio:g}" for ratio in RATIOS)
