"""Worker processes: they get jobs, tell what happens, are replaced when they die, and end with their parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Protocol

from optuna.storages import BaseStorage, InMemoryStorage

from nas_fusion.study.jobs import Job, StudyJob, get_ready, label_of, perform
from nas_fusion.study.laboratory import Laboratory, prepare
from nas_fusion.study.progress import EvaluationDone, EvaluationFailed, Event, Listener, WorkFailed
from nas_fusion.study.spec import StudySpec
from nas_fusion.study.storage import open_storage

_MAX_DEATHS = 3  # in a row, without any evaluation finished between them


@dataclass(frozen=True)
class _Done:
    """A job is done."""


@dataclass(frozen=True)
class _Broken:
    """A job ended in an error that is not one of an evaluation."""

    message: str
    is_user_error: bool


class Crew(Protocol):
    """Whoever works jobs off."""

    def run(self, jobs: Sequence[Job]) -> None:
        """Work all jobs off and return when the last is done. A study is joined by every worker."""


class Solo:
    """Works jobs off in this process.

    Args:
        laboratory: What is worked with.
        storage: URL or storage of the studies.
        listener: Is told what happens.
    """

    def __init__(self, laboratory: Laboratory, storage: BaseStorage, listener: Listener) -> None:
        self._laboratory, self._storage, self._listener = laboratory, storage, listener

    def run(self, jobs: Sequence[Job]) -> None:
        """Work all jobs off, one after the other."""
        for job in jobs:
            get_ready(job, self._laboratory)
            perform(job, self._laboratory, self._storage, self._listener, worker=0)


class Processes:
    """Works jobs off in spawned processes; a context manager that leaves none behind.

    Args:
        spec: What the processes prepare their laboratories from.
        storage: URL of the studies' storage, empty where no job is of a study.
        devices: Device of each process.
        listener: Is told what happens, in this process.
    """

    def __init__(self, spec: StudySpec, storage: str, devices: Sequence[str], listener: Listener) -> None:
        self._spec, self._storage, self._listener = spec, storage, listener
        self._members = [_Member(self._spec.replace(device=device), storage, i) for i, device in enumerate(devices)]
        self._deaths = 0

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for member in self._members:
            member.end()

    def run(self, jobs: Sequence[Job]) -> None:
        """Work all jobs off; a study is joined by every process.

        Raises:
            ValueError: If a process finds something wrong with what it was told.
            WorkFailed: If a process meets an unexpected error, or processes die again and again.
        """
        pending: deque[Job] = deque()
        for job in jobs:
            pending.extend([job] * (len(self._members) if isinstance(job, StudyJob) else 1))
        while pending or any(member.job for member in self._members):
            for member in self._members:
                if member.job is None and pending:
                    self._assign(member, pending.popleft())
            self._listen(pending)

    def _assign(self, member: _Member, job: Job) -> None:
        member.start()
        member.job = job
        with contextlib.suppress(OSError):  # it died just now: `_listen` sees that
            member.connection.send(job)

    def _listen(self, pending: deque[Job]) -> None:
        running = [member for member in self._members if member.job]
        wait([member.connection for member in running] + [member.process.sentinel for member in running])
        for member in running:
            alive = member.process.is_alive()
            for message in member.messages():
                self._handle(member, message)
            if not alive and member.job is not None:
                pending.appendleft(member.job)
                self._bury(member)

    def _handle(self, member: _Member, message: Event | _Done | _Broken) -> None:
        if isinstance(message, _Done):
            member.job = None
        elif isinstance(message, _Broken):
            raise (ValueError if message.is_user_error else WorkFailed)(message.message)
        else:
            if isinstance(message, EvaluationDone):
                self._deaths = 0
            self._listener(message)

    def _bury(self, member: _Member) -> None:
        assert member.job is not None
        code = member.process.exitcode
        cause = f"it was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        self._deaths += 1
        self._listener(EvaluationFailed(member.index, label_of(member.job), f"worker {member.index} died ({cause})"))
        member.job = None
        if self._deaths >= _MAX_DEATHS:
            raise WorkFailed(f"Workers died {self._deaths} times in a row, the last because {cause}; is there enough memory?")


class _Member:
    """One process and the connection to it."""

    def __init__(self, spec: StudySpec, storage: str, index: int) -> None:
        self._spec, self._storage, self.index = spec, storage, index
        self.job: Job | None = None
        self._process: SpawnProcess | None = None

    @property
    def process(self) -> SpawnProcess:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start the process unless it is alive."""
        if self._process is not None and self._process.is_alive():
            return
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._spec, self._storage, self.index), daemon=True)
        with _interrupts_blocked():
            self._process.start()
        theirs.close()

    def messages(self) -> Iterator[Event | _Done | _Broken]:
        """Yield what the process has sent so far."""
        with contextlib.suppress(EOFError, OSError):
            while self.connection.poll():
                yield self.connection.recv()

    def end(self) -> None:
        """End the process at once: whatever it does can be done again."""
        if self._process is None:
            return
        self._process.terminate()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Make processes started inside deaf to Ctrl-C, which a terminal sends to all: their parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, spec: StudySpec, storage: str, index: int) -> None:
    """Work off what comes through a connection until it is closed."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        laboratory = prepare(spec, allow_local_code=True)  # whoever started this process runs it already
        studies = open_storage(storage) if storage else InMemoryStorage()
        while True:
            job = connection.recv()
            get_ready(job, laboratory)
            perform(job, laboratory, studies, connection.send, worker=index)
            connection.send(_Done())
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # noqa: BLE001  # the process's boundary: the parent raises it again
        user_error = isinstance(error, ValueError)
        connection.send(_Broken(str(error) if user_error else f"{type(error).__name__}: {error}", user_error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def devices_of_workers(device: str, n_workers: int | None, *, most: int) -> tuple[str, ...]:
    """Return the device of each worker process.

    Args:
        device: As asked for: `auto` and `cuda` are spread over all GPUs.
        n_workers: How many workers, `None` for one a GPU, else one a core.
        most: More than this many have nothing to do.

    Raises:
        ValueError: If there is no such device.
    """
    import torch

    from nas_fusion.evaluation.device import place

    kind = place(device).device.type
    if kind != "cuda":
        return ("cpu",) * min(n_workers or _cores(), most)
    gpus = torch.cuda.device_count() if device in ("auto", "cuda") else 1
    places = [f"cuda:{i}" for i in range(gpus)] if device in ("auto", "cuda") else [device]
    return tuple(places[i % gpus] for i in range(min(n_workers or gpus, most)))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def crew(laboratory: Laboratory, storage: BaseStorage, url: str, devices: Sequence[str], listener: Listener) -> Iterator[Crew]:
    """Yield whoever does the work: this process if one device is given, else a process a device."""
    if len(devices) == 1:
        yield Solo(laboratory, storage, listener)
        return
    with Processes(laboratory.spec, url, devices, listener) as processes:
        yield processes
