"""The coding of categorical parameters for models of second order: contrasts of choices and of pairs, and what lies beyond."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_DECAY = 0.3  # of the remainder's variance from one order of interaction to the next, a parameter


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

    @property
    def n_coefficients(self) -> int:
        """The number of coefficients of a second-order landscape, the constant included."""
        return 1 + len(self.owners)

    def features(self, levels: Ints) -> Floats:
        """Return the columns of main effects and pairs, scaled so that each order's sum of squares has mean 1.

        Args:
            levels: (configurations, parameters) array of positions of choices.

        Returns:
            (configurations, coefficients) array.
        """
        main = [contrasts[levels[:, i]] for i, contrasts in enumerate(self._contrasts)]
        scaled = [block / np.sqrt(block.shape[1]) for block in main]
        pairs = [(scaled[i][:, :, None] * scaled[j][:, None, :]).reshape(len(levels), -1) for i, j in self._pairs]
        columns = [block / np.sqrt(len(scaled)) for block in scaled] + [block / np.sqrt(len(self._pairs)) for block in pairs]
        return np.hstack(columns)

    def remainder(self, left: Ints, right: Ints) -> Floats:
        """Return the kernel of all interactions of order 3 and more, 1 between equal configurations.

        With s_i = 1 where two configurations agree on parameter i and -1/(L_i - 1) where they do not, the product of all
        1 + r s_i is the sum over all orders q of r^q e_q(s), of which those up to 2 are taken away. With two parameters at most
        there is none.
        """
        agree = _one_hot(left, self.sizes), _one_hot(right, self.sizes)
        apart = np.array([-1.0 / (size - 1) for size in self.sizes])

        def total(function: Callable[[Floats], Floats]) -> Floats:
            weights = np.repeat(function(np.ones(1)) - function(apart), self.sizes)
            return np.asarray(function(apart).sum() + (agree[0] * weights) @ agree[1].T)

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


def _one_hot(levels: Ints, sizes: tuple[int, ...]) -> Floats:
    return np.hstack([np.eye(size)[levels[:, i]] for i, size in enumerate(sizes)])
