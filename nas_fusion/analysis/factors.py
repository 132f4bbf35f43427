"""Factors: a parameter's distribution as a random input of a model, uniform on its range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Array = npt.NDArray[np.floating]

_NODES = 64  # of the quadrature over a continuous range
_MOST_VALUES = 256  # beyond, integers and steps count as a continuous range


class Nodes(NamedTuple):
    """A factor's values with their probabilities, or a quadrature of them.

    Attributes:
        points: `(nodes, columns)`, encoded.
        weights: `(nodes,)`, summing to 1.
    """

    points: Array
    weights: Array


@dataclass(frozen=True)
class Factor:
    """A parameter as an input of a model: uniform on its range, on a log scale where its distribution has one.

    Encoded, a choice is a row with a single 1; a number lies in [0, 1]. A factor that may be absent has a last column that
    says so, and then stands in the middle of its range, or has no choice.

    Attributes:
        distribution: Optuna's, with more than one value.
        absent: Probability that a trial does not have the parameter at all (conditional spaces), in [0, 1).
    """

    distribution: BaseDistribution
    absent: float = 0.0

    @property
    def levels(self) -> int | None:
        """How many values there are, if finitely many, equally probable and never absent; `None` otherwise."""
        if self.absent or getattr(self.distribution, "log", False):
            return None
        if isinstance(self.distribution, CategoricalDistribution):
            return len(self.distribution.choices)
        return None if self._values is None else len(self._values)

    def level(self, value: Any) -> int:
        """Return which of the levels a value is, from 0."""
        if self._values is None:
            return int(self.distribution.to_internal_repr(value))
        return int(np.abs(self._values - value).argmin())

    def encode(self, values: Sequence[Any]) -> Array:
        """Return values as a model's input `(n, columns)`; `None` stands for an absent one."""
        if isinstance(self.distribution, CategoricalDistribution):
            rows = np.zeros((len(values), len(self.distribution.choices)))
            for row, value in zip(rows, values, strict=True):
                if value is not None:
                    row[int(self.distribution.to_internal_repr(value))] = 1
        else:
            rows = np.array([[0.5 if value is None else self._share(value)] for value in values])
        return np.hstack([rows, [[float(value is None)] for value in values]]) if self.absent else rows

    @cached_property
    def nodes(self) -> Nodes:
        """What expectations over the factor are sums over: exact for choices and few values, a quadrature otherwise."""
        if isinstance(self.distribution, CategoricalDistribution):
            points, weights = np.eye(len(self.distribution.choices)), np.ones(len(self.distribution.choices))
        elif self._values is not None:
            points, weights = self._share(self._values)[:, None], np.diff(self._scaled(self._edges))
        else:
            ends, weights = np.polynomial.legendre.leggauss(_NODES)
            points = (ends[:, None] + 1) / 2
        weights = weights / weights.sum()
        if not self.absent:
            return Nodes(points, weights)
        present = np.hstack([points, np.zeros((len(points), 1))])
        return Nodes(np.vstack([present, self.encode([None])]), np.append((1 - self.absent) * weights, self.absent))

    # --- numbers ---

    def _scaled(self, value: Any) -> Any:
        return np.log(value) if getattr(self.distribution, "log", False) else value

    def _share(self, value: Any) -> Any:
        assert isinstance(self.distribution, FloatDistribution | IntDistribution), "Should not reach."
        low, high = self._scaled(self.distribution.low), self._scaled(self.distribution.high)
        return (self._scaled(value) - low) / (high - low)

    @cached_property
    def _values(self) -> Array | None:
        distribution = self.distribution
        if not isinstance(distribution, FloatDistribution | IntDistribution) or distribution.step is None:
            return None
        count = round((distribution.high - distribution.low) / distribution.step) + 1
        return distribution.low + distribution.step * np.arange(float(count)) if count <= _MOST_VALUES else None

    @property
    def _edges(self) -> Array:
        """Half-way between the values: a value is as probable as the range from edge to edge."""
        assert self._values is not None, "Should not reach."
        half = (self._values[1] - self._values[0]) / 2
        return np.append(self._values - half, self._values[-1] + half)
