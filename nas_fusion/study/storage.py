"""Optuna storages by URL, guessed as optuna-dashboard guesses them, and errors that say what is expected."""

from __future__ import annotations

import json
import logging
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

FORMS = "sqlite:///FILE, postgresql+psycopg://USER@HOST/DATABASE, redis://HOST or the path of a journal file (*.journal, *.log)"
_URL = re.compile(r"[\w+]+://")
_SQLITE = "sqlite:///"
_SQLITE_HEADER = b"SQLite format 3\x00"
_MADE_BY_ANOTHER = re.compile(r"already exists|UNIQUE constraint failed|duplicate key|UniqueViolation")
_ATTEMPTS, _PAUSE_S = 10, 0.2
_JOURNAL_SUFFIXES = (".journal", ".log", ".jsonl")
T = TypeVar("T")


def open_storage(url: str, *, create: bool = True) -> BaseStorage:
    """Return the storage of a URL.

    Args:
        url: `sqlite:///results.db`, `postgresql+psycopg://...` and whatever else SQLAlchemy knows, `redis://...`, or the path
            of a journal file. A file that does not exist yet is a journal if it ends in `.journal`, `.log` or `.jsonl`.
        create: Whether a file that does not exist is made. Without, it must exist.

    Raises:
        ValueError: If the URL has none of these forms, or what it names cannot be reached or is something else.
    """
    if url.startswith("redis"):
        return _guarded(url, lambda: _redis(url))
    if _URL.match(url):
        if url.startswith(_SQLITE):
            if url.removeprefix(_SQLITE) in ("", ":memory:"):
                raise ValueError(f"`storage` must outlive this process, but {url!r} is in memory; name a file: {_SQLITE}FILE.")
            _check_file(Path(url.removeprefix(_SQLITE)), url, create=create)
        return _guarded(url, lambda: _rdb(url))
    return _guarded(url, lambda: _journal(url, create=create))


def storage_of(storage: BaseStorage | str | None) -> BaseStorage:
    """Return a storage that is given as it is or by its URL; this process's memory for `None`.

    Raises:
        ValueError: As `open_storage`.
    """
    return InMemoryStorage() if storage is None else open_storage(storage) if isinstance(storage, str) else storage


def _redis(url: str) -> JournalStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return JournalStorage(JournalRedisBackend(url))


def _rdb(url: str) -> RDBStorage:
    # SQLite lets one process write at a time: the others wait rather than fail.
    engine_kwargs = {"connect_args": {"timeout": 120}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for _ in range(_ATTEMPTS):
        try:
            return RDBStorage(url, engine_kwargs=engine_kwargs)
        except (IntegrityError, OperationalError, ProgrammingError) as error:
            # Two processes that open a new database at once make the same tables: the slower one finds them and looks again.
            if not _MADE_BY_ANOTHER.search(str(error)):
                raise
            time.sleep(_PAUSE_S)
    return RDBStorage(url, engine_kwargs=engine_kwargs)


def _journal(path: str, *, create: bool) -> JournalStorage:
    file = Path(path)
    if file.is_file():
        _check_journal(file)
    elif file.exists() or file.suffix not in _JOURNAL_SUFFIXES:
        raise ValueError(f"`storage` must be one of {FORMS}, but got {path!r}.")
    else:
        _check_file(file, path, create=create)
    return JournalStorage(JournalFileBackend(path))


def _check_journal(file: Path) -> None:
    with file.open("rb") as stream:
        head = stream.readline()
    if head.startswith(_SQLITE_HEADER):
        raise ValueError(f"`storage` must name the SQLite file {file} as '{_SQLITE}{file}', but got '{file}'.")
    try:
        journal = not head or "op_code" in json.loads(head)
    except (ValueError, TypeError):
        journal = False
    if not journal:
        raise ValueError(f"`storage` must be an Optuna journal, but the file {file} is something else.")


def _check_file(file: Path, url: str, *, create: bool) -> None:
    """Raise unless a file can be opened, or made together with its folder."""
    if not create and not file.is_file():
        raise ValueError(f"`storage` must name a study that exists, but there is no file {file} ({url!r}).")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"`storage` must be writable, but the folder {file.parent} cannot be made: {error.strerror}."
        ) from None


def _guarded(url: str, make: Callable[[], T]) -> T:
    """Return what `make` returns; anything that a database or its driver raises becomes one sentence."""
    try:
        return make()
    except ImportError as error:
        reason = f"a package is missing ({_first_line(error)})"
    except (SQLAlchemyError, OptunaError, OSError, RuntimeError) as error:
        reason = _first_line(error)
    except ValueError as error:
        if str(error).startswith("`storage`"):
            raise
        reason = _first_line(error)
    raise ValueError(
        f"`storage` must be one of {FORMS} and reachable, but {_without_password(url)!r} is not: {reason}"
    ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".") + "."


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)
