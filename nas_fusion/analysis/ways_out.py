"""Where a search was trapped: which searches were not, and what the cheapest of them cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nas_fusion.analysis.arms import Arm, Comparison
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
        options: Its options, as far as they are known.
        evaluations: That it needed to its end, from the baseline on.
        new: How many of its configurations the trapped search had not evaluated.
        epochs: Trained for these, or what a search of the comparison trained them for; `None` where not known.
        replayed: Whether it was replayed on the landscape rather than run.
    """

    title: str
    sampler: str
    evaluations: int
    new: int
    epochs: float | None
    replayed: bool
    options: Mapping[str, object] = field(default_factory=dict)


def is_trapped(comparison: Comparison, arm: Arm) -> bool | None:
    """Return whether a search selected something clearly above the optimum; `None` where not every configuration is known."""
    landscape = _complete(comparison)
    return None if landscape is None or arm.best is None else shortfall(landscape, arm.best).is_clear


def ways_out(comparison: Comparison, arm: Arm) -> list[WayOut]:
    """Return the searches, run or replayed, that find the optimum where an arm does not: the fewest evaluations first.

    Found is what is at most 0.02 nats above the minimum, or at most one standard error of the optimum. Of an equal number of
    evaluations the search that was run comes first. Searches that evaluate everything are no way out, and nothing is returned
    without a complete landscape.
    """
    landscape = _complete(comparison)
    if landscape is None:
        return []
    near = landscape.optima(standard_errors=1.0)
    others = [other for other in comparison.searches if other is not arm and other.best is not None]
    reached = [other for other in others if other.best in near or landscape.regret(other.best or {}) <= NEGLIGIBLE]
    replayed = [escape for escape in comparison.escapes if escape.finds or escape.regret <= NEGLIGIBLE]
    found = [*(_run(other, arm) for other in reached), *(_replayed(comparison, escape, arm) for escape in replayed)]
    return sorted((way for way in found if way.evaluations < len(landscape)), key=lambda way: way.evaluations)


def _run(other: Arm, arm: Arm) -> WayOut:
    known = _evaluated(arm)
    new = [e for e in other.evaluations if e.configuration not in known]
    epochs = [e.cost["epochs"] for e in new if "epochs" in e.cost]
    spent = sum(epochs) + other.supernet.get("epochs", 0.0) if len(epochs) == len(new) else None
    count = len({e.configuration for e in new})
    return WayOut(search_in_words(other.name, {}), other.name, other.n_evaluations, count, spent, replayed=False)


def _replayed(comparison: Comparison, escape: Escape, arm: Arm) -> WayOut:
    trained = {e.configuration: e.cost.get("epochs") for other in comparison.searches for e in other.evaluations}
    new = set(escape.order) - _evaluated(arm)
    epochs = [spent for c in new if (spent := trained.get(c)) is not None]
    spent = sum(epochs) if len(epochs) == len(new) else None
    title = search_in_words(escape.sampler, escape.options)
    return WayOut(title, escape.sampler, escape.evaluations, len(new), spent, replayed=True, options=escape.options)


def _evaluated(arm: Arm) -> set[Configuration | None]:
    return {e.configuration for e in arm.evaluations} | {each.configuration for each in arm.unfinished}


def _complete(comparison: Comparison) -> Landscape | None:
    landscape = comparison.landscape
    return landscape if landscape is not None and landscape.complete else None
