from __future__ import annotations

import pytest

from nas_fusion.analysis import bootstrap_scores
from nas_fusion.visualization import arms_figure
from nas_fusion.visualization.arms import _get_arms_info
from tests.nas_fusion_tests.analysis_tests.builders import one_search, planted_comparison


def test_each_arm_has_its_intervals() -> None:
    comparison = planted_comparison()
    infos = _get_arms_info(comparison)
    assert len(infos) == 10
    assert infos[0].label == 'SFSA<br><span style="font-size:11px">layer2</span>'
    assert infos[3].label == "A_0, logits averaged" and infos[-1].label == "Early fusion (ours)"
    assert infos[0].validation == bootstrap_scores(comparison.arms[0].validation)["loss"]
    assert infos[0].validation.value == pytest.approx(0.52)
    test = infos[6].test
    assert test is not None and test.value == pytest.approx(0.66)


def test_untouched_test_subjects_are_not_drawn() -> None:
    assert [info.test for info in _get_arms_info(one_search())] == [None, None]
    assert [trace.name for trace in arms_figure(one_search()).data] == ["validation"]


def test_the_figure_draws_intervals_and_floors() -> None:
    figure = arms_figure(planted_comparison())
    validation, test = figure.data
    assert validation.x[0] == pytest.approx(0.52) and test.x[1] == pytest.approx(0.32)
    assert validation.y[0] == pytest.approx(10.14) and test.y[0] == pytest.approx(9.86)
    low = _get_arms_info(planted_comparison())[0].validation.low
    assert validation.x[0] - validation.error_x.arrayminus[0] == pytest.approx(low, abs=2e-5)
    assert [shape.x0 for shape in figure.layout.shapes] == [0.199, 0.627]
