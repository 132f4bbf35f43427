"""Local code: a file that brings a plug-in without being installed. What is digested is what runs."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

_PLACE = re.compile(r"(?P<path>.+\.py):(?P<name>[^:/\\\\]+)")


@dataclass(frozen=True)
class LocalFile:
    """A file as it was when it was read.

    Attributes:
        path: Absolute.
        sha256: Digest of its content, 64 hexadecimal digits.
    """

    path: str
    sha256: str


_ran: dict[str, LocalFile] = {}
_running: list[LocalFile] = []


def place_of(text: str) -> tuple[str, str] | None:
    """Return file and name of `path/to/file.py:Name`, `None` for a text of another form."""
    found = _PLACE.fullmatch(text)
    return None if found is None else (found["path"], found["name"])


def read_file(path: str) -> LocalFile:
    """Return a file with the digest that it has now.

    Raises:
        ValueError: If it cannot be read.
    """
    return LocalFile(*_content(path)[:2])


def running() -> LocalFile | None:
    """Return the file whose code is running just now, `None` where none is."""
    return _running[-1] if _running else None


@contextlib.contextmanager
def runs(file: LocalFile) -> Iterator[None]:
    """Make `running` say that a file's code is running."""
    _running.append(file)
    try:
        yield
    finally:
        _running.pop()


def run_file(path: str) -> tuple[ModuleType, LocalFile]:
    """Run a file as a module of its own, once as long as it is the same; nothing is written beside it.

    The module is called after the file's path: another process that runs the file too can unpickle what is of its classes. The
    file's folder is not searched for what it imports.

    Raises:
        ValueError: If it cannot be read, or its code fails; the message names file, line and reason.
    """
    absolute, sha256, content = _content(path)
    file = LocalFile(absolute, sha256)
    name = f"nas_fusion_local_{hashlib.sha256(absolute.encode()).hexdigest()[:12]}"
    if _ran.get(name) == file:
        return sys.modules[name], file
    module, before = ModuleType(name), sys.modules.get(name)
    module.__file__ = absolute
    sys.modules[name] = module  # dataclasses and annotations look for it there
    try:
        with runs(file):
            exec(compile(content, absolute, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as failure:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        reason = f"{type(failure).__name__}{_line(failure, absolute)}: {failure}"
        raise ValueError(f"The code of {absolute} cannot be run: {reason}") from failure
    _ran[name] = file
    return module, file


def _content(path: str) -> tuple[str, str, bytes]:
    absolute = Path(path).expanduser().resolve()
    try:
        content = absolute.read_bytes()
    except OSError as error:
        raise ValueError(f"The code of {absolute} cannot be read: {error.strerror}.") from None
    return str(absolute), hashlib.sha256(content).hexdigest(), content


def _line(failure: BaseException, path: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(failure.__traceback__) if frame.filename == path]
    return f" in line {lines[-1]}" if lines else ""
