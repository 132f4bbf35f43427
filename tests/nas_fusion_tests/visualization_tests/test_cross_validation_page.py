"""The page of a cross-validation: exact numbers of its figure, and that the file is complete in itself."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from nas_fusion.analysis.cross_validation import difference
from nas_fusion.visualization.cross_validation import _get_differences_info, differences_figure, write_cross_validation
from tests.nas_fusion_tests.analysis_tests.crossed import crossed

BASE, LOWER = [0.60, 0.62, 0.58, 0.61], [0.40, 0.43, 0.39, 0.40]
RESULT = crossed({"A_0": BASE, "fused": LOWER, "alone": [0.7, 0.6, math.inf, math.inf]}, folds=4)


def test_differences_and_intervals() -> None:
    fused, alone = _get_differences_info(RESULT, "loss")
    expected = difference(RESULT, "fused", "loss")
    assert (fused.title, alone.title) == ("fused everywhere", "x alone")
    assert (fused.mean, fused.low, fused.high) == pytest.approx((-0.1975, expected.low, expected.high))
    assert alone.mean == pytest.approx(0.04)


def test_figure() -> None:
    figure = differences_figure(RESULT)
    (trace,) = figure.data
    assert trace.x == pytest.approx((-0.1975, 0.04)) and list(figure.layout.yaxis.ticktext) == ["fused everywhere", "x alone"]
    assert figure.layout.xaxis.title.text == "loss of the arm minus that of A_0: no fusion (nats)"
    assert differences_figure(RESULT, "auc").layout.xaxis.title.text == "AUC of the arm minus that of A_0: no fusion"


def test_page(tmp_path: Path) -> None:
    result = replace(RESULT, space="tiny", cohort={"name": "<b>", "subjects": 40}, command="nas-fusion cross-validate tiny")
    page = write_cross_validation(result, tmp_path / "new" / "page.html").read_text()
    assert "Cross-validation: tiny on &lt;b&gt;" in page and "Fused everywhere predicts better than the baseline" in page
    assert "nas-fusion cross-validate tiny" in page and "default-src 'none'" in page
    for name in ("loss", "accuracy", "auc"):
        assert f'id="figure-differences-{name}"' in page


def test_one_arm_has_no_figure(tmp_path: Path) -> None:
    page = write_cross_validation(crossed({"A_0": BASE}, folds=4), tmp_path / "page.html").read_text()
    assert "figure-differences" not in page and "0.602 ± 0.017" in page
