"""Whether subjects who lack modalities are predicted much worse, and whether there are enough of them to tell."""

from __future__ import annotations

import numpy as np
from scipy import stats

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.availability import Pattern, in_words, patterns
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.naming import chosen_in_words
from nas_fusion.analysis.paired import losses_by_subject
from nas_fusion.analysis.scores import Array

ENOUGH = 20  # subjects: the mean loss of fewer is uncertain by more than what is called much worse here
MUCH = 0.1  # nats


def by_availability(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return who is predicted much worse for what they lack, and of which patterns there are too few subjects to say.

    Judged are the test subjects where they have been looked at, else the validation subjects. A pattern of available modalities
    is called much worse where its mean loss is above that of all other subjects by more than 0.1 nats, and the interval of the
    difference (Welch's, its level divided by the number of patterns: Bonferroni) holds no zero.

    Args:
        comparison: With the availability of its subjects; nothing is said where everybody has everything.
        arm: Whose choice is judged.
    """
    losses = losses_by_subject(arm.test or arm.validation)
    where = "test" if arm.test else "validation"
    of_pattern = {
        pattern: np.array([losses[subject] for subject in sorted(subjects & losses.keys())])
        for pattern, subjects in patterns(comparison).items()
    }
    judged = [pattern for pattern, own in of_pattern.items() if len(own) >= ENOUGH]
    found = []
    for pattern in judged:
        others = np.concatenate([own for other, own in of_pattern.items() if other != pattern])
        found += _much_worse(comparison, arm, pattern, (of_pattern[pattern], others), (where, len(judged)))
    few = {pattern: len(own) for pattern, own in of_pattern.items() if len(own) < ENOUGH}
    return found + _too_few(few, where)


def _much_worse(
    comparison: Comparison, arm: Arm, pattern: Pattern, losses: tuple[Array, Array], how: tuple[str, int]
) -> list[Finding]:
    (own, others), (where, judged) = losses, how
    if len(others) < 2:
        return []
    test = stats.ttest_ind(own, others, equal_var=False)
    low, high = test.confidence_interval(1 - 0.05 / judged)
    if not (low > 0 and own.mean() - others.mean() > MUCH):
        return []
    lacking = [name for name in comparison.cohort.get("modalities", ()) if name not in pattern]
    without = f" only, without {' and '.join(lacking)}," if lacking else ""
    sentence = (
        f"Who has {in_words(pattern)}{without} is predicted much worse by {chosen_in_words(comparison.space, arm)}: "
        f"{own.mean():.3f} nats for {len(own)} {where} subjects, {others.mean():.3f} for the other {len(others)} (difference "
        f"{own.mean() - others.mean():.3f}, 95 % interval {low:.3f} to {high:.3f})."
    )
    causes = (
        f"the label depends on {' and '.join(lacking)}, which they lack" if lacking else "who has everything is harder to tell",
        "too few training subjects lack the same",
        "no modality was dropped out in training, so that few steps had to do without",
    )
    return [Finding("worse_by_availability", sentence, causes, _with_dropout(comparison))]


def _too_few(few: dict[Pattern, int], where: str) -> list[Finding]:
    if not few:
        return []
    each = ", ".join(f"{in_words(pattern)} ({n})" for pattern, n in few.items())
    sentence = (
        f"Too few {where} subjects, below {ENOUGH}, have just these modalities to say how well they are predicted: {each}."
    )
    return [Finding("few_of_a_pattern", sentence, level="note")]


def _with_dropout(comparison: Comparison) -> str:
    return next_command(comparison, {"--set": "modality_dropout=0.2"})
