"""Turns: one process at a time, in any storage, whoever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from nas_fusion.process import Process
from nas_fusion.turns import turn

optuna.logging.set_verbosity(optuna.logging.WARNING)
STRANGER = Process("elsewhere/pid:[1]", 1, 1)


def storage_of(kind: str, folder: Path) -> optuna.storages.BaseStorage:
    if kind == "sqlite":
        return RDBStorage(f"sqlite:///{folder / 'turns.db'}", engine_kwargs={"connect_args": {"timeout": 60}})
    return JournalStorage(JournalFileBackend(str(folder / "turns.journal")))


def enter_and_leave(kind: str, folder: Path, log: Path, name: str, times: int) -> None:
    study = optuna.load_study(storage=storage_of(kind, folder), study_name="s")
    for _ in range(times):
        with turn(study, "work"):
            with log.open("a") as file:
                file.write(f"in {name}\n")
            time.sleep(0.02)
            with log.open("a") as file:
                file.write(f"out {name}\n")


def hold(kind: str, folder: Path, entered: Path) -> None:
    study = optuna.load_study(storage=storage_of(kind, folder), study_name="s")
    with turn(study, "work"):
        entered.touch()
        time.sleep(600)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_processes_take_turns_and_outlive_one_that_is_killed(kind: str, tmp_path: Path) -> None:
    optuna.create_study(storage=storage_of(kind, tmp_path), study_name="s")
    log, entered = tmp_path / "log", tmp_path / "entered"
    context = multiprocessing.get_context("fork")
    holder = context.Process(target=hold, args=(kind, tmp_path, entered), daemon=True)
    holder.start()
    wait_for(entered)
    others = [context.Process(target=enter_and_leave, args=(kind, tmp_path, log, name, 3)) for name in "ab"]
    for other in others:
        other.start()
    time.sleep(0.5)
    assert not log.exists()  # they wait
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    lines = log.read_text().split("\n")[:-1]
    assert len(lines) == 2 * 2 * 3
    assert all(first.replace("in", "out") == second for first, second in zip(lines[::2], lines[1::2], strict=True))


def test_who_still_chooses_is_waited_for() -> None:
    study = optuna.create_study()
    key = f"nas_fusion:turn:work:{Process.current()} 0"

    def write(ticket: int) -> None:
        written: dict[str, Any] = {"by": str(Process.current()), "ticket": ticket, "beat": 1}
        study._storage.set_study_system_attr(study._study_id, key, written)

    order: list[str] = []

    def leave() -> None:
        for ticket in (1, 0):  # it takes a number, then goes away
            time.sleep(0.3)
            order.append(f"other writes {ticket}")
            write(ticket)

    write(-1)
    other = threading.Thread(target=leave)
    other.start()
    with turn(study, "work"):
        tickets = [value["ticket"] for value in study._storage.get_study_system_attrs(study._study_id).values()]
        order.append("mine")
    other.join()
    assert order == ["other writes 1", "other writes 0", "mine"]
    assert sorted(tickets) == [0, 1]


def test_threads_take_turns() -> None:
    study = optuna.create_study(storage=InMemoryStorage())
    inside, most = 0, 0

    def enter() -> None:
        nonlocal inside, most
        with turn(study, "work"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_names_and_studies_do_not_wait_for_each_other() -> None:
    storage = InMemoryStorage()
    first, second = optuna.create_study(storage=storage), optuna.create_study(storage=storage)
    with turn(first, "work"), turn(first, "other"), turn(second, "work"):
        pass


def test_turn_is_given_back_by_an_error() -> None:
    study = optuna.create_study()
    with pytest.raises(RuntimeError, match="broken"), turn(study, "work"):
        raise RuntimeError("broken")
    with turn(study, "work"):
        pass


def write_stranger(study: optuna.Study, beat: int) -> None:
    written: dict[str, Any] = {"by": str(STRANGER), "ticket": 1, "beat": beat}
    study._storage.set_study_system_attr(study._study_id, f"nas_fusion:turn:work:{STRANGER} 0", written)


def test_silent_process_of_another_host_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study()
    write_stranger(study, 1)
    monkeypatch.setattr("nas_fusion.turns._SILENCE_S", 0.5)
    begin = time.monotonic()
    with turn(study, "work"):
        assert time.monotonic() - begin >= 0.5


def test_living_process_of_another_host_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study()
    monkeypatch.setattr("nas_fusion.turns._SILENCE_S", 0.6)
    write_stranger(study, 1)

    def renew() -> None:
        for beat in range(2, 6):
            time.sleep(0.3)
            write_stranger(study, beat)

    stranger = threading.Thread(target=renew)
    begin = time.monotonic()
    stranger.start()
    with turn(study, "work"):
        assert time.monotonic() - begin >= 4 * 0.3 + 0.6
    stranger.join()


def test_renewal_is_seen_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study()
    monkeypatch.setattr("nas_fusion.turns._RENEWAL_S", 0.0)

    def beat() -> int:
        (value,) = study._storage.get_study_system_attrs(study._study_id).values()
        return int(value["beat"])

    with turn(study, "work") as renew:
        before = beat()
        renew()
        assert beat() == before + 1
