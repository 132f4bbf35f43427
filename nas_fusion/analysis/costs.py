"""What evaluations cost, what they inherit from included, each training counted once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas_fusion.analysis.arms import Arm
from nas_fusion.record import Evaluation


def costs_so_far(evaluations: Sequence[Evaluation], name: str) -> list[float]:
    """Return the cost of the first evaluation, of the first two, and so on.

    A lineage that is not itself among the evaluations was trained before the first one that inherits from it.

    Args:
        evaluations: In their order.
        name: Of the cost, `epochs` or `samples`.

    Returns:
        As many as there are evaluations; not a number from the first one on whose cost is not known.
    """
    evaluated = {(*e.lineage, e.configuration) for e in evaluations}
    paid: set[tuple[object, ...]] = set()
    total, totals = 0.0, []
    for e in evaluations:
        own = e.cost.get(name, math.nan)
        total += own
        if e.lineage and e.lineage not in evaluated | paid:
            total += e.cost.get(f"lineage_{name}", math.nan) - own
            paid.add(e.lineage)
        totals.append(total)
    return totals


def cost_in_all(evaluations: Sequence[Evaluation], name: str) -> float:
    """Return the cost of all evaluations and of what they inherit from; not a number if there are none."""
    return costs_so_far(evaluations, name)[-1] if evaluations else math.nan


def arm_costs(arm: Arm, name: str) -> list[float]:
    """Return for each evaluation of an arm what the arm had cost by then.

    The supernet that ranked its candidates is paid for before the first. What was trained for evaluations that ended without a
    value is charged to the last, so that the end holds everything.
    """
    supernet = arm.supernet.get(name, 0.0)
    costs = [supernet + cost for cost in costs_so_far(arm.evaluations, name)]
    lost = sum(unfinished.cost.get(name, 0.0) for unfinished in arm.unfinished)
    return [*costs[:-1], costs[-1] + lost] if costs else []
