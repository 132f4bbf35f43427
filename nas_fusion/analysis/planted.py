"""A planted landscape on which a greedy search is trapped: for tests and documentation of samplers, without training."""

from __future__ import annotations

from collections.abc import Mapping

from nas_fusion.analysis.landscape import Landscape
from nas_fusion.space import SearchSpace

# Loss by active points. Point 2 is the decoy: the best single point. Points 1 and 3 are worth little alone, most together.
_LOSSES = {
    (): 0.65,
    (1,): 0.61,
    (2,): 0.52,
    (3,): 0.65,
    (4,): 0.63,
    (1, 2): 0.54,
    (1, 3): 0.30,
    (1, 4): 0.61,
    (2, 3): 0.54,
    (2, 4): 0.54,
    (3, 4): 0.65,
    (1, 2, 3): 0.34,
    (1, 2, 4): 0.55,
    (1, 3, 4): 0.31,
    (2, 3, 4): 0.55,
    (1, 2, 3, 4): 0.35,
}


def synergy_landscape(points: int = 4, *, choice: str = "mmtm") -> Landscape:
    """Return a landscape whose optimum, points 1 and 3 together, a greedy search does not find: point 2 lures it away.

    With 4 points SFSA stops at point 2 (loss 0.52) after 8 evaluations, a regret of 0.22; a beam of width 2 finds the optimum
    (0.30) with 13. Points beyond the fourth are inert: they change nothing.

    Args:
        points: Number of parameters `layer1`, `layer2`, ..., at least 4.
        choice: The name of the choice beside `none`.

    Raises:
        ValueError: If there are fewer than 4 points.
    """
    if points < 4:
        raise ValueError(f"`points` must be at least 4, but got {points}.")
    space = SearchSpace({f"layer{i}": ["none", choice] for i in range(1, points + 1)})
    return Landscape.from_function(_loss, space)


def _loss(configuration: Mapping[str, str]) -> float:
    return _LOSSES[tuple(i for i in range(1, 5) if configuration[f"layer{i}"] != "none")]
