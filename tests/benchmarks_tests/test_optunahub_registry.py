"""The registry folder for OptunaHub: its headers follow the registry's rules, its packages load, its examples run."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection

import nas_fusion
import nas_fusion.history
from benchmarks.record_landscapes import LANDSCAPES, MADE
from nas_fusion.analysis.families import FAMILIES

optunahub = pytest.importorskip("optunahub")

REGISTRY = Path(__file__).parents[2] / "benchmarks" / "optunahub_registry" / "package"
PACKAGES = sorted(path.parent for path in REGISTRY.glob("*/*/__init__.py"))
SAMPLERS = {
    "sfsa": "SFSASampler",
    "beam": "BeamSampler",
    "backward": "BackwardSampler",
    "floating": "FloatingSampler",
    "exhaustive": "ExhaustiveSampler",
    "surrogate": "SurrogateSampler",
}
TAG_OF_CATEGORY = {"samplers": "sampler", "benchmarks": "benchmark"}


def load(package: str) -> Any:
    return optunahub.load_local_module(package, registry_root=str(REGISTRY))


def header_and_body(package: Path) -> tuple[dict[str, Any], str]:
    _, header, body = (package / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header), body


def test_one_package_for_the_landscapes_and_one_for_each_sampler() -> None:
    names = [str(package.relative_to(REGISTRY)) for package in PACKAGES]
    assert names == sorted(["benchmarks/nas_fusion_landscapes", *(f"samplers/nas_fusion_{name}" for name in SAMPLERS)])


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_headers_follow_the_rules_of_the_registry(package: Path) -> None:
    header, body = header_and_body(package)
    assert set(header) == {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert all(isinstance(header[name], str) and header[name] for name in ("author", "title", "description", "license"))
    assert all(isinstance(tag, str) for tag in header["tags"]) and TAG_OF_CATEGORY[package.parent.name] in header["tags"]
    assert all(isinstance(version, str) for version in header["optuna_versions"])
    assert optuna.__version__ in header["optuna_versions"]
    assert header["license"] == "MIT License"
    assert re.findall(r"^## (.+)$", body, re.MULTILINE)[:4] == ["Abstract", "APIs", "Installation", "Example"]
    assert "Please fill in" not in body


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_packages_have_every_file_and_export_names(package: Path) -> None:
    assert {"__init__.py", "LICENSE", "README.md", "example.py", "requirements.txt"} <= {
        path.name for path in package.iterdir()
    }
    assert (package / "LICENSE").read_text() == (Path(__file__).parents[2] / "LICENSE").read_text()
    assert "nas-fusion" in (package / "requirements.txt").read_text().split()
    module = load(str(package.relative_to(REGISTRY)))
    assert module.__name__ == f"optunahub_registry.package.{package.parent.name}.{package.name}"
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize(("name", "kind"), SAMPLERS.items())
def test_samplers_are_those_of_nas_fusion(name: str, kind: str) -> None:
    assert getattr(load(f"samplers/nas_fusion_{name}"), kind) is getattr(nas_fusion, kind)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_examples_run(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(package / "example.py"), run_name="__main__")
    assert "optimum" in capsys.readouterr().out


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_examples_on_the_pages_run(package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.+?)```", header_and_body(package)[1], re.DOTALL)
    monkeypatch.chdir(Path(__file__).parents[2])
    exec(compile(code, str(package / "README.md"), "exec"), {})
    said = capsys.readouterr().out
    expected = "'layer1': 'none', 'layer2': 'mmtm', 'layer3': 'none', 'layer4': 'none'"
    assert (expected in said) if package.parent.name == "samplers" else float(said) >= 0


def test_problem_is_the_landscape() -> None:
    problem = load("benchmarks/nas_fusion_landscapes").Problem("trap", m=5, seed=3)
    landscape = FAMILIES["trap"](5, 3)
    assert problem.search_space == {f"layer{i}": CategoricalDistribution(("none", "mmtm")) for i in range(1, 6)}
    assert problem.directions == [StudyDirection.MINIMIZE]
    assert {problem.evaluate(dict(c)) - loss for c, loss in landscape.losses.items()} == {0.0}
    assert problem.evaluate(problem.optimum) == problem.minimum == 0.30
    assert problem.regret(dict.fromkeys(problem.search_space, "none")) == pytest.approx(0.35)


def test_problem_as_objective_tells_losses_of_folds() -> None:
    problem = load("benchmarks/nas_fusion_landscapes").Problem("noisy-additive", m=4)
    study = optuna.create_study()
    study.enqueue_trial(problem.optimum)
    study.optimize(problem, n_trials=1)
    losses = nas_fusion.history.losses_of(study.trials[0])
    assert study.best_value == problem.minimum and len(losses) == 5
    assert sum(losses) / 5 == pytest.approx(problem.minimum)


def test_every_family_and_recorded_table_is_a_problem(tmp_path: Path) -> None:
    kind = load("benchmarks/nas_fusion_landscapes").Problem
    assert kind.available_landscapes == tuple(FAMILIES)
    FAMILIES["nk2"](4, 7).to_csv(tmp_path / "table.csv")
    assert kind(tmp_path / "table.csv").minimum == 0.25
    for name in json.loads((LANDSCAPES / MADE).read_text()) if (LANDSCAPES / MADE).exists() else ():
        problem = kind(str(LANDSCAPES / f"{name}.csv"))
        assert problem.evaluate(problem.optimum) == problem.minimum
    with pytest.raises(ValueError, match=r"`landscape` must be one of additive.*, but got 'nowhere'"):
        kind("nowhere")
