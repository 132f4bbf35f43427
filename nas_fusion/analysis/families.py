"""Families of synthetic landscapes whose optimum is known: the ground truth for samplers, without training.

Every function returns the landscape of `m` points `layer1`, `layer2`, ..., each off (`none`) or on (`mmtm`), for a seed; the
same arguments give the same landscape. Losses look like cross-entropies in nats: A_0 has `BASE` where nothing else is said.
In the formulas S is the set of points that are on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from nas_fusion.analysis.landscape import Landscape
from nas_fusion.space import SearchSpace

BASE = 0.65
"""Loss of A_0, in nats: a little under chance for two classes."""

_LOW, _HIGH = 0.25, 0.70  # the range of the families that have no natural one

Array = npt.NDArray[np.floating]
Bits = npt.NDArray[np.int64]

# Loss by active points. Point 2 is the decoy: the best single point. Points 1 and 3 are worth little alone, most together.
_PLANTED = {
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


def additive(m: int, seed: int = 0, *, strength: float = 0.35, harmful: float = 0.25) -> Landscape:
    """Return a landscape without interactions: L(S) = BASE - sum of w_i over S.

    The helpful points bring Exp(1) each, scaled so that all together bring `strength`; each point but the best is harmful
    with the probability `harmful`. The optimum is the set of helpful points.

    Args:
        m: Number of points, at least 1.
        seed: Of the draws.
        strength: How far the optimum lies below A_0, in nats, in (0, 0.65).
        harmful: Probability in [0, 1).

    Raises:
        ValueError: If an argument is out of its range.
    """
    bits, generator = _bits(m, least=1), np.random.default_rng(seed)
    _check("strength", strength, 0 < strength < BASE, f"in (0, {BASE})")
    _check("harmful", harmful, 0 <= harmful < 1, "in [0, 1)")
    weights = generator.exponential(size=m)
    hurts = generator.random(m) < harmful
    hurts[np.argmax(weights)] = False
    weights *= strength / weights[~hurts].sum()
    return _landscape(BASE - bits @ np.where(hurts, -weights, weights))


def diminishing(
    m: int, seed: int = 0, *, floor: float = 0.20, shares: tuple[float, float] = (0.05, 0.5), cost: float = 0.01
) -> Landscape:
    """Return diminishing returns: L(S) = floor + (BASE - floor) * product of (1 - q_i) over S + cost * size of S.

    Each point removes a share q_i ~ U(shares) of what is left above the floor, and costs a little. Whatever the size, the
    points with the largest shares are best, so the optimum is one of m + 1 sets, and a greedy search finds it.

    Args:
        m: Number of points, at least 1.
        seed: Of the draws.
        floor: What can be reached at most, in nats, in (0, 0.65).
        shares: Range of the shares, within [0, 1).
        cost: What each point costs, in nats, in [0, 0.65).

    Raises:
        ValueError: If an argument is out of its range.
    """
    bits = _bits(m, least=1)
    _check("floor", floor, 0 < floor < BASE, f"in (0, {BASE})")
    _check("cost", cost, 0 <= cost < BASE, f"in [0, {BASE})")
    _check("shares", shares, 0 <= shares[0] <= shares[1] < 1, "a range within [0, 1)")
    left = np.log1p(-np.random.default_rng(seed).uniform(*shares, size=m))
    return _landscape(floor + (BASE - floor) * np.exp(bits @ left) + cost * bits.sum(axis=1))


def synergy_pairs(
    m: int, seed: int = 0, *, pairs: int = 1, strength: float = 0.30, decoy: float = 0.6, clash: float = 0.75
) -> Landscape:
    """Return a landscape of order 2 in which pairs pay off only together, and a decoy lures a greedy search away.

    L(S) = BASE - sum of s over the pairs within S - d [decoy in S] (1 - clash * number of members in S) + sum of e_i over S,
    where s = strength / pairs, d = decoy * s, and each point but the decoy costs e_i ~ U(0.005, 0.02). Alone, a member only
    costs: the best single point is the decoy, and from it every move is worse, so SFSA stops there with a regret of
    (1 - decoy / pairs) * strength or a little less. Which points these are is drawn. The optimum is the set of all pairs
    without the decoy, since 2 * pairs * clash > 1.

    Args:
        m: Number of points, at least 2 * pairs + 1.
        seed: Of the draws.
        pairs: Number of disjoint pairs, at least 1.
        strength: What all pairs together bring, in nats, in (0, 0.65).
        decoy: What the decoy brings, as a share of what a pair brings, in (0, 0.8].
        clash: What each member costs beside the decoy, as a share of what the decoy brings, in (0.5, 2].

    Raises:
        ValueError: If an argument is out of its range.
    """
    _check("pairs", pairs, pairs >= 1, "at least 1")
    bits, generator = _bits(m, least=2 * pairs + 1), np.random.default_rng(seed)
    _check("strength", strength, 0 < strength < BASE, f"in (0, {BASE})")
    _check("decoy", decoy, 0 < decoy <= 0.8, "in (0, 0.8]")
    _check("clash", clash, 0.5 < clash <= 2, "in (0.5, 2]")
    order = generator.permutation(m)
    members, lure = order[: 2 * pairs], order[2 * pairs]
    costs = generator.uniform(0.005, 0.02, size=m)
    costs[lure] = 0
    gain = strength / pairs
    together = bits[:, members[::2]] * bits[:, members[1::2]]
    lured = bits[:, lure] * (clash * bits[:, members].sum(axis=1) - 1)
    return _landscape(BASE - gain * together.sum(axis=1) + decoy * gain * lured + bits @ costs)


def trap(m: int, seed: int = 0) -> Landscape:
    """Return the planted landscape of `synergy_landscape` with its points, the inert ones among them, in a drawn order.

    Args:
        m: Number of points, at least 4.
        seed: Of the order.

    Raises:
        ValueError: If there are fewer than 4 points.
    """
    order = np.random.default_rng(seed).permutation(_check_points(m, 4))
    return _landscape(_planted(_bits(m)[:, order[:4]]))


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
    _check("points", points, points >= 4, "at least 4")
    return _landscape(_planted(_bits(points)[:, :4]), choice=choice)


def quadratic(m: int, seed: int = 0, *, pairwise: float = 1.0, density: float = 0.5) -> Landscape:
    """Return a random landscape of order 2: L(S) = c + sum of a_i over S + sum of b_ij over the pairs within S.

    a_i ~ N(0, 1); b_ij ~ pairwise * N(0, 1) with the probability `density`, otherwise 0; then the whole is scaled to losses
    from 0.25 to 0.70. The optimum is known by enumeration.

    Args:
        m: Number of points, at least 1.
        seed: Of the draws.
        pairwise: Size of the interactions beside that of the points alone, 0 or more.
        density: Share of the pairs that interact, in [0, 1].

    Raises:
        ValueError: If an argument is out of its range.
    """
    bits, generator = _bits(m, least=1), np.random.default_rng(seed)
    _check("pairwise", pairwise, 0 <= pairwise < np.inf, "finite and at least 0")
    _check("density", density, 0 <= density <= 1, "in [0, 1]")
    alone = generator.standard_normal(m)
    together = np.triu(pairwise * generator.standard_normal((m, m)) * (generator.random((m, m)) < density), 1)
    return _landscape(_scaled(bits @ alone + ((bits @ together) * bits).sum(axis=1)))


def nk(m: int, k: int = 2, seed: int = 0) -> Landscape:
    """Return an NK landscape: what each point contributes depends on itself and k others, at random.

    L(S) = scaled(-mean over i of f_i(x_i, x of i's k neighbours)), neighbours drawn without replacement, each f_i a table of
    2^(k + 1) draws from U(0, 1), the whole scaled to losses from 0.25 to 0.70. Interactions reach order k + 1: k = 0 is
    additive, k = m - 1 without any structure. The optimum is known by enumeration.
    Source: Kauffman and Weinberger, The NK model of rugged fitness landscapes, J. Theor. Biol. 141 (1989) 211-245.

    Args:
        m: Number of points, at least 1.
        k: Number of neighbours, in [0, m).
        seed: Of the draws.

    Raises:
        ValueError: If an argument is out of its range.
    """
    bits, generator = _bits(m, least=1), np.random.default_rng(seed)
    _check("k", k, 0 <= k < m, f"in [0, {m})")
    fitness = np.zeros(len(bits))
    for point in range(m):
        others = np.delete(np.arange(m), point)
        seen = bits[:, [point, *generator.choice(others, size=k, replace=False)]]
        fitness += generator.random(2 ** (k + 1))[seen @ (1 << np.arange(k + 1))]
    return _landscape(_scaled(-fitness))


def xor_pair(m: int, seed: int = 0, *, strength: float = 0.20, decoy: float = 0.10) -> Landscape:
    """Return a landscape whose loss drops when exactly one of two points is on, and by less when a decoy is on.

    L(S) = BASE - strength [exactly one of the pair in S] - decoy [decoy in S]; every other point is inert. Which points these
    are is drawn. On average over the rest a point of the pair changes nothing, so importances that look at one parameter at a
    time give it 0. The optima are the decoy with either point of the pair.

    Args:
        m: Number of points, at least 3.
        seed: Of the draws.
        strength: What the pair brings, in nats; with `decoy` under 0.65.
        decoy: What the decoy brings, in nats, above 0.

    Raises:
        ValueError: If an argument is out of its range.
    """
    bits, order = _bits(m, least=3), np.random.default_rng(seed).permutation(m)
    _check("strength", strength, 0 < strength < BASE, f"in (0, {BASE})")
    _check("decoy", decoy, 0 < decoy < BASE - strength, f"in (0, {BASE - strength:g})")
    one, other, lure = (bits[:, point] for point in order[:3])
    return _landscape(BASE - strength * (one != other) - decoy * lure)


def noisy(landscape: Landscape, *, sd: float = 0.02, folds: int = 5, fold_sd: float = 0.02, seed: int = 0) -> Landscape:
    """Return a landscape as folds would show it: L_f(S) = L(S) + u_f + e_f(S), its loss the mean over the folds.

    u_f ~ N(0, fold_sd²) is how hard a fold is, for all configurations alike; e_f(S) ~ N(0, sd²) is drawn for each. So the
    paired difference of two configurations has the standard error sd * √(2 / folds). The noise moves the means: the result's
    `optimum` is that of what is seen, the argument's that of the truth.

    Args:
        landscape: The truth, complete or not; of its samples only the mean counts.
        sd: Of the noise of one fold of one configuration, in nats, 0 or more.
        folds: Number of folds, at least 1.
        fold_sd: Of the folds' difficulties, in nats, 0 or more.
        seed: Of the draws.

    Raises:
        ValueError: If an argument is out of its range.
    """
    _check("folds", folds, folds >= 1, "at least 1")
    _check("sd", sd, 0 <= sd < np.inf, "finite and at least 0")
    _check("fold_sd", fold_sd, 0 <= fold_sd < np.inf, "finite and at least 0")
    generator = np.random.default_rng(seed)
    hard = fold_sd * generator.standard_normal(folds)
    means = np.array(list(landscape.losses.values()))
    losses = means[:, None] + hard + sd * generator.standard_normal((len(means), folds))
    if landscape.complete and not landscape.space.is_constrained:
        return Landscape.from_array(losses, landscape.space)
    return Landscape(dict(zip(landscape.losses, losses.tolist(), strict=True)), landscape.space)


def _noisy(family: Callable[[int, int], Landscape], m: int, seed: int = 0) -> Landscape:
    return noisy(family(m, seed), seed=seed)


def _nk(k: int, m: int, seed: int = 0) -> Landscape:
    return nk(m, k, seed)


def _two_pairs(m: int, seed: int = 0) -> Landscape:
    return synergy_pairs(m, seed, pairs=2)


FAMILIES: Mapping[str, Callable[[int, int], Landscape]] = MappingProxyType(
    {
        "additive": additive,
        "diminishing": diminishing,
        "synergy": synergy_pairs,
        "two-synergies": _two_pairs,
        "trap": trap,
        "xor": xor_pair,
        "quadratic": quadratic,
        "nk1": partial(_nk, 1),
        "nk2": partial(_nk, 2),
        "nk3": partial(_nk, 3),
        "nk5": partial(_nk, 5),
        "noisy-additive": partial(_noisy, additive),
        "noisy-synergy": partial(_noisy, synergy_pairs),
        "noisy-quadratic": partial(_noisy, quadratic),
    }
)
"""Name to function(m, seed), with the parameters that are reported: m at least 6 suits all of them."""


ORDERS: Mapping[str, int] = MappingProxyType(
    {
        "additive": 1,
        "synergy": 2,
        "two-synergies": 2,
        "xor": 2,
        "quadratic": 2,
        "nk1": 2,
        "nk2": 3,
        "nk3": 4,
        "nk5": 6,
        "trap": 4,
    }
)
"""Name to the order of the highest interaction; a family that is not named has all orders, or noise."""


def _bits(m: int, *, least: int = 1) -> Bits:
    """Return which points are on `(2^m, m)`, by index of the configuration."""
    return (np.arange(2 ** _check_points(m, least))[:, None] >> np.arange(m)) & 1


def _landscape(losses: Array, *, choice: str = "mmtm") -> Landscape:
    m = len(losses).bit_length() - 1
    return Landscape.from_array(losses, SearchSpace({f"layer{i}": ["none", choice] for i in range(1, m + 1)}))


def _planted(bits: Bits) -> Array:
    table = np.zeros(16)
    for points, loss in _PLANTED.items():
        table[sum(1 << point - 1 for point in points)] = loss
    found: Array = table[bits @ (1 << np.arange(4))]
    return found


def _scaled(values: Array) -> Array:
    low, high = values.min(), values.max()
    return _LOW + (_HIGH - _LOW) * (values - low) / (high - low)


def _check_points(m: int, least: int) -> int:
    _check("m", m, least <= m <= 20, f"in [{least}, 20]")
    return m


def _check(name: str, value: object, holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(f"`{name}` must be {rule}, but got {value}.")
