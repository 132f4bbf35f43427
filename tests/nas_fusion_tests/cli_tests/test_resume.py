"""Killed at any moment and started again: the same path and the same numbers as if never interrupted."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.nas_fusion_tests.cli_tests.conftest import ONE, Run

SAME = ("study", "path", "best", "value", "baseline_value", "evaluations")
SEARCH = ("search", "tiny", "--json")


def losses(folder: Path) -> list[tuple[dict[str, Any], float, list[float]]]:
    """Return what every completed trial of the folder's study evaluated, with all digits."""
    study = optuna.load_study(storage=f"sqlite:///{folder / 'nas-fusion.db'}", study_name="tiny-sfsa")
    done = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    found = [(trial.params, trial.value or 0.0, trial.user_attrs["nas_fusion:fold_losses"]) for trial in done]
    return sorted(found, key=lambda one: json.dumps(one[0]))


def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return {name: found[name] for name in SAME} == {name: wanted[name] for name in SAME}


@pytest.fixture(scope="session")
def undisturbed(results: Path) -> dict[str, Any]:
    """The JSON object of the search that nobody disturbed."""
    from nas_fusion.cli.app import main

    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main([*SEARCH, *ONE, "--out", str(results)]) == 0
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


Patch = Callable[[Callable[[], None]], tuple[Any, str, Callable[..., Any]]]


def in_training(strike: Callable[[], None]) -> tuple[Any, str, Callable[..., Any]]:
    from nas_fusion.evaluation.reporting import TrialWatch

    return TrialWatch, "epoch", before(strike, TrialWatch.epoch)


def in_writing(strike: Callable[[], None]) -> tuple[Any, str, Callable[..., Any]]:
    return os, "replace", before(strike, os.replace)


def before_telling(strike: Callable[[], None]) -> tuple[Any, str, Callable[..., Any]]:
    return optuna.Study, "tell", before(strike, optuna.Study.tell)


def before_asking(strike: Callable[[], None]) -> tuple[Any, str, Callable[..., Any]]:
    return optuna.Study, "ask", before(strike, optuna.Study.ask)


def in_reporting(strike: Callable[[], None]) -> tuple[Any, str, Callable[..., Any]]:
    import nas_fusion.visualization

    return nas_fusion.visualization, "write_report", before(strike, nas_fusion.visualization.write_report)


def before(strike: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        strike()
        return function(*arguments, **options)

    return call


def at(count: int, blow: Callable[[], None]) -> Callable[[], None]:
    """Return a function that strikes when it is called for the `count`-th time."""
    calls = iter(range(1, 10**6))
    return lambda: blow() if next(calls) == count else None


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    raise KeyboardInterrupt


def killed_child(patch: Patch, count: int) -> int:
    """Run the search in a forked process that is killed, and return how it ended: spawned ones take seconds to import."""
    from nas_fusion.cli.app import main

    pid = os.fork()
    if pid == 0:
        owner, name, replacement = patch(at(count, kill))
        setattr(owner, name, replacement)
        os._exit(main([*SEARCH, *ONE]))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("patch", "counts"),
    [
        (in_training, (1, 5)),
        (in_writing, (1,)),
        (in_writing, (3, 5)),
        (before_telling, (1, 4)),
        (before_asking, (1, 2, 1)),
        (in_reporting, (1,)),
    ],
)
def test_killed_and_started_again(
    run: Run, tmp_path: Path, undisturbed: dict[str, Any], results: Path, patch: Patch, counts: Sequence[int]
) -> None:
    for count in counts:
        assert killed_child(patch, count) == -signal.SIGKILL
    outcome = run(*SEARCH, *ONE)
    assert outcome.code == 0
    assert same(outcome.json, undisturbed)
    assert losses(tmp_path / "nas-fusion-results") == losses(results)
    assert list((tmp_path / "nas-fusion-results" / "artifacts").glob("*.partial")) == [] or patch is in_writing


@pytest.mark.parametrize(("patch", "count"), [(in_training, 4), (in_writing, 4), (before_telling, 2)])
def test_interrupted_and_started_again(
    run: Run,
    tmp_path: Path,
    undisturbed: dict[str, Any],
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    patch: Patch,
    count: int,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(*patch(at(count, interrupt)))
        outcome = run(*SEARCH, *ONE)
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1] == "Interrupted; nothing is lost, and the same command resumes."
    outcome = run(*SEARCH, *ONE)
    assert outcome.code == 0
    assert same(outcome.json, undisturbed)
    assert losses(tmp_path / "nas-fusion-results") == losses(results)


# --- two worker processes ---


class Command:
    """A command in a process group of its own, as a terminal would start it."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "nas_fusion", *arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
        )
        self.lines: list[str] = []

    def wait_for(self, words: str) -> None:
        """Return when a line of standard error holds some words."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if words in line:
                return
        pytest.fail(f"{words!r} never came: {self.lines}")

    def workers(self) -> list[int]:
        """Return the ids of the worker processes."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]

    def finish(self) -> str:
        """Wait for the end and return standard output."""
        out, err = self.process.communicate(timeout=120)
        self.lines.append(err)
        return out


def gone(pids: Sequence[int]) -> bool:
    """Return whether processes end within some seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        states = [
            path.read_text().rpartition(")")[2].split()[0] for pid in pids if (path := Path(f"/proc/{pid}/stat")).exists()
        ]
        if set(states) <= {"Z"}:
            return True
        time.sleep(0.1)
    return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc")
SLOW_SEARCH = (*SEARCH, "--set", "delay=0.02", "--workers", "2")


@needs_proc
@pytest.mark.slow
def test_workers_and_then_their_parent_are_killed(run: Run, tmp_path: Path, undisturbed: dict[str, Any], results: Path) -> None:
    first = Command(*SLOW_SEARCH)
    first.wait_for("none: validation loss")
    os.kill(first.workers()[0], signal.SIGKILL)
    first.wait_for("died (it was killed by SIGKILL)")
    first.wait_for("validation loss")
    workers = first.workers()
    assert len(workers) == 2
    first.process.kill()
    first.finish()
    assert gone(workers)
    second = Command(*SLOW_SEARCH)
    found = json.loads(second.finish().splitlines()[-1])
    assert second.process.returncode == 0, second.lines
    assert same(found, undisturbed)
    assert losses(tmp_path / "nas-fusion-results") == losses(results)


@needs_proc
@pytest.mark.slow
def test_ctrl_c_ends_all_processes(run: Run, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    command = Command(*SLOW_SEARCH)
    command.wait_for("none: validation loss")
    workers = command.workers()
    os.killpg(command.process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    command.finish()
    assert command.process.returncode == 130
    assert "Traceback" not in "".join(command.lines)
    assert "".join(command.lines).splitlines()[-1] == "Interrupted; nothing is lost, and the same command resumes."
    assert gone(workers)
    outcome = run(*SEARCH, *ONE, "--set", "delay=0.02")
    assert outcome.code == 0 and same(outcome.json, undisturbed)
