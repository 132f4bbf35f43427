from __future__ import annotations

from dataclasses import replace

import pytest

from nas_fusion.visualization import curves_figure
from nas_fusion.visualization.curves import _get_curves_info
from tests.nas_fusion_tests.analysis_tests.builders import planted_comparison


def test_curves_are_means_over_folds_up_to_the_shortest() -> None:
    comparison = planted_comparison()
    arm = comparison.arms[0]
    first = replace(arm.evaluations[0], curves=((1.0, 0.8, 0.6), (0.6, 0.4)))
    infos = _get_curves_info(comparison, replace(arm, evaluations=(first, *arm.evaluations[1:])))
    assert infos[0].name == "A₀" and infos[0].losses == pytest.approx((0.8, 0.6))
    assert [info.name for info in infos if info.accepted] == ["A₀", "layer2"]


def test_what_was_accepted_is_drawn_last_and_named() -> None:
    figure = curves_figure(planted_comparison())
    assert len(figure.data) == 8
    assert [trace.name for trace in figure.data if trace.showlegend] == ["A₀", "layer2"]
    assert [trace.name for trace in figure.data][-2:] == ["A₀", "layer2"]
    assert figure.data[-1].y[0] == pytest.approx(0.92)
