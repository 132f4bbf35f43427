"""Weight inheritance: what the record shows is what was measured, and the ways to train are what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import _answers as answers
from benchmarks import weight_inheritance as inheritance
from nas_fusion import load_cohort

RECORD = answers.RECORDS / f"{inheritance.NAME}.json"


def training(validation: float | None, test: float, epochs: int, before: int) -> dict[str, Any]:
    curve = [0.7] * (epochs - 1) + [validation]
    return {"validation": validation, "test": test, "epochs": epochs, "lineage_epochs": epochs + before, "curve": curve}


def row(seed: int, better: float) -> dict[str, Any]:
    """A cohort in which warm models are better than those from scratch, and prefer another point."""
    arms = {}
    for name, way in inheritance.ways(10, 5e-3).items():
        before = 10 if way.inherits else 0
        epochs = way.plan.get("inherited_epochs", way.plan["epochs"])
        favourite = "layer2" if way.inherits else "layer3"
        arms[name] = {
            points: training(0.2 if points == favourite else 0.25, 0.3 - better * way.inherits, epochs, before)
            for points in inheritance.SETS
        }
    return {"seed": seed, "target": 0.41, "arms": arms, "subjects": {points: [0.1, 0.05, 0.15] for points in inheritance.FUSED}}


def test_ways_differ_in_epochs_rate_and_start() -> None:
    ways = inheritance.ways(10, 5e-3)
    assert ways[inheritance.LOW].plan["inherited_learning_rate"] == pytest.approx(5e-4)
    assert ways[inheritance.HALF].plan["inherited_epochs"] == 5 and ways[inheritance.TOTAL].plan == {"epochs": 20}
    assert [name for name, way in ways.items() if not way.inherits] == [inheritance.SAME, inheritance.TOTAL]


def test_equal_totals_have_equal_epochs() -> None:
    results = [row(1, 0.05)]
    warm, total = (inheritance.speed(results, way) for way in (inheritance.WARM, inheritance.TOTAL))
    assert warm["total"] == total["total"] == total["budget"] == 20 and warm["budget"] == 10
    assert warm["own"] == 10 and warm["with_lineage"] == 20 and total["own"] == total["with_lineage"] == 20


def test_differences_choices_and_their_price() -> None:
    results = [row(1, 0.05), row(2, 0.07)]
    found = inheritance.differences(results, inheritance.TOTAL, inheritance.WARM)
    assert found == pytest.approx([0.05, 0.07])
    assert inheritance.chosen(results[0], inheritance.WARM) == "layer2"
    assert inheritance.chosen(results[0], inheritance.TOTAL) == "layer3"
    for each in results:
        each["arms"][inheritance.TOTAL]["layer2"]["test"] = 0.34
    assert inheritance.price(results, inheritance.WARM) == pytest.approx([0.04, 0.04])
    assert inheritance.agreement(results[0], inheritance.WARM, inheritance.HALF) == pytest.approx(1.0)


def test_runs_that_never_learned_diverged_or_were_shaken_are_counted() -> None:
    results = [row(1, 0.05)]
    arms = results[0]["arms"][inheritance.SAME]
    arms["layer1"] = training(0.6, 0.6, 10, 0)
    arms["layer4"] = training(None, np.log(2), 10, 0)
    arms["layer2"]["curve"][0] = 1.5
    found = inheritance.speed(results, inheritance.SAME)
    assert (found["runs"], found["reached"], found["diverged"], found["shaken"]) == (6, 4, 1, 2)
    text = inheritance.answer([*results, row(2, 0.07)])
    assert "Of 12 runs each learned fusion: 12 warm, 10 from scratch with the same epochs, 12 with the same total" in text
    assert "shows no clear difference against scratch (scratch − warm +0.060," in text
    assert "wins against scratch" in inheritance.answer([*results, row(2, 0.0501)])


@pytest.mark.slow
def test_inheriting_shares_one_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inheritance, "SETS", {"none (control)": (), "layer1": ("layer1",)})
    monkeypatch.setattr(inheritance, "FUSED", ("layer1",))
    found = inheritance.run(1, load_cohort("simulated-mri", shape=8, train=8, validation=4, test=4), str(tmp_path), 2)
    arms = found["arms"]
    assert [arms[way]["layer1"]["lineage_epochs"] for way in arms] == [4, 3, 4, 2, 4]
    assert arms[inheritance.SAME]["none (control)"]["epochs"] == 2
    gap = arms[inheritance.TOTAL]["layer1"]["test"] - arms[inheritance.WARM]["layer1"]["test"]
    assert found["subjects"]["layer1"][0] == pytest.approx(gap)


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_page_is_made_from_the_record() -> None:
    record = json.loads(RECORD.read_text())
    assert RECORD.with_suffix(".md").read_text() == inheritance.page(record)
    assert len(record["results"]) >= 5
