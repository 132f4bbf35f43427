from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest

from nas_fusion import process
from nas_fusion.process import Process


def sleeper() -> tuple[subprocess.Popen[bytes], Process]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    start = process._start_of(child.pid)
    assert start is not None
    return child, Process(Process.current().host, child.pid, start)


def test_this_process_lives() -> None:
    assert Process.current().pid == os.getpid()
    assert not Process.current().is_dead()
    assert Process.current() == Process.current()


def test_a_killed_process_is_dead_at_once_even_before_it_is_waited_for() -> None:
    child, other = sleeper()
    assert not other.is_dead()
    os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while not other.is_dead() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert other.is_dead()
    child.wait()
    assert other.is_dead()


def test_another_process_with_the_same_id_is_another() -> None:
    child, other = sleeper()
    assert other.start is not None
    assert dataclasses.replace(other, start=other.start - 1).is_dead()
    child.kill()
    child.wait()


def test_of_another_host_nothing_is_known() -> None:
    assert not Process("elsewhere", 2**22 + 1, 1).is_dead()


def test_where_the_system_does_not_tell_the_start_a_signal_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    child, other = sleeper()
    unknown = dataclasses.replace(other, start=None)
    assert not unknown.is_dead()
    child.kill()
    child.wait()
    assert unknown.is_dead()
    monkeypatch.setattr(os, "name", "nt")  # there the signal would end the process
    assert not unknown.is_dead()


def test_a_forked_child_is_another_process() -> None:
    parent = Process.current()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, f"{Process.current().pid},{Process.current() == parent}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 100).decode() == f"{pid},False"


@pytest.mark.parametrize("other", [Process("a host/pid:[1]", 12, 34), Process("host", 12, None), Process("", 1, 0)])
def test_text_brings_a_process_back(other: Process) -> None:
    assert Process.of(str(other)) == other
