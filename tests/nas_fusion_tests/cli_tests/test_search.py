"""`search`: what it finds, writes and says, by every kind of sampler, and what a failing model costs."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest

from tests.nas_fusion_tests.cli_tests.conftest import ONE, Run


def test_json_of_the_default_search(finished: Run, tmp_path: Path) -> None:
    outcome = finished("search", "tiny", *ONE, "--json")
    found = outcome.json
    assert outcome.code == 0
    assert found["study"] == "tiny-sfsa" and found["sampler"] == "sfsa"
    assert found["storage"] == "sqlite:///nas-fusion-results/nas-fusion.db"
    assert found["path"] == [{}, {"p0": "on"}, {"p0": "on", "p1": "on"}, {"p0": "on", "p1": "on", "p2": "on"}]
    assert found["best"] == found["path"][-1]
    assert found["evaluations"] == found["trained"] == 7 and found["reused"] == found["in_vain"] == 0
    assert found["value"] == pytest.approx(0.4571, abs=0.002) and found["baseline_value"] == pytest.approx(0.7550, abs=0.002)
    assert (tmp_path / found["report"]).read_text().lstrip().lower().startswith("<!doctype html")


def test_the_table_is_plain_and_whole_without_a_terminal(finished: Run) -> None:
    outcome = finished("search", "tiny", *ONE)
    assert "\x1b" not in outcome.out + outcome.err
    assert "p0 + p1 + p2" in outcome.out and "step 3" in outcome.out and "0.457" in outcome.out
    assert "Report: nas-fusion-results/tiny-sfsa/report.html" in outcome.out
    assert "…" not in outcome.out


def test_a_second_study_is_answered_from_the_store(finished: Run, results: Path) -> None:
    artifacts = ("--artifacts", results / "artifacts")
    found = finished("search", "tiny", *ONE, "--study", "again", *artifacts, "--json").json
    assert found["reused"] == 7 and found["trained"] == 0
    assert found["value"] == finished("search", "tiny", *ONE, "--json").json["value"]


@pytest.mark.parametrize(
    ("sampler", "options", "evaluations"),
    [
        ("beam", ("--sampler-set", "width=2"), 8),
        ("exhaustive", (), 8),
        ("grid", (), 8),
        ("bruteforce", (), 8),
        ("random", ("--trials", "4"), None),
        ("tpe", ("--trials", "4"), None),
    ],
)
def test_every_kind_of_sampler(
    finished: Run, results: Path, sampler: str, options: tuple[str, ...], evaluations: int | None
) -> None:
    command = ("search", "tiny", *ONE, "--sampler", sampler, *options, "--artifacts", results / "artifacts", "--json")
    outcome = finished(*command)
    found = outcome.json
    assert outcome.code == 0 and found["study"] == f"tiny-{sampler}"
    trials = optuna.load_study(storage=found["storage"], study_name=found["study"]).trials
    assert len(trials) == (evaluations or 4)
    if evaluations:
        assert found["evaluations"] == evaluations
    assert finished(*command).json["value"] == found["value"]
    assert len(optuna.load_study(storage=found["storage"], study_name=found["study"]).trials) == len(trials)


def test_more_trials_may_be_asked_for_later(run: Run) -> None:
    for trials in (2, 5):
        found = run("search", "tiny", *ONE, "--sampler", "random", "--trials", str(trials), "--json").json
        assert len(optuna.load_study(storage=found["storage"], study_name=found["study"]).trials) == trials


@pytest.mark.parametrize("rule", ["baseline", "none"])
def test_rules_of_inheritance(run: Run, rule: str) -> None:
    found = run("search", "tiny", *ONE, "--inherit", rule, "--json").json
    study = optuna.load_study(storage=found["storage"], study_name="tiny-sfsa")
    lineages = {json.dumps(trial.user_attrs["nas_fusion:lineage"]) for trial in study.trials if trial.number > 0}
    assert lineages == {json.dumps([dict.fromkeys(("p0", "p1", "p2"), "none")] if rule == "baseline" else [])}


def test_folds_epochs_and_modules(run: Run) -> None:
    options = ("--folds", "3", "--epochs", "1", "--module", "on,also", "--set", "points=1")
    found = run("search", "tiny", *ONE, *options, "--json").json
    trials = optuna.load_study(storage=found["storage"], study_name="tiny-sfsa").trials
    assert [trial.params["p0"] for trial in trials] == ["none", "on", "also"]
    assert all(len(trial.user_attrs["nas_fusion:fold_losses"]) == 3 for trial in trials)
    assert all(trial.user_attrs["nas_fusion:epochs"] == [1, 1, 1] for trial in trials)


def test_journal_file_and_out_folder(run: Run, tmp_path: Path) -> None:
    found = run("search", "tiny", *ONE, "--storage", "s.journal", "--out", "other/place", "--json").json
    assert found["storage"] == "s.journal" and found["report"] == "other/place/tiny-sfsa/report.html"
    assert (tmp_path / "s.journal").is_file() and list((tmp_path / "other/place/artifacts").glob("*.safetensors"))
    assert not (tmp_path / "nas-fusion-results").exists()


def test_a_model_that_crashes_is_left_out_and_nothing_is_lost(run: Run) -> None:
    outcome = run("search", "tiny", *ONE, "--set", "crash=p2", "--json")
    assert outcome.code == 0
    assert outcome.err.count("worker 0: p2 failed: RuntimeError: this model cannot be built") == 3
    assert outcome.json["best"] == {"p0": "on", "p1": "on"}
    failed = [
        trial
        for trial in optuna.load_study(storage=outcome.json["storage"], study_name="tiny-sfsa").trials
        if trial.state == optuna.trial.TrialState.FAIL
    ]
    assert {trial.user_attrs["nas_fusion:error"] for trial in failed} == {"RuntimeError: this model cannot be built"}


def test_if_every_model_crashes_the_reason_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiny_plugin

    def crash(*arguments: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(tiny_plugin.Tiny, "forward", crash)
    outcome = run("search", "tiny", *ONE, "--set", "points=1")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == "No evaluation of 'tiny-sfsa' succeeded; the last failed with MemoryError: no room"
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("name", "folder"), [("..", "%2E%2E"), ("a/../../b", "a%2F..%2F..%2Fb"), ("/x", "%2Fx"), ("ü 1.2", "ü 1.2")]
)
def test_reports_stay_in_the_folder_of_results(run: Run, tmp_path: Path, name: str, folder: str) -> None:
    outcome = run("search", "tiny", *ONE, "--study", name, "--json")
    assert outcome.code == 0 and outcome.json["study"] == name
    assert outcome.json["report"] == f"nas-fusion-results/{folder}/report.html"
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.html")] == [Path(outcome.json["report"])]


def test_dry_run_trains_nothing(run: Run, tmp_path: Path) -> None:
    outcome = run("search", "tiny", *ONE, "--folds", "2", "--dry-run", "--json")
    found = outcome.json
    assert outcome.code == 0
    assert found["largest_number_of_trainings"] == 7 and found["folds"] == 2 and found["epochs_of_a_training"] == 3
    assert found["parameters"] == 2 * (2 * 3 + 2) + 3 * 2
    assert 0 < found["hours_at_most"] < 0.1 and found["peak_memory_mib"] > 1
    parts = {row["part"]: row["subjects"] for row in found["split"]}
    assert parts["test"] == 32 and parts["fold 1: train"] + parts["fold 1: validation"] == 96
    assert all(row["no"] + row["yes"] == row["subjects"] for row in found["split"])
    assert list((tmp_path / "nas-fusion-results").rglob("*.safetensors")) == []
    assert optuna.get_all_study_names("sqlite:///nas-fusion-results/nas-fusion.db") == []


def test_the_objective_never_receives_a_test_subject(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiny_plugin

    cohort = tiny_plugin.tiny_cohort()
    held_out = {tuple(row) for row in cohort.subset(cohort.splits.test).modalities["x"].tolist()}
    seen: set[tuple[float, ...]] = set()
    forward = tiny_plugin.Tiny.forward

    def watched(self: object, inputs: dict[str, object], present: object = None) -> object:
        seen.update(tuple(row) for row in inputs["x"].tolist())  # type: ignore[attr-defined]
        return forward(self, inputs, present)

    monkeypatch.setattr(tiny_plugin.Tiny, "forward", watched)
    assert run("search", "tiny", *ONE).code == 0
    assert len(seen) >= 96 and not seen & held_out
    assert run("evaluate").code == 0
    assert held_out <= seen
