"""How far a search stayed from the best configuration, and why."""

from __future__ import annotations

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.landscape import Landscape
from nas_fusion.analysis.naming import chosen_in_words, in_words


def how_far_from_optimum(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return whether a search found the landscape's optimum; nothing without a complete landscape, or for an exhaustive search.

    Args:
        comparison: Whose landscape is the ground truth.
        arm: One of its searches.
    """
    landscape = comparison.landscape
    if landscape is None or not landscape.complete or arm.best is None or len(arm.evaluations) >= len(landscape):
        return []
    regret = landscape.regret(arm.best)
    return [_trapped(comparison, arm, landscape) if regret > NEGLIGIBLE else _found(comparison, arm, landscape)]


def _found(comparison: Comparison, arm: Arm, landscape: Landscape) -> Finding:
    assert arm.best is not None
    evaluations, every = len(arm.evaluations), len(landscape)
    sentence = (
        f"{arm.title} needed {evaluations} of {every} evaluations ({100 * evaluations / every:.0f} %) and its choice, "
        f"{chosen_in_words(comparison.space, arm)}, is {_nearness(landscape.regret(arm.best))}."
    )
    return Finding("optimum_found", sentence, level="good")


def _nearness(regret: float) -> str:
    return "the best of all" if regret == 0 else f"{regret:.3f} nats above the best of all, which training again may swap"


def _trapped(comparison: Comparison, arm: Arm, landscape: Landscape) -> Finding:
    assert arm.best is not None
    space, optimum = comparison.space, landscape.optimum
    sentence = (
        f"{arm.title} is trapped: after {len(arm.evaluations)} of {len(landscape)} evaluations it stopped at "
        f"{in_words(space, arm.best)} ({landscape.loss(arm.best):.3f} nats on the landscape), but {in_words(space, optimum)} "
        f"reaches {landscape.minimum:.3f}, a regret of {landscape.regret(arm.best):.3f}.{_lure(arm, comparison, landscape)}"
    )
    causes = (
        "some points are worth little alone and much together, so no single step leads there",
        "inherited weights favour what the path has trained longest",
        "a candidate on the way failed to train",
    )
    return Finding("greedy_trapped", sentence, causes, _wider(comparison, arm))


def _lure(arm: Arm, comparison: Comparison, landscape: Landscape) -> str:
    """What the parts of the optimum are worth alone, where each looks worse than the first step that was taken."""
    space = comparison.space
    parts = [space.complete({p: choice}) for p, choice in space.active(landscape.optimum).items()]
    if len(parts) < 2 or len(arm.path) < 2 or any(part in arm.path for part in parts):
        return ""
    alone = ", ".join(f"{in_words(space, part)} {landscape.loss(part):.3f}" for part in parts)
    return f" Its parts alone look worse than {in_words(space, arm.path[1])} ({landscape.loss(arm.path[1]):.3f}): {alone}."


def _wider(comparison: Comparison, arm: Arm) -> str:
    beams = [other for other in comparison.searches if other.name == "beam"]
    if any(beam is arm or (beam.regret or 0) > NEGLIGIBLE for beam in beams):
        return next_command(comparison, {"--sampler": "exhaustive"}, verb="search")
    return next_command(comparison, {"--sampler": "beam", "--sampler-set": "width=2"}, verb="search")
