"""What the answers share: rows of trainings, pairs over seeds and tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _answers as answers
from benchmarks.expert_routing_seeds import interval
from nas_fusion import EvaluationWorker, load_cohort, load_space
from nas_fusion.record import Evaluation

TINY = ["--cohort-seeds", "1", "--shape", "8", "--train", "8", "--validation", "4", "--test", "4", "--epochs", "1"]


def test_epochs_to_a_target_are_counted_from_one() -> None:
    assert answers.epochs_to([0.7, 0.5, 0.3, 0.6], 0.5) == 3
    assert answers.epochs_to([None, 0.4], 0.5) == 2 and answers.epochs_to([0.7, 0.6], 0.5) is None
    assert answers.learned({"validation": 0.4}, 0.41) and not answers.learned({"validation": 0.41}, 0.41)
    assert not answers.learned({"validation": None}, 0.41)


def test_tables_show_students_intervals_and_clear_ones_are_found() -> None:
    pairs = {"a − b": [0.1, 0.12, 0.11], "a − c": [-0.1, 0.1, 0.05]}
    lines = answers.compared(pairs, "difference")
    found = interval(pairs["a − b"])
    assert lines[2] == f"| a − b | +0.1100 | {found.low:+.4f} to {found.high:+.4f} | 3 of 3 |" and lines[3].endswith("2 of 3 |")
    assert list(answers.clear(pairs)) == ["a − b"]


def test_midpoint_lies_between_the_floors_of_the_task() -> None:
    cohort = load_cohort("simulated-mri", shape=8, train=4, validation=2, test=2)
    joint = -0.95 * math.log(0.95) - 0.05 * math.log(0.05)
    chance = 0.05 + 0.9 * 0.3  # of the positive label in a subject without lesions
    alone = -chance * math.log(chance) - (1 - chance) * math.log(1 - chance)
    assert answers.midpoint(cohort) == pytest.approx((alone + joint) / 2, abs=1e-6)


def test_a_row_says_what_the_test_subjects_cost_and_a_diverged_one_tells_nothing(tmp_path: Path) -> None:
    cohort = load_cohort("simulated-mri", shape=8, train=8, validation=4, test=4)
    space = load_space("fusion-points")
    lab = answers.Laboratory(EvaluationWorker(space, cohort, store=tmp_path, plan={"epochs": 1}), cohort)
    row = lab.train("A_0", space.baseline)
    assert cohort.splits is not None
    said = lab.worker.predict([row["key"]], cohort.subset(cohort.splits.test))
    assert row["test"] == pytest.approx(float(said.losses.mean())) and row["epochs"] == row["lineage_epochs"] == 1
    assert row["curve"] == [round(row["validation"], 4)] and lab.gap(row, row) == [0.0, 0.0, 0.0]
    cost = {"epochs": 2.0, "lineage_epochs": 3.0}
    diverged = lab.row_of(Evaluation("key", math.nan, (math.nan,), {}, cost))
    assert diverged["validation"] is None and diverged["test"] == pytest.approx(np.log(2))
    assert diverged["curve"] == [None] and lab.gap(row, diverged) is None


def test_commands_hold_all_that_decides_the_numbers(tmp_path: Path) -> None:
    options = answers.parser("What?", (3, 4)).parse_args(["--epochs", "2", "--out", str(tmp_path)])
    options.settings = ["chain", "chain, pairs"]
    answers.write("asked", [], options, lambda record: record["command"], extra=("settings",))
    assert (tmp_path / "asked.md").read_text() == (
        "python -m benchmarks.asked --cohort-seeds 3 4 --shape 24 --train 320 --validation 160 --test 400 --epochs 2 "
        "--settings chain 'chain, pairs'"
    )
    cohort = answers.scans(1, answers.parser(None, ()).parse_args(TINY), modalities=("FLAIR", "T1w"))
    assert len(cohort) == 16 and cohort.inputs.names == ("FLAIR", "T1w")
