"""`compare --modules`: arms, JSON, report, resuming, and what is refused."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nas_fusion_tests.cli_tests.conftest import ONE, Outcome, Run, folder_in_memory

COMMAND = ("compare", "tiny", "--modules", "on,shifted", "--set", "points=2", "--epochs", "1")
SAME = ("points", "modules", "rank_correlations", "arms", "references", "findings", "verdict")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with one finished comparison of modules."""
    from nas_fusion.cli.app import main

    for place in folder_in_memory():
        assert main([*COMMAND, *ONE, "--study", "demo", "--out", str(place)]) == 0
        yield place


@pytest.fixture
def again(run: Run, folder: Path) -> Outcome:
    """The same comparison asked for again."""
    return run(*COMMAND, *ONE, "--study", "demo", "--out", folder, "--json")


def test_arms_and_numbers(again: Outcome) -> None:
    found = again.json
    assert again.code == 0 and [arm["study"] for arm in found["arms"]] == [
        "demo-on-exhaustive",
        "demo-shifted-exhaustive",
        "demo-joint-sfsa",
    ]
    assert [(arm["module"], arm["sampler"]) for arm in found["arms"]] == [
        ("on", "exhaustive"),
        ("shifted", "exhaustive"),
        ("joint", "sfsa"),
    ]
    assert [arm["evaluations"] for arm in found["arms"][:2]] == [4, 4] and found["arms"][0]["regret"] == 0
    assert found["arms"][0]["trained"] == 4 and found["arms"][1]["trained"] == 3  # the baseline is common
    assert [(row["module"], row["point"]) for row in found["points"]] == [
        ("on", "p0"),
        ("on", "p1"),
        ("shifted", "p0"),
        ("shifted", "p1"),
    ]
    assert [row["not_excluded"] is not None for row in found["modules"]] == [True, True]
    assert [row["over"] for row in found["rank_correlations"]] == ["single points", "subsets of points"]
    assert found["verdict"] == found["findings"][0]["signature"] and found["verdict"].startswith("best_point_")
    assert [each["name"] for each in found["references"]][:2] == ["A_0", "alone:x"]
    assert "(known already)" in again.err and again.err.count(": validation loss") == again.err.count("(known already)")


def test_what_is_printed(again: Outcome) -> None:
    for words in ("best in", "All modules: SFSA", "Kendall's tau-b over 3 subsets of points", "Test subjects (32)"):
        assert words in again.out
    assert any(line.startswith("- ") and "best point" in line for line in again.out.splitlines())


def test_the_report_and_that_of_one_module(run: Run, folder: Path) -> None:
    outcome = run("report", "--out", folder, "--json")
    assert outcome.code == 0 and outcome.json["study"] == "demo"
    page = (folder / "demo" / "report.html").read_text()
    assert "Does the best point move with the module? tiny on tiny-cohort" in page and 'src="http' not in page
    assert "nas-fusion compare tiny --modules on,shifted --samplers exhaustive --joint sfsa" in page
    assert run("report", "--out", folder, "--study", "demo-shifted").code == 0
    one = (folder / "demo-shifted" / "report.html").read_text()
    assert "Search trees" in one and "All modules" not in one
    assert run("report", "--out", folder, "--study", "demo-joint-sfsa").code == 0


def test_test_subjects_are_looked_at_once(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas_fusion.evaluation import EvaluationWorker

    monkeypatch.setattr(EvaluationWorker, "predict", lambda *_: pytest.fail("the test subjects were looked at again"))
    for study in ("demo", "demo-on", "demo-joint-sfsa"):
        outcome = run("evaluate", "--study", study, "--out", folder, "--json")
        assert outcome.code == 0
    assert run("worker", "--study", "demo", "--out", folder).code == 0


def test_killed_at_any_moment_and_started_again(run: Run, tmp_path: Path, again: Outcome) -> None:
    from nas_fusion.cli.app import main

    for count in (2, 5, 3):
        if (pid := os.fork()) == 0:
            _kill_at(count)
            os._exit(main([*COMMAND, *ONE, "--study", "demo"]))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    outcome = run(*COMMAND, *ONE, "--study", "demo", "--json")
    assert outcome.code == 0
    for name in SAME:
        assert _without_counts(outcome.json[name]) == _without_counts(again.json[name])


def _kill_at(count: int) -> None:
    """Make this process end itself in the epoch of this number."""
    from nas_fusion.evaluation.reporting import TrialWatch

    epoch, calls = TrialWatch.epoch, iter(range(1, 10**6))

    def strike(*arguments: object, **options: object) -> object:
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return epoch(*arguments, **options)  # type: ignore[arg-type]

    TrialWatch.epoch = strike  # type: ignore[assignment,method-assign]


def _without_counts(found: object) -> object:
    """Leave out how much an arm trained itself: what a killed one had trained is known."""
    counted = ("trained", "reused", "in_vain", "epochs_in_vain", "storage")
    if isinstance(found, list):
        return [_without_counts(each) for each in found]
    return {k: v for k, v in found.items() if k not in counted} if isinstance(found, dict) else found


def test_dry_run_counts_what_is_common_once(run: Run) -> None:
    outcome = run(*COMMAND, *ONE, "--dry-run", "--json")
    by_the_rule, joint, alone = 1 + 3 + 3, 1 + 4 + 2, 2
    assert outcome.code == 0 and outcome.json["largest_number_of_trainings"] == by_the_rule + joint + alone
    outcome = run(*COMMAND, *ONE, "--joint", "none", "--dry-run", "--json")
    assert outcome.json["largest_number_of_trainings"] == by_the_rule + alone


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--modules on", "`modules` must be at least two that every point offers, but got on."),
        ("--modules on,on", "`--modules` must be different names separated by commas, but got 'on,on'."),
        ("--modules on,", "`--modules` must be different names separated by commas, but got 'on,'."),
        ("--modules on,joint", "`modules` must not be called 'joint', which is the name of the search over all of them."),
        ("--modules on,shifted --module on", "`--module` must not be given beside `--modules`"),
        ("--modules on,shifted --racing 0.1", "`--racing` must not be given beside `--modules`"),
        ("--modules on,shifted --halving", "`--halving` must not be given beside `--modules`"),
        ("--modules on,shifted --samplers nope", "`sampler` must be one of"),
        ("--modules on,shifted --joint nope", "`sampler` must be one of"),
        ("--modules on,shifted --samplers exhaustive,exhaustive", "`--samplers` must be different names"),
        ("--modules on,shifted --samplers differentiable", "needs a supernet, and this space has none"),
        ("--joint sfsa", "`--joint` must go with `--modules`, whose modules it searches jointly."),
    ],
)
def test_wrong_use(run: Run, options: str, message: str) -> None:
    outcome = run("compare", "tiny", *ONE, *options.split())
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1


def test_unknown_modules(run: Run) -> None:
    outcome = run("compare", "fusion-points", *ONE, "--modules", "mmtm,nonsense")
    assert outcome.code == 2 and "but got 'nonsense'" in outcome.err and "mmtm" in outcome.err


@pytest.mark.slow
def test_two_workers_find_the_same(run: Run, again: Outcome) -> None:
    outcome = run(*COMMAND, "--workers", "2", "--study", "demo", "--json")
    assert outcome.code == 0
    for name in SAME:
        assert _without_counts(outcome.json[name]) == _without_counts(again.json[name])
