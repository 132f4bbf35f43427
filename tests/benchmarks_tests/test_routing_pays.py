"""The record of a case in which routing pays: what is compared is what was trained, and the verdict follows the interval."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks import routing_pays
from nas_fusion import load_cohort

RECORD = routing_pays.RECORDS / f"{routing_pays.NAME}.json"
FACTS = {
    "command": "python -m benchmarks.routing_pays",
    "conditions": dict.fromkeys(
        ("date", "processor", "cores", "python", "nas-fusion", "torch", "monai", "optuna", "numpy"), "x"
    ),
    "cohort": {"task": "mixture"},
    "space": {"anchor": 2},
    "routed": {"fused": "e4k2"},
    "tried": [("parity", "width 64", "1000: .5, .4")],
}


def rows(static: list[float], routed: list[float]) -> list[dict[str, Any]]:
    return [
        {"seed": i, "arms": {"static": {"loss": a}, "routed": {"loss": b}}}
        for i, (a, b) in enumerate(zip(static, routed, strict=True))
    ]


@pytest.mark.parametrize(
    ("routed", "verdict"),
    [
        ([0.2, 0.21, 0.19], "better in 3 of 3: routing pays"),
        ([0.6, 0.61, 0.59], "better in 0 of 3: routing costs"),
        ([0.2, 0.6, 0.4], "better in 1 of 3: the interval holds zero"),
    ],
)
def test_the_verdict_follows_the_interval(routed: list[float], verdict: str) -> None:
    page = routing_pays.page(rows([0.4, 0.41, 0.4], routed), FACTS)
    assert verdict in page
    assert f"Static minus routed: {np.mean([0.4, 0.41, 0.4]) - np.mean(routed):+.4f}" in page


@pytest.mark.slow
def test_both_models_are_trained_equally_long_from_the_same_stages() -> None:
    cohort = load_cohort("simulated-connectomes", task="mixture", train=24, validation=12, test=12, regions=20)
    row = routing_pays.run(0, cohort, None, {**routing_pays.SPACE, "stage1_epochs": 1, "stage3_epochs": 1})
    static, routed = row["arms"]["static"], row["arms"]["routed"]
    assert static["stages"] == routed["stages"] and "static" not in static["stages"]
    assert static["loss"] != routed["loss"] and all(np.isfinite(arm["loss"]) for arm in (static, routed))


def test_the_record_is_of_ten_seeds_that_did_not_find_the_setting() -> None:
    record = json.loads(RECORD.read_text())
    assert [row["seed"] for row in record["results"]] == list(range(10))
    assert record["cohort"] == dict(routing_pays.COHORT) and record["space"] == dict(routing_pays.SPACE)
    found = [row["arms"]["static"]["loss"] - row["arms"]["routed"]["loss"] for row in record["results"]]
    low, high = stats.t.interval(0.95, 9, np.mean(found), stats.sem(found))
    page = RECORD.with_suffix(".md").read_text()
    assert f"{low:+.4f} to {high:+.4f}" in page and f"{sum(d > 0 for d in found)} of 10" in page
