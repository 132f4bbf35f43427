from __future__ import annotations

import pytest

from nas_fusion.visualization import losses_figure
from nas_fusion.visualization.losses import _get_losses_info, floor_lines
from tests.nas_fusion_tests.analysis_tests.builders import cohort, planted_comparison


def test_losses_and_the_best_so_far() -> None:
    sfsa, beam, _ = _get_losses_info(planted_comparison())
    assert sfsa.title == "SFSA"
    assert sfsa.losses == pytest.approx((0.65, 0.61, 0.52, 0.65, 0.63, 0.54, 0.54, 0.54))
    assert sfsa.best == pytest.approx((0.65, 0.61, 0.52, 0.52, 0.52, 0.52, 0.52, 0.52))
    assert sfsa.names[:3] == ("none", "layer1", "layer2")
    assert beam.best[-1] == pytest.approx(0.30)


@pytest.mark.parametrize(
    ("floors", "lines"),
    [
        ({}, []),
        ({"late_fusion": 0.627, "joint": 0.199}, [(0.199, "floor of any model 0.199"), (0.627, "floor of late fusion 0.627")]),
        ({"late_fusion": 0.44, "joint": 0.44}, [(0.44, "floor of any model 0.440, late fusion 0.440")]),
        ({"late_fusion": 0.6, "T1w": 0.69}, [(0.6, "floor of late fusion 0.600")]),
    ],
)
def test_floors_are_drawn_apart_or_share_a_line(floors: dict[str, float], lines: list[tuple[float, str]]) -> None:
    assert floor_lines(planted_comparison(cohort=cohort(floors=floors))) == lines


def test_the_figure_has_two_traces_a_search_and_the_floors() -> None:
    figure = losses_figure(planted_comparison())
    assert [trace.name for trace in figure.data][:2] == ["SFSA: best so far", "SFSA"] and len(figure.data) == 6
    assert list(figure.data[1].y) == pytest.approx([0.65, 0.61, 0.52, 0.65, 0.63, 0.54, 0.54, 0.54])
    assert [shape.y0 for shape in figure.layout.shapes] == [0.199, 0.627]
