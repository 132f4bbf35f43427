"""What a space's parameters are worth and which belong together, in words."""

from __future__ import annotations

from nas_fusion.analysis.arms import Comparison
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.naming import named
from nas_fusion.analysis.shapley import PointValues, point_values
from nas_fusion.space import SearchSpace


def worth_of_points(comparison: Comparison) -> PointValues | None:
    """Return what the points of a comparison's landscape are worth, `None` where not every configuration is known."""
    landscape = comparison.landscape
    return point_values(landscape) if landscape is not None and landscape.complete else None


def importance_in_words(space: SearchSpace, worth: PointValues) -> str:
    """Return which point is worth most, and which two gain or lose most by being together; small effects are not named."""
    one, several = space.words.parameter, space.words.parameters
    most = max(worth.values, key=lambda point: worth.values[point])
    sentences = [
        f"{point_name(space, worth, most)} is worth most: it lowers the loss by {worth.values[most]:.3f} nats on average."
    ]
    if worth.values[most] <= NEGLIGIBLE:
        sentences = [f"No {one} is worth more than {worth.values[most]:.3f} nats on average."]
    if worth.values[most] <= 0:
        sentences = [f"No {one} lowers the loss on average."]
    ranked = sorted(worth.interactions, key=lambda pair: worth.interactions[pair])
    if ranked and worth.interactions[ranked[-1]] > NEGLIGIBLE:
        names, shared = _pair(space, worth, ranked[-1]), worth.interactions[ranked[-1]]
        sentences.append(
            f"The strongest synergy is that of {names}: together they bring {shared:.3f} nats more than one by one."
        )
    if ranked and worth.interactions[ranked[0]] < -NEGLIGIBLE:
        names, shared = _pair(space, worth, ranked[0]), -worth.interactions[ranked[0]]
        sentences.append(
            f"The strongest redundancy is that of {names}: together they bring {shared:.3f} nats less than one by one."
        )
    if len(sentences) == 1 and ranked:
        sentences.append(
            f"No two {several} interact by more than {NEGLIGIBLE} nats: each is worth about the same with and without the "
            "others."
        )
    return " ".join(sentences)


def point_name(space: SearchSpace, worth: PointValues, point: str) -> str:
    """Return what a point is called, with what being on means for it where there are several choices."""
    return named(space, point, worth.on[point])


def _pair(space: SearchSpace, worth: PointValues, pair: tuple[str, str]) -> str:
    return " and ".join(point_name(space, worth, point) for point in pair)
