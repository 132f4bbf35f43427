"""How far a search stayed from the best configuration, why, and what the cheapest way out would have cost."""

from __future__ import annotations

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.landscape import Landscape
from nas_fusion.analysis.naming import all_configurations, chosen_in_words, count_of_configurations, in_words
from nas_fusion.analysis.paired import paired_difference
from nas_fusion.analysis.regret import Shortfall, shortfall
from nas_fusion.analysis.ways_out import WayOut, is_trapped, ways_out

_SMALL = 64  # configurations: so many are quickly evaluated all
_MISLED = "inherited weights favour what the path has trained longest"


def how_far_from_optimum(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return whether a search found the landscape's optimum, or is trapped; nothing for a search that evaluated everything.

    A search is called trapped where its choice is above the optimum by more than 0.02 nats and by more than two standard
    errors of the difference, where folds or seeds tell it. Without a complete landscape it can only be said that another search
    of the comparison found better.

    Args:
        comparison: Whose landscape is the ground truth.
        arm: One of its searches.
    """
    landscape = comparison.landscape
    if arm.best is None:
        return []
    if landscape is None or not landscape.complete:
        return _outdone(comparison, arm)
    if len(arm.evaluations) >= len(landscape):
        return []
    return [_trapped(comparison, arm, landscape) if is_trapped(comparison, arm) else _found(comparison, arm, landscape)]


def _found(comparison: Comparison, arm: Arm, landscape: Landscape) -> Finding:
    assert arm.best is not None
    evaluations, every = arm.n_evaluations, len(landscape)
    sentence = (
        f"{arm.title} needed {evaluations} of {every} evaluations ({100 * evaluations / every:.0f} %) and its choice, "
        f"{chosen_in_words(comparison.space, arm)}, is {_nearness(shortfall(landscape, arm.best))}."
    )
    return Finding("optimum_found", sentence, level="good")


def _nearness(short: Shortfall) -> str:
    if short.regret == 0:
        return "the best of all"
    if short.standard_error is None or short.regret <= NEGLIGIBLE:
        return f"{short.in_words} nats above the best of all, which training again may swap"
    return f"{short.in_words} nats above the best of all, which is within two standard errors: this is not called trapped"


def _trapped(comparison: Comparison, arm: Arm, landscape: Landscape) -> Finding:
    assert arm.best is not None
    space, short = comparison.space, shortfall(landscape, arm.best)
    error = "" if short.standard_error is None else ", mean ± standard error of the paired difference"
    sentence = (
        f"{arm.title} is trapped: after {arm.n_evaluations} of {len(landscape)} evaluations it stopped at "
        f"{in_words(space, arm.best)} ({landscape.loss(arm.best):.3f} nats on the landscape), but "
        f"{in_words(space, landscape.optimum)} reaches {landscape.minimum:.3f}, a regret of {short.in_words}{error}."
    )
    ways = ways_out(comparison, arm)
    sentence += _lure(arm, comparison, landscape) + _way_out(arm, ways, len(landscape))
    return Finding("greedy_trapped", sentence, _causes(comparison, arm, landscape), _wider(comparison, arm, ways))


def _lure(arm: Arm, comparison: Comparison, landscape: Landscape) -> str:
    """What the parts of the optimum are worth alone, where each looks worse than the first step that was taken."""
    space = comparison.space
    parts = [space.complete({p: choice}) for p, choice in space.active(landscape.optimum).items()]
    if len(parts) < 2 or len(arm.path) < 2 or any(part in arm.path for part in parts):
        return ""
    if not all(landscape.loss(part) > landscape.loss(arm.path[1]) for part in parts):
        return ""
    alone = ", ".join(f"{in_words(space, part)} {landscape.loss(part):.3f}" for part in parts)
    return f" Its parts alone look worse than {in_words(space, arm.path[1])} ({landscape.loss(arm.path[1]):.3f}): {alone}."


def _way_out(arm: Arm, ways: list[WayOut], every: int) -> str:
    if not ways:
        return f" No other search at hand finds it with fewer than all {every} evaluations."
    shortest, nearest = ways[0], min(ways, key=lambda way: way.new)
    text = f" The cheapest way out: {_price(shortest, arm)}"
    if nearest.new < shortest.new:
        text += f"; the fewest new ones are those of {_price(nearest, arm, short=True)}"
    return f"{text}."


def _price(way: WayOut, arm: Arm, *, short: bool = False) -> str:
    new, supernet = f"{way.new} of {way.evaluations}", " and a supernet" if way.supernet else ""
    if short:
        return f"{way.title}: {new}{supernet}{_epochs(way.new_epochs)}"
    verb = ", replayed on the landscape, finds it" if way.replayed else " found it"
    return (
        f"{way.title}{verb} with {way.evaluations} evaluations{supernet}{_epochs(way.epochs)}, {way.new} of them of "
        f"configurations new to {arm.title}{_epochs(way.new_epochs)}"
    )


def _epochs(epochs: float | None) -> str:
    return "" if epochs is None else f" ({epochs:.0f} epochs)"


def _causes(comparison: Comparison, arm: Arm, landscape: Landscape) -> tuple[str, ...]:
    """Likely causes: whether the landscape itself traps single moves, or the search saw other losses or not enough."""
    assert arm.best is not None
    space, failed = comparison.space, "a candidate on the way failed to train"
    neighbours = {*space.forward_moves(arm.best), *space.backward_moves(arm.best)}
    better = {other for other in neighbours if landscape.loss(other) < landscape.loss(arm.best)}
    if any(escape.finds and escape.sampler == arm.name and not escape.options for escape in comparison.escapes):
        return ("its own losses misled it: replayed on the landscape, the same search finds the optimum", _MISLED, failed)
    if not better:
        return (space.words.local_cause, _MISLED, failed)
    if better & {e.configuration for e in arm.evaluations}:
        return ("its own losses misled it: on the landscape a single step leads further", _MISLED, failed)
    return ("a single step would have led further, but the search did not try it", failed)


def _wider(comparison: Comparison, arm: Arm, ways: list[WayOut]) -> str:
    """What needs the fewest new trainings; where nothing is known, a beam, and where a beam was trapped the whole space."""
    if ways:
        nearest = min(ways, key=lambda way: way.new)
        stated = [f"{name}={value}" for name, value in nearest.options.items()]
        options = {"--sampler": nearest.sampler} | ({"--sampler-set": stated[0]} if stated else {})
        return next_command(comparison, options, verb="search")
    if comparison.escapes or any(is_trapped(comparison, other) for other in comparison.searches if other.name == "beam"):
        return next_command(comparison, {"--sampler": "exhaustive"}, verb="search")
    return next_command(comparison, {"--sampler": "beam", "--sampler-set": "width=2"}, verb="search")


def _outdone(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Whether another search of the comparison found better, by the losses that each reached itself."""
    better = min((other for other in comparison.searches if other.best is not None), key=lambda other: other.value)
    if better is arm or better.best == arm.best or set(better.validation.subjects) != set(arm.validation.subjects):
        return []
    lead = paired_difference(arm.validation, better.validation)
    if lead.mean <= max(NEGLIGIBLE, 2 * lead.standard_error):
        return []
    space = comparison.space
    sentence = (
        f"{arm.title} missed something: it stopped at {chosen_in_words(space, arm)} ({arm.value:.3f} nats), but {better.title} "
        f"found {chosen_in_words(space, better)} ({better.value:.3f}) with {better.n_evaluations} evaluations against "
        f"{arm.n_evaluations}, a loss lower by {lead.mean:.3f} ± {lead.standard_error:.3f} nats for the same validation "
        f"subjects. How far either is from the best of {all_configurations(space)} is not known."
    )
    causes = (space.words.local_cause, "the weights that the better one inherited have been trained for longer")
    names = [other.name for other in comparison.searches]
    others = ("exhaustive",) if count_of_configurations(space) <= _SMALL else ("floating", "surrogate")
    missing = [name for name in others if name not in names]
    command = next_command(comparison, {"--samplers": ",".join([*names, *missing])}, verb="compare")
    return [Finding("outdone", sentence, causes, command)]
