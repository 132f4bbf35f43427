"""The record of the real cohorts: what its page shows is what was measured, and it shows what the documentation says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks._real_cohorts_page import arms_of, interval, kept, lead, page, values
from benchmarks.real_cohorts import RECORDS, SETTINGS, Setting, row, scores, seeds
from nas_fusion.analysis import Arm
from nas_fusion.cohorts.breast_cancer import breast_cancer
from nas_fusion.record import Predictions


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads((RECORDS / "real_cohorts.json").read_text())  # type: ignore[no-any-return]


def arm(right: list[bool]) -> Arm:
    """An arm that gives the right class of each subject, or of the other one, a probability of 0.8."""
    labels = np.arange(len(right)) % 2
    chosen = np.where(right, labels, 1 - labels)
    rows = np.where(np.eye(2)[chosen] == 1, 0.8, 0.2)
    said = Predictions(tuple(f"s{i}" for i in range(len(right))), np.zeros(len(right), np.int64), labels, rows)
    return Arm("A_0", "late", 0.5, said, test=said)


def line(**accuracies: list[float]) -> dict[str, Any]:
    """A division with the accuracy of each arm on its units."""
    arms = {name: {"accuracy": {f"p{i}": value for i, value in enumerate(found)}} for name, found in accuracies.items()}
    return {"test_ratio": 0.25, "arms": arms}


def test_scores_are_of_each_group() -> None:
    found = scores(arm([True, False, True, True]), {"s0": "p1", "s1": "p1", "s2": "p2", "s3": "p2"})
    assert found["accuracy"] == {"p1": 0.5, "p2": 1.0} and found["validation"] == 0.5
    assert found["test"]["p2"] == pytest.approx(-math.log(0.8))
    assert found["test"]["p1"] == pytest.approx(-(math.log(0.8) + math.log(0.2)) / 2)
    assert scores(arm([True, False]), {})["accuracy"] == {"all": 0.5}


def test_the_interval_is_that_of_the_corrected_resampled_t() -> None:
    found = [0.7, 0.8, 0.9, 0.6]
    wanted = stats.t.ppf(0.975, 3) * np.std(found, ddof=1) * math.sqrt(1 / 4 + 0.25)
    low, high = 0.75 - wanted, 0.75 + wanted
    assert interval(found, [line()]) == pytest.approx((0.75, low, high))
    assert math.isnan(interval([0.5], [line()]).low)


def test_leads_are_paired() -> None:
    rows = [line(A_0=[0.5, 0.9], late_fusion=[0.6, 1.0]), line(A_0=[0.1], late_fusion=[0.2])]
    assert values(rows, "A_0", "accuracy") == [0.5, 0.9, 0.1]
    assert lead(rows, "late_fusion") == pytest.approx((0.1, 0.1, 0.1))  # the same difference everywhere: nothing uncertain


def test_a_division_is_measured_with_both_rules(tmp_path: Path) -> None:
    setting = Setting(seeds(1), "", {"points": "layer2,layer4", "epochs": 1, "batch_size": 64})
    cohort = breast_cancer(folds=2)
    found = row(cohort, setting, 0, str(tmp_path))
    assert arms_of([found])[:3] == ["alone:mean", "alone:error", "alone:worst"] and arms_of([found])[-1] == "sfsa, one_se"
    assert found["test_ratio"] == pytest.approx(114 / 455)
    assert found["searches"]["best"]["path"] == found["searches"]["one_se"]["path"]  # one search, two selections
    lowest = found["landscape"][0]
    assert lowest["value"] == min(entry["value"] for entry in found["landscape"])
    assert found["searches"]["best"]["selected"] == lowest["points"]
    assert found["arms"]["sfsa, best"]["validation"] == pytest.approx(lowest["value"])


def test_every_person_is_tested_once() -> None:
    people = [int(n) for options in SETTINGS["watch"].splits for n in options["test_people"].split(",")]
    assert sorted(people) == list(range(1, 11))


def test_page_is_made_from_the_record(record: dict[str, Any]) -> None:
    assert (RECORDS / "real_cohorts.md").read_text() == page(record)


def test_all_cohorts_are_recorded_as_they_are_set(record: dict[str, Any]) -> None:
    assert list(record["results"]) == list(SETTINGS)
    for name, result in record["results"].items():
        assert len(result["rows"]) == len(SETTINGS[name].splits) and result["space"] == SETTINGS[name].space


def test_one_se_keeps_late_fusion_on_the_watch(record: dict[str, Any]) -> None:
    rows = record["results"]["watch"]["rows"]
    assert kept(rows, "one_se") == len(rows) == 5
