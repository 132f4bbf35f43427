"""What is kept beside an evaluation: facts that no search needs, but whoever wants to know what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas_fusion.cohorts import Inputs
from nas_fusion.evaluation.folds import FoldResult
from nas_fusion.evaluation.recipes import Recipe
from nas_fusion.ingredients import ingredients
from nas_fusion.space import SearchSpace


def details_of(space: SearchSpace, inputs: Inputs, recipe: Recipe, results: Sequence[FoldResult] = ()) -> dict[str, Any]:
    """Return what is kept beside an evaluation.

    That is what became of each training, the plug-ins that its models are made of, and what the space notes of the cohort.

    Args:
        space: Whose it is.
        inputs: What the cohort's subjects look like.
        recipe: How it was made.
        results: Of each training; none for an ensemble.
    """
    uses: dict[str, list[str]] = {}
    for made in recipe.models():
        for kind, names in space.uses(made.configuration or space.baseline).items():
            uses.setdefault(kind, []).extend(names)
    notes = {name: fact for name, fact in space.notes(inputs).items() if name != "sentences"}
    found: dict[str, Any] = {"plugins": ingredients(uses), **({"notes": notes} if notes else {})}
    return found | ({"folds": [result.details() for result in results]} if results else {})
