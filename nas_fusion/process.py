"""Processes, told apart from all others even after their death."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that can be told from all others: after its death, too.

    Attributes:
        host: Name of the machine, with the namespace of process ids where the system tells it (containers share names).
        pid: Process id.
        start: When it started, in the system's own unit, `None` where the system does not tell.
    """

    host: str
    pid: int
    start: int | None

    @classmethod
    def current(cls) -> Process:
        """Return this process."""
        pid = os.getpid()
        if pid not in _current:  # in a forked child, too
            _current.clear()
            _current[pid] = cls(_host(), pid, _start_of(pid))
        return _current[pid]

    @classmethod
    def of(cls, text: str) -> Process:
        """Return the process that `str` wrote."""
        pid, start, host = text.split(" ", 2)
        return cls(host, int(pid), None if start == "?" else int(start))

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        return f"{self.pid} {'?' if self.start is None else self.start} {self.host}"

    def is_dead(self) -> bool:
        """Return whether the process is known to have ended: on another host nobody can know."""
        if self == Process.current():
            return False
        return self.host == Process.current().host and not _is_running(self.pid, self.start)


_current: dict[int, Process] = {}


def _host() -> str:
    try:
        return f"{platform.node()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _start_of(pid: int) -> int | None:
    """Return field 22 of `/proc/PID/stat` (proc_pid_stat(5)), the start in clock ticks; a zombie has ended: `None`."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _is_running(pid: int, start: int | None) -> bool:
    if start is not None:
        return _start_of(pid) == start
    if os.name != "posix":  # elsewhere signal 0 is not a question
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
