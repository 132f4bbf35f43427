"""A search by several processes on one study, one of which may be killed, and what must hold of it."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
from optuna.trial import TrialState

from benchmarks._servers import connect
from nas_fusion import history
from nas_fusion.samplers import load_sampler
from nas_fusion.samplers._base import SearchSampler
from nas_fusion.space import Configuration, SearchSpace
from nas_fusion.study.laboratory import Laboratory
from nas_fusion.study.search_loop import search
from nas_fusion.study.spec import StudySpec

SPACE = SearchSpace({**{f"layer{i}": ["none", "mmtm"] for i in range(1, 5)}, "layer5": ["none", "mmtm", "concat_conv"]})
SAMPLERS: Mapping[str, Mapping[str, Any]] = {
    "sfsa": {},
    "beam": {"width": 2},
    "backward": {},
    "floating": {},
    "surrogate": {"n_trials": 16},
    "exhaustive": {},
    "differentiable": {"k": 5},
}
_SPECULATING = ("sfsa", "beam")
N_PROCESSES = 4
LONGEST_S = 0.06
PATIENCE_S = 180.0
Node = tuple[int, int]  # index of the configuration, of the parent; -1 for none


@functools.lru_cache
def _weights(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    m = sum(len(choices) - 1 for choices in SPACE.parameters.values())
    return generator.normal(-0.05, 0.1, m), np.triu(generator.normal(0, 0.08, (m, m)), 1)


def loss(configuration: Configuration, lineage: tuple[Configuration, ...], seed: int) -> float:
    """Return a loss with interactions of pairs, and a little that depends on where the weights come from."""
    single, pair = _weights(seed)
    x = np.array([float(configuration[p] == c) for p, choices in SPACE.parameters.items() for c in choices[1:]])
    parents = [SPACE.index(ancestor) for ancestor in lineage]
    small = np.random.default_rng([seed, SPACE.index(configuration), *parents]).uniform(0, 0.01)
    return float(1 + single @ x + x @ pair @ x + small)


def simulated(seed: int) -> tuple[float, float, int]:
    """Return the range of simulated training times, s, and the seed of their draw: by configuration, not by process."""
    return 0.15, 0.45, seed


@dataclass(frozen=True)
class Course:
    """What one process does in a race: data only, so that a spawned process can be told.

    Attributes:
        sampler: Name of the sampler.
        seed: Of losses, sampler and delays.
        url: Of the storage.
        study: Name of the study.
        log: File to which the begin and the end of each training are appended.
        delay_s: Least and largest time of a training; with a third number they are drawn by configuration from that seed.
        speculate: Whether samplers that can speculate do so.
        failing: Index of a configuration whose training always fails.
    """

    sampler: str
    seed: int
    url: str
    study: str
    log: Path | None
    delay_s: tuple[float, ...] = (0.0, LONGEST_S)
    speculate: bool = True
    failing: int | None = None


class Bench:
    """Stands for a laboratory: a table of losses and random waits in the place of space, cohort and training.

    Args:
        course: What is run.
    """

    def __init__(self, course: Course) -> None:
        self._course, self.space = course, SPACE
        self._random = np.random.default_rng([course.seed, os.getpid()])

    def sampler(self, spec: StudySpec | None = None) -> SearchSampler:
        """Return the sampler."""
        options = dict(SAMPLERS[self._course.sampler])
        if self._course.sampler in _SPECULATING:
            options["speculate"] = self._course.speculate
        sampler = load_sampler(self._course.sampler, SPACE, seed=self._course.seed, inherit="parent", **options)
        return cast(SearchSampler, sampler)

    def pruner(self, spec: StudySpec | None = None) -> optuna.pruners.BasePruner:
        """Return no pruner."""
        return optuna.pruners.NopPruner()

    def label(self, configuration: Configuration) -> str:
        """Return a configuration in a few words."""
        return str(SPACE.active(configuration))

    def epochs(self, configuration: Configuration) -> int:
        """Return that nothing is trained in epochs."""
        return 0

    def worker(self, trial: optuna.Trial, *, on_epoch: Any = None) -> float:
        """Return the loss of what a trial was asked for, after a while; append begin and end to the log."""
        configuration, lineage = SPACE.suggest(trial), history.lineage_of(trial)
        assert lineage is not None, "Should not reach."
        node = node_of(trial)
        self._write("begin", trial.number, node)
        time.sleep(self._delay_s(node))
        if node[0] == self._course.failing:
            raise ArithmeticError("It cannot be trained.")
        value = loss(configuration, lineage, self._course.seed)
        self._write("end", trial.number, node)
        return value

    def _delay_s(self, node: Node) -> float:
        least, largest, *seed = self._course.delay_s
        generator = np.random.default_rng([int(seed[0]), *(1 + i for i in node)]) if seed else self._random
        return float(generator.uniform(least, largest))

    def _write(self, what: str, number: int, node: Node) -> None:
        if self._course.log is None:
            return
        line = json.dumps([what, number, *node, os.getpid(), time.monotonic()]) + "\n"
        file = os.open(self._course.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line.encode())  # one write to a file that is appended to is whole, however many write
        finally:
            os.close(file)


def node_of(trial: optuna.trial.BaseTrial) -> Node:
    """Return what a trial trains: a configuration from a parent's weights."""
    claim = history.claim_of(trial)
    assert claim is not None and claim.configuration is not None, "Should not reach."
    return SPACE.index(claim.configuration), -1 if claim.parent is None else SPACE.index(claim.parent)


def work(course: Course) -> None:
    """Run the worker's own loop until the search is complete."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name=course.study, storage=connect(course.url))
    search(study, cast(StudySpec, None), cast(Laboratory, Bench(course)), lambda event: None)


@dataclass(frozen=True)
class Outcome:
    """What came of a race.

    Attributes:
        path: Accepted configurations.
        used: Nodes that the search used, with their values, in the order of the nodes.
        skipped: Configurations given up.
        completed: How often each node was completed.
        begun: How often the training of each node was begun.
        lost: Nodes that were being trained by the process that was killed.
        in_vain: Completed trainings that the search did not use.
        killed: Whether a process was killed before the search had ended.
        seconds: From the start of the processes to their end.
        searching_s: From the first training's begin to the last end that the search used.
        training_s: Sum of the times of the trainings that the search used.
    """

    path: tuple[Configuration, ...]
    used: tuple[tuple[Node, float], ...]
    skipped: tuple[Configuration, ...]
    completed: Mapping[Node, int]
    begun: Mapping[Node, int]
    lost: frozenset[Node] = frozenset()
    in_vain: int = 0
    killed: int = 0
    seconds: float = 0.0
    searching_s: float = 0.0
    training_s: float = 0.0

    @property
    def killed_in_training(self) -> int:
        """Whether the process was killed while it trained."""
        return len(self.lost)

    @property
    def repeated(self) -> int:
        """How many trainings were begun again after a process had been killed."""
        return sum(self.begun[node] > 1 for node in self.lost)

    def faults(self, serial: Outcome) -> list[str]:
        """Return what does not hold, given what came of one process: nothing, if all is well."""
        found = [f"{node} was completed {n} times" for node, n in self.completed.items() if n > 1]
        for node, n in self.begun.items():
            if n > 1 + (node in self.lost):
                found.append(f"{node} was begun {n} times")
        for name in ("path", "used", "skipped"):
            if getattr(self, name) != getattr(serial, name):
                found.append(f"{name} is {getattr(self, name)}, not {getattr(serial, name)}")
        return found


@dataclass
class Race:
    """A search by several processes.

    Attributes:
        sampler: Name of the sampler.
        seed: Of losses, sampler, delays and the moment of the kill.
        url: Of the storage.
        log: File for the begins and ends of trainings.
        kills: Whether one process is killed at a random moment, and replaced.
        delay_s: See `Course`.
        speculate: See `Course`.
        failing: See `Course`.
    """

    sampler: str
    seed: int
    url: str
    log: Path
    kills: bool = False
    delay_s: tuple[float, ...] = (0.0, LONGEST_S)
    speculate: bool = True
    failing: int | None = None

    def run(self) -> Outcome:
        """Run the processes to their end.

        Raises:
            AssertionError: If one ends in an error, or not at all.
        """
        name = f"race-{uuid.uuid4()}"
        course = Course(self.sampler, self.seed, self.url, name, self.log, self.delay_s, self.speculate, self.failing)
        study = make_study(course)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            ["benchmarks._race", "alembic.command", "psycopg", "grpc"]
        )  # what is missing is passed over
        started = time.monotonic()
        processes = [context.Process(target=work, args=(course,), daemon=True) for _ in range(N_PROCESSES)]
        for process in processes:
            process.start()
        victim = self._kill(processes) if self.kills else None
        if victim is not None:
            processes.append(context.Process(target=work, args=(course,), daemon=True))
            processes[-1].start()
        codes = [_joined(process) for process in processes]
        killed = -signal.SIGKILL
        if any(code != 0 and (code, process) != (killed, victim) for process, code in zip(processes, codes, strict=True)):
            raise AssertionError(f"The processes of {self.sampler} (seed {self.seed}) ended with {codes}.")
        dead = victim.pid if victim is not None and victim.exitcode == killed else None
        return self._outcome(study, course, dead, time.monotonic() - started)

    def _kill(self, processes: list[ForkServerProcess]) -> ForkServerProcess | None:
        """Kill a random process a random time after the first training has begun; the replacement comes after it."""
        generator = np.random.default_rng([self.seed, 7])
        victim = processes[generator.integers(len(processes))]
        n_lines = int(generator.integers(1, 2 * len(serial(self.sampler, self.seed).used)))
        deadline = time.monotonic() + PATIENCE_S
        while _n_lines(self.log) < n_lines and victim.is_alive() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(generator.uniform(0, LONGEST_S))
        if not victim.is_alive() or victim.pid is None:
            return None
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        return victim

    def _outcome(self, study: optuna.Study, course: Course, dead: int | None, seconds: float) -> Outcome:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        begins = {number: (node, pid, at) for what, number, *node, pid, at in lines if what == "begin"}
        ends = {number: at for what, number, *_, at in lines if what == "end"}
        bare = _summary(study, Bench(course).sampler())
        done = {t.number for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE}
        used = {number for number in Bench(course).sampler().state(study).used if number in ends}
        lost = {tuple(node) for number, (node, pid, _) in begins.items() if pid == dead and number not in done}
        begun = Counter(tuple(node) for node, _, _ in begins.values())
        if self.failing is not None:
            begun = Counter({node: n for node, n in begun.items() if node[0] != self.failing})
        first = min(at for _, _, at in begins.values())
        return Outcome(
            **bare,
            begun=begun,
            lost=frozenset(lost),
            in_vain=len(done) - len(bare["used"]),
            killed=int(dead is not None),
            seconds=seconds,
            searching_s=max(ends[number] for number in used) - first,
            training_s=sum(ends[number] - begins[number][2] for number in used),
        )


def make_study(course: Course) -> optuna.Study:
    """Return a new study, in memory where there is no URL; with a ranking if the search needs one."""
    storage = connect(course.url) if course.url else None
    study = optuna.create_study(study_name=course.study, storage=storage, sampler=Bench(course).sampler())
    if course.sampler == "differentiable":
        order = np.random.default_rng(course.seed).permutation(SPACE.size)[:10]
        ranked = [[SPACE.configuration(int(index)).to_dict(), 0.1] for index in order]
        history.write_ranking(study, {"configurations": ranked, "cost": {"epochs": 0}, "key": "none"})
    return study


@functools.lru_cache
def serial(sampler: str, seed: int, failing: int | None = None) -> Outcome:
    """Return what comes of one process, in memory."""
    course = Course(sampler, seed, "", f"serial-{uuid.uuid4()}", None, (0.0, 0.0), failing=failing)
    bench, study = Bench(course), make_study(course)
    study.optimize(bench.worker, catch=(ArithmeticError,))
    return Outcome(**_summary(study, bench.sampler()), begun={})


def _summary(study: optuna.Study, sampler: SearchSampler) -> dict[str, Any]:
    state = sampler.state(study)
    trials = study.get_trials(deepcopy=False)
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return {
        "path": state.path,
        "used": tuple(sorted((node_of(trials[number]), trials[number].value) for number in state.used)),
        "skipped": state.skipped,
        "completed": Counter(map(node_of, completed)),
    }


def _joined(process: ForkServerProcess) -> int | None:
    process.join(PATIENCE_S)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return process.exitcode


def _n_lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0
