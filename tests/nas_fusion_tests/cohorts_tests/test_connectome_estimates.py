"""Connectivity from time series, against numpy and nilearn."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from nilearn import signal
from nilearn.connectome import ConnectivityMeasure
from sklearn.covariance import LedoitWolf

from nas_fusion.cohorts.connectome_estimates import ESTIMATES, covariance, partial, pearson, standardised
from nas_fusion.cohorts.connectome_options import ConnectomeOptions

SERIES = np.random.default_rng(1).normal(size=(60, 9)) @ (np.eye(9) + 0.3) * np.arange(1, 10) + 5


def reference(kind: str) -> np.ndarray[Any, Any]:
    """Return what nilearn makes of the series that it has standardised."""
    cleaned = signal.clean(SERIES, detrend=False, standardize="zscore_sample")
    return np.asarray(ConnectivityMeasure(kind=kind).fit_transform([cleaned])[0])


def test_pearson_is_the_textbook_formula() -> None:
    scores = (SERIES - SERIES.mean(axis=0)) / SERIES.std(axis=0)
    assert np.allclose(pearson(SERIES), scores.T @ scores / len(SERIES), atol=1e-12)


def test_covariance_is_nilearns() -> None:
    assert np.allclose(covariance(SERIES), reference("covariance"), atol=1e-10)


def test_partial_is_nilearns_and_the_scaled_inverse() -> None:
    assert np.allclose(partial(SERIES), reference("partial correlation"), atol=1e-10)
    precision = np.linalg.inv(LedoitWolf().fit(standardised(SERIES)).covariance_)
    scale = np.sqrt(np.diag(precision))
    expected = -precision / np.outer(scale, scale)
    np.fill_diagonal(expected, 1)
    assert np.allclose(partial(SERIES), expected, atol=1e-10)


@pytest.mark.parametrize("name", ESTIMATES)
def test_laws_of_all_estimates(name: str) -> None:
    estimate, order = ESTIMATES[name], np.random.default_rng(2).permutation(9)
    matrix = estimate(SERIES)
    assert np.array_equal(matrix, matrix.T)
    assert np.allclose(estimate(SERIES[:, order]), matrix[np.ix_(order, order)], atol=1e-10)
    assert np.allclose(estimate(SERIES * 3 - 7), matrix, atol=1e-8)
    if name != "tangent":
        assert np.allclose(np.diag(matrix), 1) and np.abs(matrix).max() <= 1 + 1e-12


def test_covariance_is_positive_definite_with_fewer_time_points_than_regions() -> None:
    series = np.random.default_rng(3).normal(size=(30, 90))
    assert np.linalg.eigvalsh(covariance(series).astype(np.float32)).min() > 0.01


def test_partial_needs_nilearn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nilearn.connectome", None)
    with pytest.raises(
        ValueError, match=r"`fc` must be pearson or tangent where nilearn is not installed \(`pip install 'nas-fusion"
    ):
        partial(SERIES)
    assert np.allclose(covariance(SERIES).trace(), 9, atol=0.5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"missing": "keep"},
            "`missing` must be error or drop for connectomes, whose models need every modality, but got 'keep'",
        ),
        ({"missing": "no"}, "`missing` must be one of error, drop, keep, but got 'no'"),
        ({"series": "TN"}, "`series` must be one of TxN, NxT, but got 'TN'"),
        ({"fc": "FC=cosine"}, "`fc` must be one of pearson, partial, tangent, but got 'cosine'"),
        ({"fc": "FC="}, "`fc` must be a name, or MODALITY=NAME once for each modality, but got 'FC='"),
        ({"key": "SC=a,SC=b"}, "`key` must be a name, or MODALITY=NAME once for each modality, but got 'SC=a,SC=b'"),
        ({"symmetrise": "yes"}, "`symmetrise` must be true or false, but got 'yes'"),
        ({"regions": 1}, "`regions` must be a whole number of at least 2, but got 1"),
        ({"regions": True}, "`regions` must be a whole number of at least 2, but got True"),
        ({"accept": "asymmetry"}, "`accept` must be rules among all-zero row, .*, but got 'asymmetry'"),
        ({"modalities": "SC=a+b"}, "`modalities` must be NAME or NAME=PLACE for connectomes, but 'SC' has several places"),
        ({"shape": 32}, r"`shape` must be an option of a cohort of connectomes \(modalities, .*accept\), but is none"),
        ({"serie": "TxN"}, r"Did you mean 'series'\?"),
        ({"folds": 0}, "`folds` must be a whole number of at least 1, but got 0"),
    ],
)
def test_wrong_options_are_one_clear_sentence(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ConnectomeOptions.of(options)


def test_options_may_come_from_a_command_line_or_from_python() -> None:
    typed = ConnectomeOptions.of({"key": "SC=counts, FC=ts", "fc": "partial", "accept": "negative weight, short series"})
    meant = ConnectomeOptions.of(
        {"key": {"SC": "counts", "FC": "ts"}, "fc": {"": "partial"}, "accept": ["negative weight", "short series"]}
    )
    assert typed == meant and typed.key_of("SC") == "counts" and typed.key_of("other") is None
    assert typed.estimate_of("FC") == "partial" and ConnectomeOptions().estimate_of("FC") == "pearson"
    assert ConnectomeOptions.of({"fc": "A=tangent", "key": "x"}).estimate_of("B") == "pearson"
    assert ConnectomeOptions.of({"key": "x"}).key_of("SC") == "x"
