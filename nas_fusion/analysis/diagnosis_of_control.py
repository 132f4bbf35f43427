"""What training on without a new module brings by itself: the controls of a search."""

from __future__ import annotations

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.naming import in_words
from nas_fusion.record import Evaluation


def longer_training(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return what the last control of a search says of the moves beside it; nothing for a search without controls."""
    controls = [e for e in arm.evaluations if e.is_control]
    if not controls:
        return []
    control = controls[-1]
    before = next((e for e in arm.evaluations if _is_parent(e, control)), None)
    rivals = [e for e in arm.evaluations if e.lineage == control.lineage and not e.is_control]
    if before is None or not rivals:
        return []
    best, space = min(rivals, key=lambda e: e.value), comparison.space
    trained_on, moved = in_words(space, control.configuration or {}), in_words(space, best.configuration or {})
    sentence = (
        f"Training {trained_on} on without a new {space.words.choice} changed its loss by "
        f"{control.value - before.value:+.3f} nats ({before.value:.3f} to {control.value:.3f}); the best move beside it, "
        f"{moved}, changed it by {best.value - before.value:+.3f}, of which "
        f"{best.value - control.value:+.3f} is not longer training."
    )
    return [Finding("control", sentence, level="note")]


def _is_parent(evaluation: Evaluation, control: Evaluation) -> bool:
    """Return whether an evaluation is what a control trained on."""
    return (*evaluation.lineage, evaluation.configuration) == control.lineage
