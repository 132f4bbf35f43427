"""`compare`: one pool of evaluations, one landscape, one look at the test subjects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nas_fusion_tests.cli_tests.conftest import ONE, Outcome, Run, folder_in_memory

REFERENCES = ["A_0", "alone:x", "alone:y", "late_fusion", "all_active", "ensemble_of_placements"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with one finished comparison."""
    from nas_fusion.cli.app import main

    for place in folder_in_memory():
        assert main(["compare", "tiny", *ONE, "--study", "demo", "--out", str(place)]) == 0
        yield place


@pytest.fixture
def again(run: Run, folder: Path) -> Outcome:
    """The same comparison asked for again."""
    return run("compare", "tiny", *ONE, "--study", "demo", "--out", folder, "--json")


def arms(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {arm["sampler"]: arm for arm in found["arms"]}


def test_arms(again: Outcome) -> None:
    found = arms(again.json)
    assert again.code == 0 and list(found) == ["sfsa", "beam", "exhaustive"]
    assert [arm["study"] for arm in found.values()] == ["demo-sfsa", "demo-beam", "demo-exhaustive"]
    assert [arm["evaluations"] for arm in found.values()] == [7, 8, 8]
    assert [arm["share_of_exhaustive"] for arm in found.values()] == [7 / 8, 1.0, 1.0]
    assert found["sfsa"]["trained"] == 7 and found["beam"]["trained"] == 1 and found["exhaustive"]["trained"] == 4


def test_nothing_is_trained_twice_and_search_and_audit_are_counted_apart(again: Outcome, folder: Path) -> None:
    records = [json.loads(path.read_text()) for path in (folder / "artifacts").glob("*.json")]
    evaluations = [record["evaluation"] for record in records if "evaluation" in record]
    trained = [
        evaluation for evaluation in evaluations if evaluation["reference"] is None or "alone" in evaluation["reference"]
    ]
    assert again.json["trained_for_search"] == 8  # SFSA's 7 and the one more of the beam
    assert (
        again.json["trained_for_audit"] == 4 + 2
    )  # those that exhaustive search grew from the baseline, and each vector alone
    assert len(trained) == 8 + 4 + 2
    assert "(known already)" in again.err and again.err.count(": validation loss") == again.err.count("(known already)")


def test_regret_is_read_off_one_landscape(again: Outcome) -> None:
    found = arms(again.json)
    assert again.json["landscape_inherit"] == "baseline" and again.json["inherit"] == "parent"
    best = found["exhaustive"]
    assert best["regret"] == 0 and best["landscape_value"] == best["value"]
    for arm in found.values():
        assert arm["regret"] == pytest.approx(arm["landscape_value"] - best["value"])
        assert arm["regret"] >= 0
    assert found["sfsa"]["value"] < found["sfsa"]["landscape_value"]  # it has trained longer: not to be compared


def test_every_arm_has_been_tested_once(again: Outcome, folder: Path) -> None:
    references = {reference["name"]: reference for reference in again.json["references"]}
    assert list(references) == REFERENCES
    for arm in (*again.json["arms"], *references.values()):
        value, low, high = arm["test"]["loss"]
        assert low <= value <= high
        assert set(arm["test"]) == {"loss", "accuracy", "f1", "sensitivity", "specificity", "auc"}
    assert len(list((folder / "artifacts").glob("test-*.json"))) == 8  # SFSA and beam chose the same weights


def test_test_subjects_are_looked_at_once(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas_fusion.evaluation import EvaluationWorker

    def refuse(*arguments: object) -> None:
        pytest.fail("the test subjects were looked at again")

    monkeypatch.setattr(EvaluationWorker, "predict", refuse)
    for command in (
        ("compare", "tiny", *ONE, "--study", "demo"),
        ("evaluate", "--study", "demo"),
        ("evaluate", "--study", "demo-sfsa"),
    ):
        assert run(*command, "--out", folder).code == 0


def test_tables_and_diagnosis(again: Outcome) -> None:
    for words in ("SFSA", "Exhaustive", "late fusion", "Test subjects (32)", "Regret", "trainings served the searches"):
        assert words in again.out
    assert any(line.startswith("- ") for line in again.out.splitlines())


def test_report_of_all_arms_without_a_name(run: Run, folder: Path) -> None:
    outcome = run("report", "--out", folder, "--json")
    assert outcome.code == 0 and outcome.json["study"] == "demo"
    assert Path(outcome.json["report"]) == folder / "demo" / "report.html"
    page = (folder / "demo" / "report.html").read_text()
    assert "Exhaustive" in page and 'src="http' not in page
    assert "nas-fusion compare tiny --samplers sfsa,beam,exhaustive" in page


def test_without_the_exhaustive_arm_there_is_no_regret(run: Run) -> None:
    outcome = run("compare", "tiny", *ONE, "--samplers", "sfsa,random", "--trials", "3", "--set", "points=2", "--json")
    found = arms(outcome.json)
    assert outcome.code == 0
    assert found["sfsa"]["regret"] is None and found["random"]["study"] == "tiny-random"
    assert outcome.json["landscape_inherit"] is None


def test_one_rule_for_every_arm(run: Run) -> None:
    outcome = run("compare", "tiny", *ONE, "--samplers", "sfsa,exhaustive", "--inherit", "none", "--set", "points=2", "--json")
    found = arms(outcome.json)
    assert outcome.json["landscape_inherit"] == "none"
    assert found["exhaustive"]["reused"] >= found["sfsa"]["evaluations"] - 1 > 0
    assert found["sfsa"]["value"] == found["sfsa"]["landscape_value"]


def test_dry_run_counts_every_arm_and_the_references(run: Run) -> None:
    outcome = run("compare", "tiny", *ONE, "--dry-run", "--json")
    assert outcome.code == 0 and outcome.json["largest_number_of_trainings"] == 7 + 8 + 8 + 2 + 4
    outcome = run("compare", "tiny", *ONE, "--inherit", "none", "--dry-run", "--json")
    assert outcome.json["largest_number_of_trainings"] == 8 + 2 + 4


@pytest.mark.slow
def test_two_workers_find_the_same(run: Run, again: Outcome) -> None:
    outcome = run("compare", "tiny", "--workers", "2", "--study", "demo", "--json")
    assert outcome.code == 0
    for name in ("path", "best", "value", "regret", "test", "evaluations"):
        assert [arm[name] for arm in outcome.json["arms"]] == [arm[name] for arm in again.json["arms"]]
    assert outcome.json["references"] == again.json["references"]
    assert outcome.json["trained_for_search"] == 8 and outcome.json["trained_for_audit"] == 6
