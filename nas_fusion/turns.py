"""Turns: one process at a time does something for a study; when it dies, the next one takes over."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from optuna import Study

from nas_fusion.process import Process

_PREFIX = "nas_fusion:turn:"
_CHOOSING, _AWAY = -1, 0
_POLL_S = 0.2
_RENEWAL_S = 60.0
_SILENCE_S = 3600.0  # a process of another host that has not renewed its ticket for so long is taken for dead


@contextlib.contextmanager
def turn(study: Study, name: str) -> Iterator[Callable[[], None]]:
    """Wait until no other living process has an earlier turn, and hold the turn for the block.

    Storages know no lock, but each attribute of a study is written at once: Lamport's bakery algorithm (Communications of the
    ACM 17(8), 1974) needs no more. Processes of this host that have died are passed over at once, those of other hosts when
    they have been silent for an hour.

    Args:
        study: Whose processes take turns.
        name: Of what is done.

    Yields:
        A function that tells the others that this process is alive; to be called now and then.
    """
    ticket = _Ticket(study, name)
    ticket.take()
    try:
        ticket.wait()
        yield ticket.renew
    finally:
        ticket.write(_AWAY)


class _Ticket:
    """The ticket of a process; one of a thread, strictly speaking."""

    def __init__(self, study: Study, name: str) -> None:
        self._storage, self._study_id = study._storage, study._study_id
        self._prefix = f"{_PREFIX}{name}:"
        self._own = f"{self._prefix}{Process.current()} {threading.get_ident()}"
        self._number = _AWAY
        self._beat, self._renewed = 0, time.monotonic()
        self._heard: dict[str, tuple[Any, float]] = {}  # what others wrote last, and when that was seen first

    def write(self, number: int) -> None:
        self._number, self._renewed = number, time.monotonic()
        self._beat += 1
        written: dict[str, Any] = {"by": str(Process.current()), "ticket": number, "beat": self._beat}
        self._storage.set_study_system_attr(self._study_id, self._own, written)

    def renew(self) -> None:
        """Tell the others that this process is alive, unless that was told a moment ago."""
        if time.monotonic() - self._renewed >= _RENEWAL_S:
            self.write(self._number)

    def take(self) -> None:
        """Take the number after the highest that anybody has."""
        self.write(_CHOOSING)
        self.write(1 + max((number for _, number in self._others() if number != _CHOOSING), default=0))

    def wait(self) -> None:
        """Return when everybody before this one is away or dead."""
        while any(self._is_before(key, number) for key, number in self._others()):
            time.sleep(_POLL_S)
            self.renew()

    def _is_before(self, key: str, number: int) -> bool:
        return number == _CHOOSING or (number, key) < (self._number, self._own)

    def _others(self) -> list[tuple[str, int]]:
        """Return key and number of every other living process that is not away."""
        attributes = self._storage.get_study_system_attrs(self._study_id)
        found = {key: value for key, value in attributes.items() if key.startswith(self._prefix) and key != self._own}
        return [(key, v["ticket"]) for key, v in found.items() if v["ticket"] != _AWAY and self._is_alive(key, v)]

    def _is_alive(self, key: str, value: dict[str, Any]) -> bool:
        if Process.of(value["by"]).is_dead():
            return False
        last, since = self._heard.get(key, (None, 0.0))
        if last != value["beat"]:
            self._heard[key] = value["beat"], time.monotonic()
            return True
        return Process.of(value["by"]).host == Process.current().host or time.monotonic() - since < _SILENCE_S
