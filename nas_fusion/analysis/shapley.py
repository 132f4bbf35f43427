"""Shapley values of points and their pairwise interactions: what a module at a point is worth, and with which other."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_fusion.analysis.landscape import Landscape
from nas_fusion.space import Configuration

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class PointValues:
    """What the points of a landscape are worth, in nats: a positive value lowers the loss.

    The worth of a set of points is how much lower the loss is than the baseline's when just these are on; a point that has no
    effect there adds nothing.

    Attributes:
        on: What being on means for each point: the points are its keys, in the space's order.
        values: Shapley value of each point: its gain, averaged over all orders in which points can be switched on. They sum
            to `gain`.
        interactions: Shapley interaction index of each pair, in the space's order: how much more two points bring together
            than one by one, averaged over what else is on. Positive: synergy; negative: the one makes the other redundant.
        errors: Standard error of each Shapley value over folds (or seeds), `None` where there is one loss a configuration.
        gain: Loss of the baseline minus that of all points on.
    """

    on: Mapping[str, str]
    values: Mapping[str, float]
    interactions: Mapping[tuple[str, str], float]
    errors: Mapping[str, float] | None
    gain: float

    @property
    def alone(self) -> dict[str, float]:
        """What remains of each value when its interactions are told apart: value - half of the sum of the point's interactions.

        Together with the interactions these sum to `gain`: the 2-Shapley values (k-SII of order 2; Bordt and von Luxburg 2023,
        arXiv 2209.04012).
        """
        return {
            point: value - sum(shared for pair, shared in self.interactions.items() if point in pair) / 2
            for point, value in self.values.items()
        }

    def interaction(self, one: str, other: str) -> float:
        """Return the interaction of two points, in either order.

        Raises:
            ValueError: If they are not two of the points.
        """
        for pair in ((one, other), (other, one)):
            if pair in self.interactions:
                return self.interactions[pair]
        raise ValueError(f"`one` and `other` must be two of {list(self.values)}, but got {one!r} and {other!r}.")


def point_values(landscape: Landscape, *, on: Mapping[str, str] | None = None) -> PointValues:
    """Return the exact Shapley values and pairwise Shapley interactions of a landscape's points.

    Args:
        landscape: It must know every set of points with the choices of `on`.
        on: For each parameter the choice that counts as on, where there are several. Parameters that are not named have the
            optimum's choice, or where it leaves them off, that of the lowest loss when it alone is on.

    Raises:
        ValueError: If a configuration is missing, or `on` names an unknown parameter or choice, or one that is off.
    """
    on = _meaning_of_on(landscape, on or {})
    sets = _sets(landscape, on)
    losses = np.array([landscape.losses[points] for points in sets])
    worths = _tensor(losses[0] - losses)
    values, shared = shapley_values(worths), shapley_interactions(worths)
    return PointValues(
        on=on,
        values=dict(zip(on, values.tolist(), strict=True)),
        interactions={(a, b): float(shared[i, j]) for (i, a), (j, b) in itertools.combinations(enumerate(on), 2)},
        errors=_errors(on, [landscape.samples[points] for points in sets]),
        gain=float(losses[0] - losses[-1]),
    )


def shapley_values(worths: Array) -> Array:
    """Return the Shapley value of each player of a game.

    phi_i = sum over S without i of s! (m - s - 1)! / m! * (v(S + i) - v(S)), s the size of S. Source: Shapley 1953.

    Args:
        worths: Worth of each coalition, `(2,) * m`: index 1 on axis i where player i takes part. m at least 1.

    Returns:
        `(m,)`, summing to the worth of all minus that of none.

    Raises:
        ValueError: If it has another shape.
    """
    _check_game(worths)
    weights = _weights(worths.ndim, 1)
    return np.array([np.diff(worths, axis=player).ravel() @ weights for player in range(worths.ndim)])


def shapley_interactions(worths: Array) -> Array:
    """Return the Shapley interaction index of each pair of players.

    I_ij = sum over S without i and j of s! (m - s - 2)! / (m - 1)! * (v(S + i + j) - v(S + i) - v(S + j) + v(S)).
    Source: Grabisch and Roubens, An axiomatic approach to the concept of interaction among players in cooperative games,
    Int. J. Game Theory 28 (1999) 547-565, for coalitions of two.

    Args:
        worths: As for `shapley_values`.

    Returns:
        `(m, m)`, symmetric, 0 on the diagonal.

    Raises:
        ValueError: If it has another shape.
    """
    _check_game(worths)
    found = np.zeros((worths.ndim, worths.ndim))
    if worths.ndim == 1:
        return found
    weights = _weights(worths.ndim, 2)
    for i, j in itertools.combinations(range(worths.ndim), 2):
        found[i, j] = found[j, i] = np.diff(np.diff(worths, axis=i), axis=j).ravel() @ weights
    return found


def _weights(players: int, held: int) -> Array:
    """Return the weight of each coalition of the players that are not among the `held` ones, `(2^(players - held),)`."""
    rest = players - held
    by_size = [1 / ((rest + 1) * math.comb(rest, size)) for size in range(rest + 1)]
    sizes = np.zeros(1, dtype=np.int64)
    for _ in range(rest):
        sizes = np.concatenate([sizes, sizes + 1])
    return np.array(by_size)[sizes]


def _check_game(worths: Array) -> None:
    if worths.ndim < 1 or worths.shape != (2,) * worths.ndim:
        raise ValueError(f"`worths` must have the shape (2, ..., 2), an axis a player, but got {worths.shape}.")


def _meaning_of_on(landscape: Landscape, given: Mapping[str, str]) -> dict[str, str]:
    space = landscape.space
    for parameter, choice in given.items():
        if choice not in space.parameters.get(parameter, ())[1:]:
            raise ValueError(
                f"`on` must map parameters of the space to choices that are not off, but got {parameter}={choice!r}."
            )
    return {parameter: given.get(parameter) or _best_choice(landscape, parameter) for parameter in space.parameters}


def _best_choice(landscape: Landscape, parameter: str) -> str:
    space = landscape.space
    chosen, choices = landscape.optimum[parameter], space.parameters[parameter][1:]
    if chosen in choices:
        return chosen
    return choices[0] if len(choices) == 1 else min(choices, key=lambda c: landscape.loss(space.complete({parameter: c})))


def _sets(landscape: Landscape, on: Mapping[str, str]) -> list[Configuration]:
    """Return the canonical form of each set of points; the last point varies fastest, so that a reshape has an axis a point."""
    space = landscape.space
    sets = itertools.product(*((space.off(point), choice) for point, choice in on.items()))
    found = [space.canonical(dict(zip(on, chosen, strict=True))) for chosen in sets]
    missing = [points for points in found if points not in landscape.losses]
    if missing:
        known = len(found) - len(missing)
        raise ValueError(
            f"`landscape` must hold all {len(found)} sets of points, but got {known} of them: {dict(missing[0])} is missing."
        )
    return found


def _tensor(worths: Array) -> Array:
    return worths.reshape((2,) * (len(worths).bit_length() - 1))


def _errors(on: Mapping[str, str], samples: list[tuple[float, ...]]) -> dict[str, float] | None:
    """Return the standard error of each value: being linear in the losses, it has one value a sample."""
    count = len(samples[0])
    if count < 2 or any(len(sample) != count for sample in samples):
        return None
    by_sample = [shapley_values(_tensor(losses[0] - losses)) for losses in np.array(samples).T]
    return {
        point: statistics.stdev(values) / math.sqrt(count)
        for point, values in zip(on, np.transpose(by_sample).tolist(), strict=True)
    }
