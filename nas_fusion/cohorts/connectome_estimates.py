"""Functional connectivity from time series: Pearson and partial correlation, and covariance for the tangent space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf

Matrix = npt.NDArray[np.floating[Any]]
EXTRA = "`pip install 'nas-fusion[connectomes]'`"


def pearson(series: Matrix) -> Matrix:
    """Return the correlation of each pair of regions `(regions, regions)`.

    Args:
        series: `(time points, regions)`, no region constant.
    """
    return _symmetric(np.asarray(np.corrcoef(series, rowvar=False)))


def partial(series: Matrix) -> Matrix:
    """Return the correlation of each pair of regions given all others, from a Ledoit-Wolf covariance, `(regions, regions)`.

    Args:
        series: `(time points, regions)`, no region constant.

    Raises:
        ValueError: If nilearn is not installed.
    """
    check_available("partial")
    from nilearn.connectome import ConnectivityMeasure

    measure = ConnectivityMeasure(LedoitWolf(store_precision=False), kind="partial correlation")
    return _symmetric(np.asarray(measure.fit_transform([standardised(series)]))[0])


def covariance(series: Matrix) -> Matrix:
    """Return the Ledoit-Wolf covariance of standardised series, positive definite, `(regions, regions)`.

    The tangent space needs a reference, the mean of some subjects: whoever trains a model takes it from the training subjects,
    so here no subject's numbers depend on another's. (Varoquaux et al. 2010, section 2; Ledoit and Wolf 2004.)

    Args:
        series: `(time points, regions)`, no region constant.
    """
    return _symmetric(LedoitWolf(store_precision=False).fit(standardised(series)).covariance_)


def standardised(series: Matrix) -> Matrix:
    """Return series with mean 0 and sample standard deviation 1 in each region."""
    centred = series - series.mean(axis=0)
    return np.asarray(centred / centred.std(axis=0, ddof=1))


ESTIMATES: dict[str, Callable[[Matrix], Matrix]] = {"pearson": pearson, "partial": partial, "tangent": covariance}


def check_available(estimate: str) -> None:
    """Raise unless the library is installed that an estimate needs.

    Raises:
        ValueError: If it is not.
    """
    if estimate != "partial":
        return
    try:
        import nilearn.connectome  # noqa: F401
    except ImportError:
        raise ValueError(
            f"`fc` must be pearson or tangent where nilearn is not installed ({EXTRA}), but got 'partial'."
        ) from None


def _symmetric(matrix: Matrix) -> Matrix:
    """Return a matrix without the asymmetry of rounding."""
    return np.asarray((matrix + matrix.T) / 2)
