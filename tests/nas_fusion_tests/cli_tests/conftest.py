"""The command line in this process, with a plug-in that trains in milliseconds."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

PLUGIN = Path(__file__).parent / "plugin"
sys.path.append(str(PLUGIN))
os.environ["PYTHONPATH"] = os.pathsep.join([str(PLUGIN), *filter(None, [os.environ.get("PYTHONPATH")])])


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object on the last line of standard output."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


Run = Callable[..., Outcome]
ONE = ("--workers", "1")


def folder_in_memory() -> Iterator[Path]:
    """Yield a folder that no disk has to keep, where there are any: SQLite and the store wait for the disk at each step."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """An empty folder."""
    yield from folder_in_memory()


@pytest.fixture(scope="session")
def results() -> Iterator[Path]:
    """A folder with one finished study, not to be changed."""
    from nas_fusion.cli.app import main

    for folder in folder_in_memory():
        assert main(["search", "tiny", *ONE, "--out", str(folder)]) == 0
        yield folder


@pytest.fixture
def finished(run: Run, results: Path, tmp_path: Path) -> Run:
    """Run commands in a folder with one finished study, `tiny-sfsa`."""
    shutil.copytree(results, tmp_path / "nas-fusion-results")
    return run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder of its own."""
    from nas_fusion.cli.app import main

    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def run_command(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run_command
