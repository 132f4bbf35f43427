"""The other commands: evaluate, worker, report, dashboard, cohort, list, help."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from tests.nas_fusion_tests.cli_tests.conftest import ONE, Run


def test_help_is_light() -> None:
    code = (
        "import sys; from nas_fusion.cli.app import main; codes = [main(a) for a in (['--help'], ['search', '--help'])]; "
        "print(codes, sorted({'torch', 'monai', 'optuna', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "[0, 0] []"
    for command in ("search", "worker", "compare", "evaluate", "export", "report", "dashboard", "cohort", "list"):
        assert command in finished.stdout


def test_help_is_plain_and_whole_without_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    first, search = run("--help").out, run("search", "--help").out
    assert "once, then it is known." in first and "…" not in first + search
    assert "--artifacts DIR|URL" in search and "default: the space's embedded cohort." in search
    assert not set("╭│╰─\x1b") & set(first + search)


def test_module_is_the_command() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "nas_fusion", "list", "kinds"], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2 and "`kind` must be one of" in finished.stderr


def test_evaluate(finished: Run) -> None:
    outcome = finished("evaluate", "--json")
    assert outcome.code == 0 and outcome.json["study"] == "tiny-sfsa"
    assert set(outcome.json["test"]) == {"sfsa", "A_0"}
    assert outcome.json["test"]["sfsa"]["accuracy"][0] > outcome.json["test"]["A_0"]["accuracy"][0]
    assert finished("evaluate", "--json").json == outcome.json


def test_export(finished: Run, tmp_path: Path) -> None:
    outcome = finished("export", "--to", "model", "--json")
    assert outcome.code == 0 and outcome.json["study"] == "tiny-sfsa" and outcome.json["model"] == "model"
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    assert facts["facts"]["study"] == "tiny-sfsa" and facts["facts"]["source"] == "tiny-cohort"
    (member,) = facts["members"]
    assert member["key"] == outcome.json["key"] and (tmp_path / "model" / member["weights"][0]["file"]).is_file()
    assert "`out` must be a new or empty folder" in finished("export", "--to", "model").err
    assert finished("export").code == 2


def test_worker_joins_and_finishes_what_another_began(finished: Run) -> None:
    outcome = finished("worker", "--study", "tiny-sfsa", "--json")
    assert outcome.code == 0 and outcome.json == {"study": "tiny-sfsa", "storage": "sqlite:///nas-fusion-results/nas-fusion.db"}
    assert "The search of tiny-sfsa is complete." in outcome.out


def test_worker_needs_nothing_but_storage_and_name(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nas_fusion.study.workers

    options = ("--seed", "3", "--epochs", "2", "--set", "points=2", "--cohort-set", "train=40", "--storage", "sqlite:///s.db")
    with monkeypatch.context() as patched:
        patched.setattr(nas_fusion.study.workers.Solo, "run", lambda self, jobs: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run("search", "tiny", *ONE, *options, "--out", "a").code == 130
    assert run("worker", "--storage", "sqlite:///s.db", "--study", "tiny-sfsa").code == 0
    found = run("search", "tiny", *ONE, *options, "--out", "a", "--json")
    assert found.json["evaluations"] == 4 and "(known already)" not in found.err
    assert list((tmp_path / "a" / "artifacts").glob("*.safetensors"))


def test_data_named_relatively_are_found_from_another_folder(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    size = [word for key in ("shape=12", "train=12", "validation=8", "test=4") for word in ("--cohort-set", key)]
    assert run("cohort", "make", "simulated-mri", "--out", "bids", *size).code == 0
    words = ["--modalities", "T1w,FLAIR", "--label", "group", "--set", "preset=small", "--epochs", "1"]
    assert run("search", "fusion-points", "--data", "bids", *ONE, *words).code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outcome = run("report", "--out", tmp_path / "nas-fusion-results")
    assert (outcome.code, outcome.err) == (0, "")


def test_results_may_be_moved(finished: Run, tmp_path: Path) -> None:
    made = finished("search", "tiny", *ONE, "--out", "here", "--study", "movable", "--json").json
    (tmp_path / "here").rename(tmp_path / "there")
    outcome = finished("report", "--out", "there", "--study", "movable", "--json")
    assert outcome.code == 0 and outcome.json["report"] == "there/movable/report.html"
    assert finished("evaluate", "--out", "there", "--study", "movable", "--json").json["study"] == made["study"]


def test_lost_artifacts_are_noticed_and_computed_again(run: Run, tmp_path: Path) -> None:
    command = ("search", "tiny", *ONE, "--set", "points=2", "--json")
    made = run(*command).json
    for path in (tmp_path / "nas-fusion-results" / "artifacts").glob("*.safetensors"):
        path.write_bytes(b"damaged")
    outcome = run("report")
    assert outcome.code == 2 and "has lost them; the command that made the study computes them again." in outcome.err
    assert run(*command).json == made
    assert run("report").code == 0


def test_dashboard_shows_figures_and_artifacts(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from wsgiref.simple_server import WSGIServer

    pages: dict[str, bytes] = {}

    def visit(self: WSGIServer, poll_interval: float = 0.5) -> None:
        server = threading.Thread(target=lambda: [self.handle_request() for _ in range(4)], daemon=True)
        server.start()
        base = f"http://127.0.0.1:{self.server_port}"

        def get(path: str) -> bytes:
            with urllib.request.urlopen(base + path, timeout=20) as answer:
                return bytes(answer.read())

        studies = json.loads(get("/api/studies"))
        study = next(one["study_id"] for one in studies["study_summaries"] if one["study_name"] == "tiny-sfsa")
        pages["study"] = get(f"/api/studies/{study}")
        trial = json.loads(pages["study"])["trials"][0]
        artifact = next(one for one in trial["artifacts"] if one["filename"].endswith(".json"))
        pages["artifact"] = get(f"/artifacts/{study}/{trial['trial_id']}/{artifact['artifact_id']}")

    monkeypatch.setattr(WSGIServer, "serve_forever", visit)
    outcome = finished("dashboard", "--port", "0")
    assert outcome.code == 0 and "Listening on http://127.0.0.1:" in outcome.err
    assert len(json.loads(pages["study"])["plotly_graph_objects"]) >= 1
    assert "evaluation" in json.loads(pages["artifact"])


def test_dashboard_on_a_port_that_is_taken(finished: Run) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = finished("dashboard", "--port", str(taken.getsockname()[1]))
    assert outcome.code == 2 and "`--port` must be free on 127.0.0.1" in outcome.err


def test_lists(run: Run) -> None:
    outcome = run("list", "spaces", "--json")
    found = {row["name"]: row for row in outcome.json["spaces"]}
    assert found["tiny"]["from"] == "tiny-plugin 1.0" and found["tiny"]["error"] == ""
    assert "AttributeError" in found["broken"]["error"]
    assert {row["name"] for row in run("list", "samplers", "--json").json["samplers"]} >= {
        "sfsa",
        "beam",
        "exhaustive",
        "tpe",
        "grid",
    }
    assert "tiny-cohort" in run("list", "cohorts").out and "mmtm" in run("list", "modules").out
    assert {row["name"]: row["error"] for row in run("list", "routers", "--json").json["routers"]} == {
        "balanced": "",
        "dense": "",
        "top_k": "",
    }


@pytest.mark.slow
@pytest.mark.parametrize("modalities", ["T1w,FLAIR", "T1w,FLAIR,T2w"])
def test_files_of_the_embedded_cohort_are_searched_as_the_cohort_itself(run: Run, modalities: str) -> None:
    sizes = ("--cohort-set", "shape=16", "--cohort-set", "train=12", "--cohort-set", "validation=6", "--cohort-set", "test=4")
    options = (*ONE, "--modalities", modalities, "--epochs", "1", "--set", "points=layer2,layer4", "--json")
    assert run("cohort", "make", "simulated-mri", "--modalities", modalities, "--out", "bids", *sizes).code == 0
    embedded = run("search", "fusion-points", *sizes, *options, "--out", "a").json
    files = ("--data", "bids", "--label", "group", "--set", "preset=small")
    read = run("search", "fusion-points", *files, *options, "--out", "b").json
    assert read["path"] == embedded["path"]
    assert read["value"] == pytest.approx(embedded["value"], abs=1e-6)
    assert read["baseline_value"] == pytest.approx(embedded["baseline_value"], abs=1e-6)


def test_cohort_make_and_check(run: Run, tmp_path: Path) -> None:
    sizes = ("--cohort-set", "shape=8", "--cohort-set", "train=6", "--cohort-set", "validation=4", "--cohort-set", "test=2")
    assert run("cohort", "make", "simulated-mri", "--out", "bids", *sizes).code == 0
    assert len(list((tmp_path / "bids").rglob("*.nii.gz"))) == 24
    outcome = run("cohort", "check", "bids", "--modalities", "T1w,FLAIR", "--label", "group", "--json")
    assert outcome.code == 0 and outcome.json["source"] == "bids" and outcome.json["problems"] == []
    parts = {row["part"]: row["subjects"] for row in outcome.json["split"]}
    assert parts == {"all": 12, "train": 6, "validation": 4, "test": 2}
    assert "1 x 8 x 8 x 8" in outcome.out
    (tmp_path / "bids" / "sub-00001" / "anat" / "sub-00001_FLAIR.nii.gz").unlink()
    outcome = run("cohort", "check", "bids", "--modalities", "T1w,FLAIR", "--label", "group", "--json")
    assert outcome.code == 2 and len(outcome.json["problems"]) == 1 and "1 problem." in outcome.out
    assert outcome.json["problems"][0]["subject"] == "sub-00001" and "sub-00001" in outcome.err
    outcome = run("cohort", "make", "simulated-mri", "--out", "bids", *sizes)
    assert outcome.code == 2 and "empty folder" in outcome.err
