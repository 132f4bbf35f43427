"""Escapes: what other searches would have found on a landscape, and at what price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas_fusion.analysis import Escape, Landscape
from nas_fusion.study.replay import replay

Candidate = tuple[str, Mapping[str, Any]]

ESCAPES: tuple[Candidate, ...] = (
    ("sfsa", {}),
    ("sfsa", {"patience": 2}),
    ("sfsa", {"patience": 3}),
    ("beam", {"width": 2}),
    ("beam", {"width": 3}),
    ("beam", {"width": 4}),
    ("beam", {"width": 8}),
    ("backward", {}),
    ("floating", {"direction": "forward"}),
    ("floating", {"direction": "backward"}),
    ("surrogate", {}),
    ("exhaustive", {}),
)
"""Searches that are asked what they would have found: sampler and options."""


def escapes(
    landscape: Landscape,
    *,
    standard_errors: float = 0.0,
    candidates: Sequence[Candidate] = ESCAPES,
    seed: int = 0,
    inherit: str = "none",
) -> tuple[Escape, ...]:
    """Return what each of some searches finds on a landscape, and at how many evaluations: replayed in memory, not estimated.

    `nas_fusion.analysis.cheapest` picks the one that finds the optimum with the fewest evaluations.

    Args:
        landscape: Complete.
        standard_errors: So many standard errors above the minimum still count as found, see `Landscape.optima`.
        candidates: Samplers with their options.
        seed: Of samplers that draw.
        inherit: As the searches were run: with `parent`, a configuration reached from two parents counts as two evaluations.

    Raises:
        ValueError: If a configuration is missing, or a name or option is wrong.
    """
    landscape.check_complete()
    optima = landscape.optima(standard_errors=standard_errors)
    found = []
    for sampler, options in candidates:
        run = replay(landscape, sampler, seed=seed, inherit=inherit, **options)
        found.append(
            Escape(
                sampler=sampler,
                options=options,
                evaluations=run.evaluations,
                found_after=next((i for i, seen in enumerate(run.order, start=1) if seen in optima), None),
                regret=run.regret,
                finds=run.best in optima,
                order=run.order,
            )
        )
    return tuple(found)
