"""The coding of categorical parameters for models of second order: contrasts of choices and of pairs, and what lies beyond."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_DECAY = 0.3  # of the remainder's variance from one order of interaction to the next, a parameter


@dataclass(frozen=True)
class Coded:
    """Configurations as a coding writes them.

    Attributes:
        features: (configurations, coefficients) array: main effects and pairs.
        one_hot: (configurations, choices of all parameters) array of 0 and 1.
    """

    features: Floats
    one_hot: Floats

    def rows(self, positions: Sequence[int] | Ints) -> Coded:
        """Return some of the configurations."""
        return Coded(self.features[positions], self.one_hot[positions])


class Coding:
    """Orthogonal contrasts of the choices of categorical parameters, and of pairs of them.

    A parameter of L choices has L - 1 contrasts with mean 0 and mean square 1 over its choices, the first of which tells off
    from on (for two choices: 1 and -1). Kernels therefore do not depend on which choice is called off.

    Args:
        sizes: Number of choices of each parameter, at least 2 each.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        self._contrasts = [_contrasts(size) for size in self.sizes]
        self._pairs = list(combinations(range(len(self.sizes)), 2))

    @cached_property
    def owners(self) -> Ints:
        """(coefficients, 2) array: the parameters that a coefficient belongs to, the same one twice for a main effect."""
        main = [(i, i) for i, size in enumerate(self.sizes) for _ in range(size - 1)]
        pairs = [(i, j) for i, j in self._pairs for _ in range((self.sizes[i] - 1) * (self.sizes[j] - 1))]
        return np.array(main + pairs, dtype=np.intp)

    @cached_property
    def is_pair(self) -> NDArray[np.bool_]:
        """(coefficients,) array: whether a coefficient is of a pair."""
        return self.owners[:, 0] != self.owners[:, 1]

    @cached_property
    def shares(self) -> list[tuple[Ints, Ints]]:
        """For each parameter, its coefficients, and of each of these the other parameter (the same for a main effect)."""
        left, right = self.owners.T
        mine = [np.flatnonzero((left == i) | (right == i)) for i in range(len(self.sizes))]
        return [(own, np.where(left[own] == i, right[own], left[own])) for i, own in enumerate(mine)]

    @property
    def n_coefficients(self) -> int:
        """The number of coefficients of a second-order landscape, the constant included."""
        return 1 + len(self.owners)

    def coded(self, levels: Ints) -> Coded:
        """Return configurations with their columns of main effects and pairs, each order's sum of squares with mean 1.

        Args:
            levels: (configurations, parameters) array of positions of choices.
        """
        m, pairs = len(self.sizes), len(self._pairs)
        scaled = [contrasts[levels[:, i]] / np.sqrt(contrasts.shape[1]) for i, contrasts in enumerate(self._contrasts)]
        products = [(scaled[i][:, :, None] * scaled[j][:, None, :]).reshape(len(levels), -1) for i, j in self._pairs]
        columns = [block / np.sqrt(m) for block in scaled] + [block / np.sqrt(pairs) for block in products]
        one_hot = [np.eye(size)[levels[:, i]] for i, size in enumerate(self.sizes)]
        return Coded(np.hstack(columns), np.hstack(one_hot))

    def remainder(self, left: Coded, right: Coded) -> Floats:
        """Return the kernel of all interactions of order 3 and more, 1 between equal configurations.

        With s_i = 1 where two configurations agree on parameter i and -1/(L_i - 1) where they do not, the product of all
        1 + r s_i is the sum over all orders q of r^q e_q(s), of which those up to 2 are taken away. With two parameters at most
        there is none.
        """
        apart = np.array([-1.0 / (size - 1) for size in self.sizes])

        def total(function: Callable[[Floats], Floats]) -> Floats:
            weights = np.repeat(function(np.ones(1)) - function(apart), self.sizes)
            return np.asarray(function(apart).sum() + (left.one_hot * weights) @ right.one_hot.T)

        first = total(lambda s: s)
        second = (first**2 - total(np.square)) / 2
        kernel = np.exp(total(lambda s: np.log1p(_DECAY * s))) - 1.0 - _DECAY * first - _DECAY**2 * second
        m = len(self.sizes)
        largest = (1 + _DECAY) ** m - 1.0 - _DECAY * m - _DECAY**2 * m * (m - 1) / 2
        return kernel / largest if m > 2 else np.zeros_like(kernel)


def _contrasts(size: int) -> Floats:
    """Return the (size, size - 1) Helmert contrasts of a parameter: choice k against all that follow it."""
    columns = np.zeros((size, size - 1))
    for k in range(size - 1):
        rest = size - 1 - k
        columns[k, k], columns[k + 1 :, k] = rest, -1.0
        columns[:, k] *= np.sqrt(size / (rest * (rest + 1)))
    return columns
