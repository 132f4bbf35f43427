"""Where a search was trapped: which searches were not, and what the cheapest of them cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.costs import arm_costs
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.landscape import Landscape
from nas_fusion.analysis.naming import search_in_words
from nas_fusion.analysis.regret import shortfall
from nas_fusion.analysis.traps import Escape
from nas_fusion.space import Configuration


@dataclass(frozen=True)
class WayOut:
    """A search that found what another one missed.

    Attributes:
        title: What it is called within a sentence.
        sampler: Its name.
        evaluations: That it needed to its end, from the baseline on.
        new: How many of its configurations the trapped search had not evaluated.
        epochs: Trained for these, or what a search of the comparison trained them for; `None` where not known.
        replayed: Whether it was replayed on the landscape rather than run.
        supernet: Whether it trained a supernet besides.
        options: Its options, as far as they are known.
    """

    title: str
    sampler: str
    evaluations: int
    epochs: float | None
    new: int
    new_epochs: float | None
    replayed: bool
    supernet: bool = False
    options: Mapping[str, object] = field(default_factory=dict)


def is_trapped(comparison: Comparison, arm: Arm) -> bool | None:
    """Return whether a search selected something clearly above the optimum; `None` where not every configuration is known."""
    landscape = _complete(comparison)
    return None if landscape is None or arm.best is None else shortfall(landscape, arm.best).is_clear


def ways_out(comparison: Comparison, arm: Arm) -> list[WayOut]:
    """Return the searches, run or replayed, that find the optimum where an arm does not: the cheapest first.

    Found is what is at most 0.02 nats above the minimum, or at most one standard error of the optimum. The cheapest is that of
    the fewest epochs, or where these are not known of all, of the fewest evaluations; of equal ones that which was run.
    Searches that evaluate everything are no way out, and nothing is returned without a complete landscape.
    """
    landscape = _complete(comparison)
    if landscape is None:
        return []
    near = landscape.optima(standard_errors=1.0)
    others = [other for other in comparison.searches if other is not arm and other.best is not None]
    reached = [other for other in others if other.best in near or landscape.regret(other.best or {}) <= NEGLIGIBLE]
    replayed = [escape for escape in comparison.escapes if escape.finds or escape.regret <= NEGLIGIBLE]
    found = [*(_run(other, arm) for other in reached), *(_replayed(comparison, escape, arm) for escape in replayed)]
    return by_cost([way for way in found if way.evaluations < len(landscape)])


def by_cost(ways: Sequence[WayOut]) -> list[WayOut]:
    """Return ways out, the cheapest first: by epochs where these are known of all, else by evaluations."""
    epochs = [way.epochs for way in ways if way.epochs is not None]
    return sorted(ways, key=lambda way: (way.epochs or 0.0 if len(epochs) == len(ways) else 0.0, way.evaluations))


def _run(other: Arm, arm: Arm) -> WayOut:
    known, supernet = _evaluated(arm), other.supernet.get("epochs", 0.0)
    new = [e for e in other.evaluations if e.configuration not in known]
    new_epochs = _sum([e.cost.get("epochs") for e in new])
    return WayOut(
        title=search_in_words(other.name, {}),
        sampler=other.name,
        evaluations=other.n_evaluations,
        epochs=_number(arm_costs(other, "epochs")[-1]),
        new=len({e.configuration for e in new}),
        new_epochs=None if new_epochs is None else new_epochs + supernet,
        replayed=False,
        supernet=supernet > 0,
    )


def _replayed(comparison: Comparison, escape: Escape, arm: Arm) -> WayOut:
    trained = {e.configuration: e.cost.get("epochs") for other in comparison.searches for e in other.evaluations}
    new = set(escape.order) - _evaluated(arm)
    return WayOut(
        title=search_in_words(escape.sampler, escape.options),
        sampler=escape.sampler,
        evaluations=escape.evaluations,
        epochs=_sum([trained.get(c) for c in escape.order]),
        new=len(new),
        new_epochs=_sum([trained.get(c) for c in new]),
        replayed=True,
        options=escape.options,
    )


def _sum(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _evaluated(arm: Arm) -> set[Configuration | None]:
    return {e.configuration for e in arm.evaluations} | {each.configuration for each in arm.unfinished}


def _complete(comparison: Comparison) -> Landscape | None:
    landscape = comparison.landscape
    return landscape if landscape is not None and landscape.complete else None
