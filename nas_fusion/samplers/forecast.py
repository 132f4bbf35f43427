"""What a model expects of configurations that are not evaluated yet, and what is worth evaluating among them."""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, ndtr

from nas_fusion.samplers.coding import Coded, Floats
from nas_fusion.samplers.quadratic import Model, mixed

_LEAST_VARIANCE = 1e-14


class Forecast:
    """What a model expects of candidates, and what is worth evaluating among them.

    Evaluations that are under way are taken for certain to come out as expected (Ginsbourger, Le Riche and Carraro, Kriging is
    well-suited to parallelize optimization, 2010: the kriging believer): they lower the uncertainty about candidates like them.

    Args:
        model: The posterior.
        coded: The candidates.
    """

    def __init__(self, model: Model, coded: Coded) -> None:
        self._model, self._coded = model, coded
        self.components = model.components(coded)
        self._best = model.least_expected()

    @property
    def mean(self) -> Floats:
        """(candidates,) array: the expected loss, in the unit of the data."""
        return self._model.in_unit(mixed(self.components, lambda component: component.mean))

    @property
    def standard_deviation(self) -> Floats:
        """(candidates,) array: of the loss without noise, in the unit of the data."""
        centre = mixed(self.components, lambda component: component.mean)
        variance = mixed(self.components, lambda c: c.variance * c.setting.scale + (c.mean - centre) ** 2)
        return self._model.in_unit(np.sqrt(variance), is_difference=True)

    def log_expected_improvement(self) -> Floats:
        """Return the logarithm of how much a candidate is expected to be better than the best so far, standardised."""
        parts = [
            np.log(component.weight)
            + log_improvement(self._best - component.mean, component.variance * component.setting.scale)
            for component in self.components
        ]
        return np.asarray(np.logaddexp.reduce(parts))

    def believe(self, position: int) -> None:
        """Take a candidate for evaluated with the loss that is expected of it."""
        one = self._coded.rows([position])
        remainder = self._model.remainder(one, self._coded)
        for component in self.components:
            row = self._model.covariance(component.setting, one, self._coded, remainder)
            row -= component.solved[:, position] @ component.solved
            row /= np.sqrt(component.variance[position] + component.setting.nugget)
            component.solved = np.vstack([component.solved, row])
            component.variance = np.maximum(component.variance - row**2, 0.0)


def log_improvement(gain: Floats, variance: Floats) -> Floats:
    """Return log E[max(0, X)] of normal X; stable far from 0, where the plain formula is 0 (arXiv 2310.20708, equation 9)."""
    deviation = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    z = gain / deviation
    near, far = np.maximum(z, -1.0), np.minimum(z, -1.0)
    plain = np.log(np.exp(-(near**2) / 2) / np.sqrt(2 * np.pi) + near * ndtr(near))
    ratio = np.sqrt(np.pi / 2) * erfcx(-far / np.sqrt(2))  # Mills' ratio: 1 - |z| times it falls like z^-2
    tail = np.where(far < -1e4, -2 * np.log(-far), np.log(np.maximum(1 + far * ratio, 1e-16)))
    return np.asarray(np.log(deviation) + np.where(z > -1.0, plain, tail - far**2 / 2 - np.log(2 * np.pi) / 2))
