"""Cross-validations made by hand: arms with the scores that are asked for, fold by fold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nas_fusion.analysis.cross_validation import METRICS, CrossValidation, FoldScore

TITLES = {"A_0": "A_0: no fusion", "fused": "fused everywhere", "alone": "x alone"}


def fold_score(arm: str, repeat: int, fold: int, values: Mapping[str, float], **more: Any) -> FoldScore:
    """One score; what is not given is 0.5."""
    scores = dict.fromkeys(METRICS, 0.5) | dict(values)
    sizes = {"n_train": 70, "n_validation": 20, "n_test": 10} | more
    return FoldScore(arm=arm, repeat=repeat, fold=fold, key=f"{arm}-{repeat}-{fold}", scores=scores, **sizes)


def crossed(
    losses: Mapping[str, Sequence[float]], *, folds: int, metric: str = "loss", against: str = "A_0", **more: Any
) -> CrossValidation:
    """Arms with one metric in each fold, one repeat after the other; a missing number is a fold that failed."""
    scores = [
        fold_score(arm, *divmod(number, folds), {metric: value}, **more)
        for arm, values in losses.items()
        for number, value in enumerate(values)
        if not math.isinf(value)
    ]
    repeats = len(next(iter(losses.values()))) // folds
    titles = {arm: TITLES.get(arm, arm) for arm in losses}
    return CrossValidation(titles, against, folds, repeats, tuple(scores))
