"""The one look at the test subjects: after every search has ended, of all arms together, kept so that it is not repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_fusion.analysis import Arm, Comparison
    from nas_fusion.cohorts import Cohort
    from nas_fusion.record import Predictions
    from nas_fusion.study.laboratory import Laboratory


def test_all(laboratory: Laboratory, comparison: Comparison) -> int:
    """Evaluate every arm on the test subjects, unless that is known, and return how many were evaluated.

    Call it when no search can use what it shows any more.

    Raises:
        ValueError: If the cohort has no test subjects.
    """
    splits = laboratory.cohort.splits
    if splits is None or not splits.test:
        raise ValueError(f"`data` must have test subjects for a final evaluation, but {laboratory.cohort.name} has none.")
    unknown = [keys for arm in comparison.arms if known_test(laboratory, keys := tuple(keys_of(arm))) is None]
    if unknown:
        test = laboratory.cohort.subset(splits.test)
        for keys in dict.fromkeys(unknown):
            laboratory.store.put_predictions(test_key(keys, laboratory.cohort), laboratory.worker.predict(keys, test))
    return len(unknown)


def keys_of(arm: Arm) -> list[str]:
    """Return the keys of the models whose probabilities an arm averages: what a search chose, or a reference's members."""
    chosen = arm.chosen
    return [evaluation.key for evaluation in arm.evaluations] if chosen is None else [chosen.key]


def known_test(laboratory: Laboratory, keys: Sequence[str]) -> Predictions | None:
    """Return the predictions of some models together on the test subjects, `None` if they have not been made."""
    key = test_key(keys, laboratory.cohort)
    return laboratory.store.predictions(key).grouped(laboratory.groups) if laboratory.store.has(key) else None


def test_key(keys: Sequence[str], cohort: Cohort) -> str:
    """Return the key of what some models together say of a cohort's test subjects."""
    text = json.dumps([sorted(keys), cohort.fingerprint, cohort.splits.test if cohort.splits else ()])
    return f"test-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
