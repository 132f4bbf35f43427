"""How certain a mean over resampled training sets is: what samplers and analysis judge the losses of folds by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def corrected_error(values: Sequence[float] | npt.NDArray[np.float64], *, test_ratio: float) -> float:
    """Return the standard error of the mean of J values, one a training on subjects that were drawn again and again.

    The training sets overlap, so the values are not independent: the variance of their mean is taken as
    (1/J + n_test/n_train) s² instead of s²/J, and t has J - 1 degrees of freedom. J counts the folds of all repeats.

    Source: Nadeau & Bengio, Inference for the Generalization Error, Machine Learning 52 (2003), section 3, "corrected
    resampled t-test"; for (repeated) k-fold cross-validation: Bouckaert & Frank, PAKDD 2004, section 2.

    Args:
        values: Such as differences of losses, at least two.
        test_ratio: n_test/n_train, at least 0: subjects that a value is an average of, over those that its model came from.
            In k-fold cross-validation it is 1/(k - 1).
    """
    return float(np.std(values, ddof=1)) * math.sqrt(1 / len(values) + test_ratio)
