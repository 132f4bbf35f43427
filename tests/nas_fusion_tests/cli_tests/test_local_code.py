"""Code of files on the command line: a name once it may run, refused without permission, or when it has changed or gone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import optuna
import pytest

from nas_fusion import history, load_model, local_code, plugins
from nas_fusion.cli.local_code import adopt_options, adopted_names
from tests.nas_fusion_tests.cli_tests.conftest import ONE, Run
from tests.nas_fusion_tests.cli_tests.test_wrong_use import refused_in_one_sentence
from tests.nas_fusion_tests.installed import write_distribution

SOURCE = """
from dataclasses import replace
from nas_fusion import BeamSampler, plugins
from tiny_plugin import TinySpace, tiny_cohort

class MySpace(TinySpace):
    pass

@plugins.register("cohorts", "my-cohort")
def my_cohort(*, seed: int = 1):
    return replace(tiny_cohort(seed=seed), name="my-cohort", fingerprint=f"mine-{seed}")

class MySampler(BeamSampler):
    pass
"""
LOCAL = ("mine.py:MySpace", "--data", "mine.py:my_cohort", "--epochs", "1", "--set", "points=1")
BY_LOCAL = (*LOCAL, "--sampler", "mine.py:MySampler")
ALLOWED = "--allow-local-code"


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_registered", {kind: dict(held) for kind, held in plugins._registered.items()})
    monkeypatch.setattr(plugins, "_files", {})


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be as another process, which has not run the file."""
    for kind, name in plugins._files:
        del plugins._registered[kind][name]
    monkeypatch.setattr(plugins, "_files", {})
    monkeypatch.setattr(local_code, "_ran", {})


@pytest.fixture
def searched(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands in a folder with the study of a local space, on a local cohort, by a local sampler."""
    (tmp_path / "mine.py").write_text(SOURCE)
    outcome = run("search", *BY_LOCAL, ALLOWED, *ONE, "--json")
    assert outcome.code == 0, outcome.err
    assert (outcome.json["study"], outcome.json["trained"]) == ("MySpace-MySampler", 2)
    forget(monkeypatch)
    return run


def test_a_study_says_which_code_it_ran(searched: Run, tmp_path: Path) -> None:
    study = optuna.load_study(storage="sqlite:///nas-fusion-results/nas-fusion.db", study_name="MySpace-MySampler")
    stored = history.description(study)
    assert stored is not None
    code = stored["local_code"]
    path = str((tmp_path / "mine.py").resolve())
    assert [(row["kind"], row["name"], row["path"]) for row in code] == [
        ("spaces", "MySpace", path),
        ("cohorts", "my-cohort", path),
        ("samplers", "MySampler", path),
    ]
    assert {row["sha256"] for row in code} == {local_code.read_file(path).sha256}
    assert [(row["name"], row["distribution"], row["target"]) for row in stored["plugins"]] == [
        ("MySpace", None, f"{path}:MySpace"),
        ("my-cohort", None, f"{path}:my_cohort"),
        ("MySampler", None, f"{path}:MySampler"),
    ]
    assert stored["command"].startswith(
        "nas-fusion search mine.py:MySpace --sampler mine.py:MySampler --data mine.py:my_cohort"
    )
    assert ALLOWED in stored["command"]


def test_studies_of_installed_plug_ins_name_no_local_code(finished: Run) -> None:
    study = optuna.load_study(storage="sqlite:///nas-fusion-results/nas-fusion.db", study_name="tiny-sfsa")
    stored = history.description(study)
    assert stored is not None and "local_code" not in stored
    assert [(row["name"], row["distribution"], row["version"]) for row in stored["plugins"]][:2] == [
        ("tiny", "tiny-plugin", "1.0"),
        ("tiny-cohort", "tiny-plugin", "1.0"),
    ]


def test_commands_on_such_a_study_need_the_permission(searched: Run) -> None:
    for command in ("report", "worker", "evaluate", "dashboard"):
        outcome = searched(command)
        assert outcome.code == 2
        refused_in_one_sentence(outcome.err, "`--allow-local-code` must be given .* the space 'MySpace' is code of /.*/mine.py")
    for command in ("report", "worker", "evaluate"):
        assert searched(command, ALLOWED).code == 0
    again = searched("search", *BY_LOCAL, ALLOWED, *ONE, "--json").json
    assert (again["trained"], again["evaluations"]) == (2, 2)  # nothing was added to them


@pytest.mark.parametrize(
    "command",
    [
        "search mine.py:MySpace",
        "search tiny --data mine.py:my_cohort",
        "search tiny --sampler mine.py:MySampler",
        "search fusion-points --module mine.py:MyModule",
        "search expert-routing --set gating=mine.py:MyRouter",
        "compare tiny --samplers sfsa,mine.py:MySampler",
        "cross-validate mine.py:MySpace",
        "list samplers mine.py:MySampler",
        "cohort check mine.py:my_cohort",
    ],
)
def test_nothing_runs_without_the_permission(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "mine.py").write_text("raise AssertionError('it ran')")
    outcome = run(*command.split(), *(ONE if command.split()[0] in ("search", "compare", "cross-validate") else ()))
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, r"must be installed unless --allow-local-code .* but got 'mine\.py:")
    made = tmp_path / "nas-fusion-results" / "nas-fusion.db"
    assert not made.exists() or optuna.get_all_study_names(f"sqlite:///{made}") == []


def test_code_that_has_changed_or_is_gone_is_refused(searched: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{SOURCE}\nnew = 1\n")
    outcome = searched("report", ALLOWED)
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, "the space 'MySpace' is code of /.*/mine.py, which has changed: its sha256 is")
    outcome = searched("search", *BY_LOCAL, ALLOWED, *ONE)
    assert outcome.code == 2
    said = (
        "cannot be resumed: the space 'MySpace' is code of /.*/mine.py, which has changed since the study was made; the cohort"
    )
    refused_in_one_sentence(outcome.err, said)

    (tmp_path / "mine.py").unlink()
    outcome = searched("report", ALLOWED)
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, "the space 'MySpace' is code of /.*/mine.py.* cannot be read: No such file")


MODULE = """
import torch
from nas_fusion import FusionModule, register_module

@register_module("my_shift")
class Shift(FusionModule):
    def __init__(self, channels, *, spatial_dims=3):
        super().__init__(channels, spatial_dims=spatial_dims)
        self.by = torch.nn.Parameter(torch.zeros(1))

    def forward(self, features):
        self.check(features)
        return [feature + self.by * features[i - 1].mean() for i, feature in enumerate(features)]
"""


def test_a_module_of_a_file_is_searched_exported_and_loaded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shift.py"
    path.write_text(MODULE)
    search = ("search", "fusion-points", "--module", "shift.py:Shift", "--data", "tiny-cohort", "--set", "points=layer2")
    search = (*search, "--epochs", "1", ALLOWED, *ONE, "--json")
    first = run(*search, "--study", "first")
    assert first.code == 0, first.err
    assert (first.json["trained"], first.json["reused"]) == (2, 0)
    assert run("export", "--study", "first", "--to", "model").code == 0
    assert run(*search, "--study", "again").json["reused"] == 2
    forget(monkeypatch)
    with pytest.raises(ValueError, match=r"`--allow-local-code` must be given .* the module 'my_shift' is code of /.*shift.py"):
        load_model("model")
    assert load_model("model", allow_local_code=True).facts["space"]["options"]["modules"] == ["my_shift"]
    path.write_text(MODULE.replace("mean()", "amax()"))
    other = run(*search, "--study", "other").json
    assert (other["trained"], other["reused"]) == (2, 0)  # what the old code computed is no answer


@pytest.mark.slow
def test_other_processes_run_the_code_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    outcome = run("search", *BY_LOCAL, ALLOWED, "--workers", "2", "--json")
    assert outcome.code == 0, outcome.err
    assert (outcome.json["study"], outcome.json["trained"]) == ("MySpace-MySampler", 2)


def test_fixed_models_are_compared_with_local_code_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    outcome = run("cross-validate", *LOCAL, ALLOWED, "--folds", "2", "--arm", "p0=on", *ONE, "--json")
    assert outcome.code == 0, outcome.err


def test_local_code_is_listed_and_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    rows = {row["name"]: row for row in run("list", "samplers", "mine.py:MySampler", ALLOWED, "--json").json["samplers"]}
    path = str((tmp_path / "mine.py").resolve())
    assert rows["MySampler"] == {
        "name": "MySampler",
        "target": f"{path}:MySampler",
        "from": "local code",
        "error": "",
        "also_claimed_by": [],
    }
    assert rows["sfsa"]["from"].startswith("nas-fusion ")
    assert rows["tpe"]["from"] == f"optuna {optuna.__version__}"
    assert "mine.py:my_cohort is valid" in run("cohort", "check", "mine.py:my_cohort", ALLOWED).out.replace(
        "my-cohort", "mine.py:my_cohort"
    )


def test_the_listing_says_who_else_claims_a_name(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path / "more")
    points = "[nas_fusion.spaces]\ntiny = tiny_plugin:TinySpace\n"
    write_distribution(tmp_path / "more", "a-plugin", "2.0", points)
    write_distribution(tmp_path / "more", "scrawl", "0.1", "[nas_fusion.spaces]\nnonsense\n")
    outcome = run("list", "spaces")
    [tiny] = [line for line in outcome.out.splitlines() if line.startswith("tiny ")]
    assert "a-plugin 2.0" in tiny and "tiny-plugin 1.0 would bring another 'tiny', which is not used." in tiny
    assert "scrawl 0.1" in outcome.out and "its entry points cannot be read" in outcome.out
    rows = {row["name"]: row for row in run("list", "spaces", "--json").json["spaces"]}
    assert rows["tiny"]["also_claimed_by"] == ["tiny-plugin 1.0"]


def test_a_plug_in_that_is_gone_is_named_with_its_distribution(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if not folder.endswith("cli_tests/plugin")])
    for command in ("report", "worker", "evaluate"):
        outcome = finished(command)
        assert outcome.code == 2
        said = r"no space 'tiny' \(tiny_plugin:TinySpace of the distribution tiny-plugin 1\.0\) and no cohort 'tiny-cohort'"
        refused_in_one_sentence(outcome.err, said)


def test_options_of_spaces_that_name_plug_ins(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class A: pass\nclass B: pass\n")
    typed = {"modules": ["mmtm", f"{path}:A"], "backbones": {"T1w": f"{path}:B"}, "gating": f"{path}:B", "epochs": 3}
    kinds = {"modules": "modules", "backbones": "backbones", "gating": "routers", "absent": "modules"}
    adopt_options(typed, kinds, allowed=True)
    assert json.loads(json.dumps(typed)) == {"modules": ["mmtm", "A"], "backbones": {"T1w": "B"}, "gating": "B", "epochs": 3}
    assert adopted_names("modules", f"{path}:B, mmtm", allowed=True) == "B,mmtm"
    assert (
        adopted_names("modules", f"mmtm(T1w,FLAIR),{path}:B(T1w,T2w),{path}:A", allowed=True) == "mmtm(T1w,FLAIR),B(T1w,T2w),A"
    )
