"""Where a search was trapped: which searches were not, and what the cheapest of them cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nas_fusion.analysis.arms import Arm, Attempt, Comparison
from nas_fusion.analysis.regret import shortfall
from nas_fusion.space import Configuration


@dataclass(frozen=True)
class Escape:
    """A search that found what another one missed.

    Attributes:
        title: What it is called in a sentence.
        best: What it selected.
        evaluations: That it needed, from the baseline on.
        new: How many of its configurations the trapped search had not evaluated.
        epochs: Trained for these, `None` where not known.
        replayed: Whether it was replayed on the landscape rather than run.
        options: Of the command that runs it.
    """

    title: str
    best: Configuration
    evaluations: int
    new: int
    epochs: float | None
    replayed: bool
    options: Mapping[str, str] = field(default_factory=dict)


def is_trapped(comparison: Comparison, arm: Arm) -> bool | None:
    """Return whether a search selected something clearly above the optimum; `None` where not every configuration is known."""
    landscape = comparison.landscape
    if landscape is None or not landscape.complete or arm.best is None:
        return None
    return shortfall(landscape, arm.best).is_clear


def escapes(comparison: Comparison, arm: Arm) -> list[Escape]:
    """Return the searches, run or replayed, that are not trapped where an arm is: the fewest evaluations first.

    Of an equal number the one that was run, then the earlier one. Searches that evaluate everything are no escape. Nothing is
    returned without a complete landscape.
    """
    landscape = comparison.landscape
    if landscape is None or not landscape.complete:
        return []
    known = {e.configuration for e in arm.evaluations}
    run = [_of_arm(comparison, other, known) for other in comparison.searches if other is not arm and other.best is not None]
    found = [*run, *(_of_attempt(comparison, attempt, known) for attempt in comparison.attempts)]
    short = [e for e in found if e.evaluations < len(landscape) and not shortfall(landscape, e.best).is_clear]
    return sorted(short, key=lambda escape: escape.evaluations)


def _of_arm(comparison: Comparison, arm: Arm, known: set[Configuration | None]) -> Escape:
    assert arm.best is not None, "Should not reach."
    new = [e for e in arm.evaluations if e.configuration not in known]
    epochs = [e.cost.get("epochs") for e in new]
    spent = sum(e for e in epochs if e is not None) + arm.supernet.get("epochs", 0.0)
    options = next((a.options for a in comparison.attempts if a.sampler == arm.name), {"--sampler": arm.name})
    count = len({e.configuration for e in new})
    return Escape(arm.title, arm.best, len(arm.evaluations), count, None if None in epochs else spent, False, options)


def _of_attempt(comparison: Comparison, attempt: Attempt, known: set[Configuration | None]) -> Escape:
    """What it would have cost: as many epochs as some arm trained each configuration for."""
    epochs = {e.configuration: e.cost.get("epochs") for arm in comparison.searches for e in arm.evaluations}
    new = {c for c in attempt.order if c not in known}
    needed = [epochs.get(c) for c in new]
    spent = None if None in needed else sum(e for e in needed if e is not None)
    return Escape(attempt.title, attempt.best, len(attempt.order), len(new), spent, True, attempt.options)
