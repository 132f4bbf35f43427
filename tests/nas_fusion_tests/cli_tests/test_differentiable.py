"""Differentiable search from the command line: ranked once, counted, resumed, and in the same comparison as the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nas_fusion
from tests.nas_fusion_tests.cli_tests.conftest import ONE, Outcome, Run, folder_in_memory

COMPARE = ("compare", "tiny", "--samplers", "sfsa,differentiable,exhaustive", "--study", "demo")
SEARCH = ("search", "tiny", "--sampler", "differentiable", "--sampler-set", "k=2")
EPOCHS = 3  # as the plan's


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with one finished comparison."""
    from nas_fusion.cli.app import main

    for place in folder_in_memory():
        assert main([*COMPARE, *ONE, "--out", str(place)]) == 0
        yield place


@pytest.fixture
def again(run: Run, folder: Path) -> Outcome:
    return run(*COMPARE, *ONE, "--out", folder, "--json")


def arm_of(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {arm["sampler"]: arm for arm in outcome.json["arms"]}["differentiable"]
    return found


def test_it_takes_part_in_a_comparison_with_its_supernet_counted(again: Outcome) -> None:
    arm = arm_of(again)
    assert arm["evaluations"] == 4 and arm["share_of_exhaustive"] == 0.5
    assert arm["regret"] == pytest.approx(arm["landscape_value"] - min(a["landscape_value"] for a in again.json["arms"]))
    assert (
        arm["supernet"]["epochs"] == EPOCHS and arm["supernet"]["samples"] > EPOCHS * 45
    )  # of 64 subjects, 19 teach the architecture
    others = [each for each in again.json["arms"] if each["sampler"] != "differentiable"]
    assert [each["supernet"] for each in others] == [None, None]
    assert "Differentiable search" in again.out and f", supernet: {EPOCHS} epochs" in again.out


def test_it_is_ranked_once(again: Outcome, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas_fusion.evaluation import EvaluationWorker

    monkeypatch.setattr(EvaluationWorker, "rank", lambda *arguments, **options: pytest.fail("ranked again"))
    assert run(*COMPARE, *ONE, "--out", folder).code == 0


def test_what_was_trained_for_the_ranking_was_trained_by_the_search(run: Run) -> None:
    outcome = run(*SEARCH, *ONE, "--json")
    assert outcome.code == 0
    assert (outcome.json["evaluations"], outcome.json["trained"], outcome.json["reused"]) == (3, 3, 0)
    assert f"supernet trained, {EPOCHS} epochs: most probable is" in outcome.err
    assert f"Supernet that ranked them: {EPOCHS} epochs [" in outcome.out


def test_dry_run_counts_the_supernet(run: Run) -> None:
    found = run(*SEARCH, *ONE, "--sampler-set", "length=2", "--dry-run", "--json").json
    assert (found["largest_number_of_trainings"], found["supernet_epochs"]) == (3, 6)
    assert "supernet_epochs" not in run("search", "tiny", *ONE, "--dry-run", "--json").json


def test_length_of_the_supernet(run: Run) -> None:
    outcome = run(*SEARCH, *ONE, "--sampler-set", "length=4", "--json")
    assert outcome.json["supernet"]["epochs"] == 4 * 3


def test_supernet_pays_for_a_baseline_that_nothing_else_needs(run: Run) -> None:
    outcome = run("search", "tiny", *ONE, "--sampler", "differentiable", "--sampler-set", 'forced={"p0": "on"}', "--json")
    assert outcome.code == 0 and {"p0": "on"} in outcome.json["path"]
    assert outcome.json["supernet"]["epochs"] == EPOCHS + 3


def test_space_without_a_supernet_is_refused_before_anything_is_made(run: Run, tmp_path: Path) -> None:
    outcome = run("search", "tiny", *ONE, "--sampler", "differentiable", "--set", 'modules=["on","off"]')
    assert outcome.code != 0 and "TinySpace has no supernet" in outcome.err
    assert not list(tmp_path.glob("**/*.json"))


def test_from_python() -> None:
    space, cohort = nas_fusion.load_space("tiny"), nas_fusion.load_cohort("tiny-cohort")
    comparison = nas_fusion.compare(space, cohort, samplers=("differentiable", "exhaustive"), device="cpu")
    arm = comparison.arm("differentiable")
    assert arm.supernet["epochs"] == EPOCHS and len(arm.evaluations) == 4
    assert arm.regret is not None and arm.regret >= 0


@pytest.mark.slow
def test_two_workers_find_the_same(run: Run) -> None:
    one = run(*SEARCH, *ONE, "--json", "--out", "one")
    two = run(*SEARCH, "--workers", "2", "--json", "--out", "two")
    for name in ("best", "value", "path", "evaluations", "trained", "reused"):
        assert one.json[name] == two.json[name]
    assert two.err.count("supernet trained") == 1
