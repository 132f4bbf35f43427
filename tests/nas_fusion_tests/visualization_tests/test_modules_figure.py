"""The figures and the report of a comparison of modules show what the tables hold."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from nas_fusion.visualization import module_intervals_figure, modules_figure, write_module_report
from nas_fusion.visualization.modules import _get_modules_info, intervals_caption, modules_caption
from nas_fusion.visualization.style import COLOURS, interval_bars
from tests.nas_fusion_tests.analysis_tests.modular import modular
from tests.nas_fusion_tests.analysis_tests.test_modules import GAINS

RESULT = modular(GAINS, scale=0.0, subsets=True, joint={"layer1": "film", "layer2": "mmtm"})


def test_what_is_drawn() -> None:
    info = _get_modules_info(RESULT)
    assert info.points == ("layer1", "layer2", "layer3") and info.modules == ("mmtm", "film")
    assert [list(row) for row in info.gains] == [pytest.approx([GAINS[m, p] for m in info.modules]) for p in info.points]
    assert info.is_best == ((False, True), (True, False), (False, False)) and info.shares[1] == (1.0, 0.0)
    assert info.best_of_all == ("1+2", "1+3") and info.gains_of_all == pytest.approx((0.4, 0.35))


def test_the_map() -> None:
    (heat,) = modules_figure(RESULT).data
    assert list(heat.x) == ["mmtm", "film"] and list(heat.y) == ["layer1", "layer2", "layer3", "best of all"]
    assert heat.z[0] == pytest.approx([0.1, 0.25]) and heat.z[3] == pytest.approx([0.4, 0.35])
    assert heat.zmax == -heat.zmin == pytest.approx(0.3)  # of the single points: the best of all would make them pale
    assert heat.text[1][0] == "★ +0.300<br>best in 100 %" and heat.text[0][0] == "+0.100" and heat.text[3][1] == "+0.350<br>1+3"


def test_the_intervals() -> None:
    noisy = modular(GAINS, scale=0.4)
    figure, info = module_intervals_figure(noisy), _get_modules_info(noisy)
    first, second = figure.data
    assert list(first.y) == ["layer1", "layer2", "layer3"] and first.x[1] == pytest.approx(info.gains[1][0], abs=1e-5)
    assert first.x[2] + first.error_x.array[2] == pytest.approx(info.highs[2][0], abs=2e-5)
    assert second.x[0] - second.error_x.arrayminus[0] == pytest.approx(info.lows[0][1], abs=2e-5)
    assert list(second.marker.color) == [COLOURS[1], COLOURS[0], COLOURS[0]]
    assert [each.text for each in figure.layout.annotations] == ["mmtm", "film"]


def test_what_is_not_known_is_left_out() -> None:
    partly = replace(RESULT, models={c: m for c, m in RESULT.models.items() if c != RESULT.single("film", "layer2")})
    assert math.isnan(_get_modules_info(partly).gains[1][1])
    (heat,) = modules_figure(partly).data
    assert heat.z[1][1] is None and heat.text[1][1] == ""
    assert list(module_intervals_figure(partly).data[1].y) == ["layer1", "layer3"]


def test_bars_reach_from_end_to_end() -> None:
    bars = interval_bars([1.0, 2.0], [0.5, 1.75], [1.25, 4.0], color="red")
    assert (
        bars["array"] == [0.25, 2.0] and bars["arrayminus"] == [0.5, 0.25] and bars["color"] == "red" and not bars["symmetric"]
    )


def test_the_report_is_one_file_and_says_first_whether_the_point_moves(tmp_path: Path) -> None:
    page = write_module_report(RESULT, tmp_path / "deep" / "report.html").read_text()
    assert "<title>Does the best point move with the module? choices on table</title>" in page
    order = [
        "The best point moves with the module: no point can be the best with both of mmtm and film.",
        'id="modules"',
        'id="intervals"',
        "Points and modules in numbers",
        "What the modules bring and cost",
        "How alike the modules rank 3 single points",
        "How alike the modules rank 7 subsets of points",
        "Arms compared",
        "How this was made",
    ]
    places = [page.index(words) for words in order]
    assert places == sorted(places) and 'src="http' not in page
    assert modules_caption(RESULT)[:40] in page and intervals_caption(RESULT)[:40] in page
