"""What is kept beside an evaluation: facts that no search needs, but whoever wants to know what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas_fusion.evaluation.folds import FoldResult
from nas_fusion.evaluation.recipes import Recipe
from nas_fusion.ingredients import ingredients
from nas_fusion.space import SearchSpace


def details_of(space: SearchSpace, recipe: Recipe, results: Sequence[FoldResult] = ()) -> dict[str, Any]:
    """Return what is kept beside an evaluation: what became of each training, and the plug-ins that its models are made of.

    Args:
        space: Whose it is.
        recipe: How it was made.
        results: Of each training; none for an ensemble.
    """
    uses: dict[str, list[str]] = {}
    for made in recipe.models():
        for kind, names in space.uses(made.configuration or space.baseline).items():
            uses.setdefault(kind, []).extend(names)
    found: dict[str, Any] = {"plugins": ingredients(uses)}
    return found | ({"folds": [result.details() for result in results]} if results else {})
