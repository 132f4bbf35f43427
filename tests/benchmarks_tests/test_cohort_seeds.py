"""The record of the cohort seeds: what its page shows is what was measured, and it shows what the documentation says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks.cohort_seeds import AGAINST, RECORDS, gain, page, scores
from nas_fusion.analysis import Arm
from nas_fusion.record import Predictions


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads((RECORDS / "cohort_seeds.json").read_text())  # type: ignore[no-any-return]


def arm(name: str, probability: float) -> Arm:
    """An arm that gives every subject's own class one probability."""
    labels = np.array([0, 1, 0, 1])
    rows = np.where(np.eye(2)[labels] == 1, probability, 1 - probability)
    said = Predictions(("a", "b", "c", "d"), np.zeros(4, np.int64), labels, rows)
    return Arm(name, name, float(said.losses.mean()), said, test=said)


def test_scores_and_gain_of_arms_with_known_losses() -> None:
    good, poor = arm("sfsa", 0.9), arm("A_0", 0.6)
    assert scores(good)["validation"] == pytest.approx(-np.log(0.9))
    assert scores(good)["test"] == pytest.approx([-np.log(0.9)] * 3) and scores(good)["accuracy"] == [1.0, 1.0, 1.0]
    assert gain(poor, good)["test"] == pytest.approx([np.log(0.9 / 0.6)] * 3)


def test_page_is_made_from_the_record(record: dict[str, Any]) -> None:
    assert (RECORDS / "cohort_seeds.md").read_text() == page(record["results"], record["conditions"], record["command"])


def test_fusion_pays_on_every_recorded_seed_of_discordance(record: dict[str, Any]) -> None:
    found = {row["seed"]: row for row in record["results"] if row["task"] == "discordance"}
    assert sorted(found) == [0, 1, 2, 3]
    for row in found.values():
        for other in AGAINST:
            assert row["gain"][other]["validation"][0] >= 0.25 and row["gain"][other]["test"][0] >= 0.25
        assert row["diagnosis"][0].startswith("Cross-modal fusion pays")


def test_fusion_brings_nothing_on_any_recorded_seed_of_additive(record: dict[str, Any]) -> None:
    found = [row for row in record["results"] if row["task"] == "additive"]
    assert [row["seed"] for row in found] == [0, 1, 2, 3]
    assert all(row["diagnosis"][0].startswith("Fusion brings nothing here") for row in found)
