"""What shortened a search, what that cut, and which trainings had no finite loss."""

from __future__ import annotations

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm, Comparison, Unfinished
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.naming import in_words


def what_was_cut(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return what a search lacks: evaluations that were ended early, each with its trial, and such without a finite loss."""
    return _shortened(comparison, arm) + _not_finite(comparison, arm)


def _shortened(comparison: Comparison, arm: Arm) -> list[Finding]:
    if not arm.shortened:
        return []
    how, cut, title = " and ".join(arm.shortened), arm.pruned, arm.title.removesuffix(" (shortened)")
    if not cut:
        sentence = f"{title} was to be shortened by {how}, which ended nothing early: its result is that of the search in full."
        return [Finding("shortened", sentence, level="note")]
    folds = max((len(e.losses) for e in arm.evaluations), default=1)
    each = "; ".join(f"trial {u.trial}, {in_words(comparison.space, u.configuration)}, {_after(u, folds)}" for u in cut)
    were, count = ("was", "counts") if len(cut) == 1 else ("were", "count")
    sentence = (
        f"{title} was shortened by {how} and is not exact: {len(cut)} of its {arm.n_evaluations} evaluations {were} ended "
        f"early and {count} as not better ({each})."
    )
    return [Finding("shortened", sentence, level="note")]


def _not_finite(comparison: Comparison, arm: Arm) -> list[Finding]:
    found = [each for each in arm.unfinished if each.reason == "not finite"]
    if not found:
        return []
    each = "; ".join(f"trial {u.trial}, {in_words(comparison.space, u.configuration)}" for u in found)
    sentence = f"{arm.title} met {len(found)} without a finite loss, which count as not better ({each})."
    causes = (
        f"the learning rate is too high for a new {comparison.space.words.choice}",
        "values of the data are far outside of the usual range",
    )
    return [Finding("not_finite", sentence, causes, next_command(comparison, {"--seed": "1"}))]


def _after(unfinished: Unfinished, folds: int) -> str:
    epochs = f"{unfinished.cost.get('epochs', 0.0):.0f} epochs"
    return f"after {len(unfinished.losses)} of {folds} folds and {epochs}" if folds > 1 else f"after {epochs}"
