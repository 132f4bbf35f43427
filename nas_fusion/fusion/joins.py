"""Joins: at which of their taps the streams meet at a point, and which point comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

Taps = Mapping[str, str]
"""Modality to the name of its tap, for those that meet."""


def joins(
    points: Sequence[str], table: Mapping[str, Taps] | None, available: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, str]]:
    """Return at which tap of each stream a point is, in an order that all streams agree with.

    Two points at the same tap of a stream are passed in the order of the table, and of `points` where that does not say.

    Example:
        >>> streams = {"T1w": ("layer1", "layer2"), "clinical": ("hidden",)}
        >>> joins(["early"], {"early": {"clinical": "hidden", "T1w": "layer2"}}, streams)
        {'early': {'T1w': 'layer2', 'clinical': 'hidden'}}

    Args:
        points: The points that are used.
        table: Point to the modalities that meet there, at least two, and their taps. At a point that it does not name, all
            streams meet at their tap of the point's own name. It may name points that are not used.
        available: Modality to the names of its stream's taps, in order.

    Returns:
        Point to modality to tap, for every point that is named anywhere, modalities in the order of `available`.

    Raises:
        ValueError: If a modality or a tap is unknown, fewer than two modalities meet at a point, or two streams pass points in
            opposite order.
    """
    given = dict(table or {})
    found = {point: _checked(point, taps, available) for point, taps in given.items()}
    for point in points:
        if point not in given:
            _check_own_tap(point, available)
            found[point] = dict.fromkeys(available, point)
    return {point: found[point] for point in _ordered(found, available)}


def _checked(point: str, taps: Taps, available: Mapping[str, Sequence[str]]) -> dict[str, str]:
    for modality, tap in taps.items():
        if modality not in available:
            raise ValueError(f"`taps` must name modalities among {list(available)}, but got {modality!r} at {point!r}.")
        if tap not in available[modality]:
            known = list(available[modality])
            raise ValueError(f"`taps` must name taps of {modality!r}, {known}, but got {tap!r} at {point!r}.")
    if len(taps) < 2:
        raise ValueError(f"`taps` must let at least two modalities meet at each point, but got {list(taps)} at {point!r}.")
    return {modality: taps[modality] for modality in available if modality in taps}


def _check_own_tap(point: str, available: Mapping[str, Sequence[str]]) -> None:
    for modality, taps in available.items():
        if point not in taps:
            raise ValueError(f"`modules` must sit at taps of {modality!r}, {list(taps)}, but got {point!r}.")


def _ordered(found: Mapping[str, Taps], available: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the points in an order in which each stream passes its taps, of several the one nearest to the order given."""
    depth = {
        point: {modality: available[modality].index(tap) for modality, tap in taps.items()} for point, taps in found.items()
    }
    left, order = list(found), list[str]()
    while left:
        free = [point for point in left if not any(_before(depth[other], depth[point]) for other in left)]
        if not free:
            raise ValueError(f"`taps` must let all streams pass the points in one order, but got {_circle(left, depth)}.")
        order.append(free[0])
        left.remove(free[0])
    return order


def _before(first: Mapping[str, int], second: Mapping[str, int]) -> str | None:
    """Return a stream that passes the first of two points before the second, if there is one."""
    return next((modality for modality, place in first.items() if place < second.get(modality, place)), None)


def _circle(points: Sequence[str], depth: Mapping[str, Mapping[str, int]]) -> str:
    """Return in words which points, each with another one before it, go round in a circle."""
    passed = [points[0]]
    while passed[-1] not in passed[:-1]:
        before = [point for point in points if _before(depth[point], depth[passed[-1]])]
        closing = [point for point in passed if point in before]
        passed.append((closing or before)[0])
    circle = list(reversed(passed[passed.index(passed[-1]) :]))
    steps = [f"{a!r} before {b!r} in {_before(depth[a], depth[b])!r}" for a, b in pairwise(circle)]
    return " and ".join(steps)
