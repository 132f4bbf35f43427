"""The examples as a third party has them: installed by pip, tested, listed, searched with, reported, exported, and missed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_fusion import load_cohort, load_model, plugins
from nas_fusion.cli.app import main
from nas_fusion.evaluation import Store

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = ("fusion-module", "router", "space", "sampler", "cohort")
BROUGHT = {
    ("modules", "mean_exchange"): ("nas-fusion-mean-exchange", "mean_exchange:MeanExchange"),
    ("routers", "cosine"): ("nas-fusion-cosine-router", "cosine_router:CosineRouter"),
    ("spaces", "pairs"): ("nas-fusion-pairs", "pair_space:PairSpace"),
    ("samplers", "coordinates"): ("nas-fusion-coordinates", "coordinate_sampler:CoordinateSampler"),
    ("cohorts", "wine"): ("nas-fusion-wine", "wine_cohort:wine"),
}
SEARCHES = {
    "fused": "fusion-points --data wine --module mean_exchange --set points=layer2,layer3 --sampler coordinates --epochs 2",
    "paired": "pairs --epochs 2",
    "routed": "expert-routing --set gating=cosine --sampler random --trials 2 --seed 1 --epochs 1"
    " --cohort-set train=16 --cohort-set validation=8 --cohort-set test=8",
}
MADE_OF = {
    "fused": [("modules", "mean_exchange"), ("cohorts", "wine"), ("samplers", "coordinates")],
    "paired": [("spaces", "pairs"), ("cohorts", "wine")],
    "routed": [("routers", "cosine")],
}


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this Python in another process."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the path into which pip has installed all examples, and their sources beside it."""
    folder = tmp_path_factory.mktemp("third_party")
    shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    sources = [str(folder / "examples" / name) for name in FOLDERS]
    how = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    installed = python("-m", "pip", "install", *how, "--target", str(folder / "site"), *sources)
    assert installed.returncode == 0, installed.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "site")
        yield folder / "site"


@pytest.fixture(scope="module")
def results(site: Path) -> Path:
    """A folder with three studies that the examples take part in, each with its report."""
    out = site.parent / "results"
    for study, options in SEARCHES.items():
        assert main(["search", *options.split(), "--study", study, "--workers", "1", "--out", str(out)]) == 0
        assert (out / study / "report.html").stat().st_size > 10_000, list(out.rglob("*.html"))
    return out


@pytest.mark.slow
def test_their_own_tests_pass(site: Path) -> None:
    folders = [str(site.parent / "examples" / name / "tests") for name in FOLDERS]
    ran = python("-m", "pytest", "-q", "-p", "no:cacheprovider", *folders, PYTHONPATH=str(site))
    assert ran.returncode == 0, ran.stdout
    assert "failed" not in ran.stdout and "skipped" not in ran.stdout


@pytest.mark.parametrize(("kind", "name"), BROUGHT)
def test_they_are_listed_with_distribution_and_version(
    site: Path, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    distribution, target = BROUGHT[kind, name]
    assert main(["list", kind, "--json"]) == 0
    [row] = [row for row in json.loads(capsys.readouterr().out.splitlines()[-1])[kind] if row["name"] == name]
    assert (row["from"], row["target"], row["error"], row["also_claimed_by"]) == (f"{distribution} 0.1.0", target, "", [])


def test_they_are_searched_with_and_written_down(results: Path) -> None:
    from optuna.storages import RDBStorage

    from nas_fusion.study.spec import load_study

    storage = RDBStorage(f"sqlite:///{results / 'nas-fusion.db'}")
    for study, made_of in MADE_OF.items():
        _, spec = load_study(storage, study)
        rows = {(row["kind"], row["name"]): row for row in spec.plugins}
        for plugin in made_of:
            distribution, target = BROUGHT[plugin]
            assert [rows[plugin][name] for name in ("distribution", "version", "target")] == [distribution, "0.1.0", target]


def test_beside_every_evaluation_stands_what_it_is_made_of(results: Path) -> None:
    store = Store.open(results / "artifacts")
    kept = [store.details(file.stem).get("plugins") for file in (results / "artifacts").glob("*.json")]
    found = {(row["kind"], row["name"], row["version"]) for rows in kept for row in rows or ()}
    assert found >= {("modules", "mean_exchange", "0.1.0"), ("routers", "cosine", "0.1.0"), ("spaces", "pairs", "0.1.0")}


@pytest.fixture(scope="module")
def exported(results: Path) -> Path:
    """The model that the search with the module selected, as a folder of its own."""
    folder = results / "model"
    assert main(["export", "--study", "fused", "--out", str(results), "--to", str(folder)]) == 0
    return folder


def test_an_exported_model_is_loaded_again(exported: Path) -> None:
    rows: list[dict[str, Any]] = json.loads((exported / "model.json").read_text())["plugins"]
    assert "nas-fusion-mean-exchange" in {row["distribution"] for row in rows}
    cohort = load_cohort("wine")
    said = load_model(exported).probabilities(cohort)
    torch.testing.assert_close(said.sum(dim=1), torch.ones(len(cohort), dtype=said.dtype))


def test_without_them_every_error_says_what_was_there(results: Path, exported: Path) -> None:
    code = f"""
import sys
from nas_fusion.cli.app import main
for study in {list(SEARCHES)}:
    print(main(["report", "--study", study, "--out", {str(results)!r}]), file=sys.stderr)
from nas_fusion import load_model
try:
    load_model({str(exported)!r})
except ValueError as error:
    print(error, file=sys.stderr)
"""
    *said, of_model = python("-c", code).stderr.splitlines()
    assert said[1::2] == ["2", "2", "2"], said
    for study, sentence in zip(SEARCHES, said[::2], strict=True):
        for kind, name in MADE_OF[study]:
            distribution, target = BROUGHT[kind, name]
            assert f"no {kind[:-1]} {name!r} ({target} of the distribution {distribution} 0.1.0)" in sentence
    assert (
        "no module 'mean_exchange' (mean_exchange:MeanExchange of the distribution nas-fusion-mean-exchange 0.1.0)" in of_model
    )
    assert plugins.describe("modules", "mean_exchange").error is None  # here they still are
