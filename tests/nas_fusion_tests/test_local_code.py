from __future__ import annotations

import hashlib
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nas_fusion import local_code
from nas_fusion.local_code import LocalFile, place_of, read_file, run_file

SOURCE = "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Mine:\n    x: int = 3\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("mine.py:Mine", ("mine.py", "Mine")),
        ("../a b/mine.py:my-gate", ("../a b/mine.py", "my-gate")),
        ("/x.py/mine.py:f", ("/x.py/mine.py", "f")),
        ("mmtm", None),
        ("mine.py", None),
        ("mine.py:", None),
        ("mine.py:a/b", None),
        ("sqlite:///x.py", None),
    ],
)
def test_a_place_is_a_python_file_and_a_name(text: str, place: tuple[str, str] | None) -> None:
    assert place_of(text) == place


def test_what_runs_is_what_was_digested_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    module, file = run_file(str(path))
    assert module.Mine().x == 3
    assert file == LocalFile(str(path), hashlib.sha256(SOURCE.encode()).hexdigest()) == read_file(str(path))
    assert os.listdir(tmp_path) == ["mine.py"]
    assert local_code.running() is None


def test_a_file_runs_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    first, again = run_file(str(path))[0], run_file("mine.py")[0]
    assert first is again
    path.write_text(SOURCE.replace("3", "4"))  # as long as before, in the same second
    changed, file = run_file(str(path))
    assert changed.Mine().x == 4
    assert file == read_file(str(path))


def test_another_process_unpickles_what_is_of_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    kept = tmp_path / "kept"
    kept.write_bytes(pickle.dumps(run_file(str(path))[0].Mine(5)))
    code = (
        "import pickle, sys\nfrom nas_fusion.local_code import run_file\n"
        f"run_file({str(path)!r})\nprint(pickle.loads(open({str(kept)!r}, 'rb').read()).x)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "5\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ny = 1 / 0\n", "cannot be run: ZeroDivisionError in line 2: division by zero"),
        ("import no_such_module\n", "cannot be run: ModuleNotFoundError in line 1: No module named 'no_such_module'"),
        ("raise SystemExit(3)\n", "cannot be run: SystemExit in line 1: 3"),
        ("def f(:\n", "cannot be run: SyntaxError: .*mine.py, line 1"),
    ],
)
def test_code_that_fails(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    before = set(sys.modules)
    with pytest.raises(ValueError, match=rf"The code of {re.escape(str(path))} {message}"):
        run_file(str(path))
    assert {name for name in set(sys.modules) - before if "local" in name} == set()
    assert local_code.running() is None


def test_code_that_fails_leaves_what_ran_before(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    module = run_file(str(path))[0]
    path.write_text("nonsense")
    with pytest.raises(ValueError, match="NameError"):
        run_file(str(path))
    assert sys.modules[module.__name__] is module


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"The code of .*none\.py cannot be read: No such file or directory"):
        run_file(str(tmp_path / "none.py"))
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_file(str(tmp_path))
