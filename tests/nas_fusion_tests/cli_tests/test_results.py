from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas_fusion.analysis import Escape, point_values, synergy_landscape
from nas_fusion.cli.results import comparison_json
from tests.nas_fusion_tests.analysis_tests.builders import on, one_search, planted_comparison

REPORT = Path("report.html")


def test_each_arm_says_whether_it_was_trapped_and_what_the_way_out_costs() -> None:
    escape = Escape("floating", {"direction": "forward"}, 12, 11, 0.0, True, (on(), on(2), on(1, 3)))
    found = comparison_json(planted_comparison(escapes=(escape,)), "sqlite://", REPORT)
    sfsa, beam, exhaustive = found["arms"]
    assert (sfsa["trapped"], beam["trapped"], exhaustive["trapped"]) == (True, False, False)
    assert sfsa["regret"] == pytest.approx(0.22) and sfsa["regret_standard_error"] is None
    assert sfsa["ways_out"] == [
        {
            "title": "floating search (direction=forward)",
            "sampler": "floating",
            "evaluations": 12,
            "epochs": 30.0,
            "new": 1,
            "new_epochs": 10.0,
            "replayed": True,
            "supernet": False,
            "options": {"direction": "forward"},
        },
        {
            "title": "beam search",
            "sampler": "beam",
            "evaluations": 13,
            "epochs": 130.0,
            "new": 5,
            "new_epochs": 50.0,
            "replayed": False,
            "supernet": False,
            "options": {},
        },
    ]
    assert beam["ways_out"] == []


def test_what_points_are_worth_is_part_of_it_where_everything_is_known() -> None:
    worth = point_values(synergy_landscape())
    points = comparison_json(planted_comparison(), "sqlite://", REPORT)["points"]
    assert points["values"] == worth.values and points["errors"] is None and points["on"]["layer1"] == "mmtm"
    assert {"points": ["layer1", "layer3"], "value": worth.interactions["layer1", "layer3"]} in points["interactions"]
    assert comparison_json(one_search(), "sqlite://", REPORT)["points"] is None


def test_it_is_json_as_every_reader_understands_it() -> None:
    found = comparison_json(planted_comparison(), "sqlite://", REPORT)
    assert json.loads(json.dumps(found["points"], allow_nan=False)) == found["points"]
    assert found["arms"][0]["evaluations"] == 8 and found["arms"][0]["share_of_exhaustive"] == 0.5
