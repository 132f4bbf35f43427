"""Storages by URL: what is opened, and what is refused in one sentence."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage

from nas_fusion.study.storage import open_storage


def test_sqlite_file_is_made_with_its_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'er' / 'study.db'}"
    storage = open_storage(url)
    assert isinstance(storage, RDBStorage)
    optuna.create_study(storage=storage, study_name="kept")
    assert optuna.get_all_study_names(open_storage(url, create=False)) == ["kept"]


@pytest.mark.parametrize("name", ["study.journal", "study.log", "study.jsonl"])
def test_journal_file_is_recognised_by_its_ending_and_then_by_its_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    optuna.create_study(storage=open_storage(str(path)), study_name="kept")
    path.rename(tmp_path / "renamed")
    storage = open_storage(str(tmp_path / "renamed"), create=False)
    assert isinstance(storage, JournalStorage)
    assert optuna.get_all_study_names(storage) == ["kept"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "must be one of sqlite:///FILE"),
        ("results.db", "must be one of sqlite:///FILE"),
        ("http://somewhere/study", "Can't load plugin"),
        ("sqlite:///", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:////proc/nowhere/study.db", "the folder /proc/nowhere cannot be made"),
        (
            "postgresql+psycopg://user:secret@127.0.0.1:1/db",
            "user:\\*\\*\\*@127.0.0.1:1/db' is not: .*refused|a package is missing",
        ),
        ("redis://127.0.0.1:1", "is not: "),
    ],
)
def test_refuses(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        open_storage(url)
    assert "\n" not in str(raised.value) and "secret" not in str(raised.value)


def test_refuses_files_that_are_something_else(tmp_path: Path) -> None:
    other = tmp_path / "notes.log"
    other.write_text("dear diary\n")
    with pytest.raises(ValueError, match="is something else"):
        open_storage(str(other))
    with pytest.raises(ValueError, match=r"is not: .*not a database"):
        open_storage(f"sqlite:///{other}")
    assert other.read_text() == "dear diary\n"
    database = tmp_path / "study.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table t (x)")
    with pytest.raises(ValueError, match=f"as 'sqlite:///{database}'"):
        open_storage(str(database))
    with pytest.raises(ValueError, match="must be one of"):
        open_storage(str(tmp_path))


@pytest.mark.parametrize("url", ["sqlite:///{}/none.db", "{}/none.journal"])
def test_what_must_exist_is_not_made(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        open_storage(url.format(tmp_path), create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_processes_that_make_one_database_at_once_all_open_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    code = f"from nas_fusion.study.storage import open_storage; input(); open_storage({url!r})"
    pipe = subprocess.PIPE
    openers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)
    ]
    time.sleep(2.5)  # until all have imported what they need
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    assert [opener.communicate()[1] for opener in openers] == [""] * 4
    assert [opener.returncode for opener in openers] == [0] * 4
