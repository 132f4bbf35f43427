"""What a trial costs besides its training: ours against Optuna's samplers, and against one that decides nothing.

Run it with `python -m benchmarks.sampler_overhead`; it writes `benchmarks/records/sampler_overhead.json` and `.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from benchmarks._decisions import decisions
from benchmarks.conditions import conditions, sentence
from nas_fusion.samplers import ExhaustiveSampler, load_sampler
from nas_fusion.space import Configuration, SearchSpace

RECORDS = Path(__file__).parent / "records"
BLOCKS = 20  # the arms take turns, a block of trials each, so that all meet the same noise
FAILING = 8  # where failures are handled, one trial of so many fails


class Constants(BaseSampler):
    """Decides nothing: each trial gets the same choices. What remains is Optuna's own time.

    Args:
        space: What the objective asks for.
        together: Whether Optuna asks for all parameters at once, which takes it longer than one by one.
    """

    def __init__(self, space: SearchSpace, *, together: bool) -> None:
        self._choices: dict[str, Any] = space.baseline.to_dict()
        self._together = {name: CategoricalDistribution(c) for name, c in space.parameters.items()} if together else {}

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """Return what Optuna asks for at once."""
        return self._together

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """Return the constants."""
        return self._choices if self._together else {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        """Return a constant."""
        return self._choices[param_name]


ARMS: Mapping[str, Callable[[SearchSpace], BaseSampler]] = {
    "ours": ExhaustiveSampler,
    "constants": lambda space: Constants(space, together=True),
    "constants, one by one": lambda space: Constants(space, together=False),
    "bruteforce": lambda space: load_sampler("bruteforce", space, seed=0),
    "grid": lambda space: load_sampler("grid", space, seed=0),
    "tpe": lambda space: optuna.samplers.TPESampler(seed=0),
}
FLOOR = ("ours", "constants", "constants, one by one")


def make_storage(kind: str, folder: str) -> BaseStorage:
    """Return an empty storage of a kind in a new file of a folder."""
    if kind == "memory":
        return InMemoryStorage()
    made = tempfile.mkdtemp(dir=folder)
    return (
        RDBStorage(f"sqlite:///{made}/study.db")
        if kind == "sqlite"
        else JournalStorage(JournalFileBackend(f"{made}/study.log"))
    )


class Run:
    """One arm on one study: it is driven block by block, and its time is taken.

    Args:
        arm: One of `ARMS`.
        space: What is enumerated.
        storage: An empty one.
        fails: Whether a share of the trials fails.
    """

    def __init__(self, arm: str, space: SearchSpace, storage: BaseStorage, *, fails: bool = False) -> None:
        self._space, self._fails = space, fails
        self._study = optuna.create_study(storage=storage, sampler=ARMS[arm](space))
        self.wall_s: list[float] = []
        self.cpu_s: list[float] = []

    def advance(self, n_trials: int) -> None:
        """Run a block of trials."""
        wall, cpu = time.perf_counter(), time.process_time()
        self._study.optimize(self._objective, n_trials=n_trials, catch=(ArithmeticError,))
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(time.process_time() - cpu)

    def _objective(self, trial: optuna.Trial) -> float:
        for name, choices in self._space.parameters.items():
            trial.suggest_categorical(name, choices)
        if self._fails and trial.number % FAILING == FAILING - 1:
            raise ArithmeticError
        return float(trial.number % 7)

    def outcome(self) -> dict[str, Any]:
        """Return what is recorded: ms a trial over all and in the last tenth, and what was completed."""
        trials = self._study.get_trials(deepcopy=False)
        counts = Counter(Configuration(t.params) for t in trials if t.state == TrialState.COMPLETE)
        tenth = BLOCKS // 10
        return {
            "trials": len(trials),
            "distinct": len(counts),
            "repeated": sum(counts.values()) - len(counts),
            "ms": 1e3 * sum(self.wall_s) / len(trials),
            "cpu_ms": 1e3 * sum(self.cpu_s) / len(trials),
            "ms_last_tenth": 1e3 * sum(self.wall_s[-tenth:]) / (len(trials) * tenth / BLOCKS),
            "cpu_ms_last_tenth": 1e3 * sum(self.cpu_s[-tenth:]) / (len(trials) * tenth / BLOCKS),
        }


def enumerate_all(
    kind: str, m: int, arms: tuple[str, ...], folder: str, *, repeat: int = 0, fails: bool = False
) -> dict[str, dict[str, Any]]:
    """Return the outcome of each arm that enumerates 2^m configurations, the arms taking turns.

    Raises:
        AssertionError: If ours does not complete each configuration once: then its time would not count.
    """
    space = SearchSpace({f"layer{i + 1}": ["none", "mmtm"] for i in range(m)})
    runs = {arm: Run(arm, space, make_storage(kind, folder), fails=fails) for arm in arms}
    total = 2**m
    while fails and total - total // FAILING < 2**m:
        total += 1  # so many trials complete 2^m configurations
    for block in range(BLOCKS):
        n_trials = total * (block + 1) // BLOCKS - total * block // BLOCKS
        order = list(runs.values())
        for run in order if (block + repeat) % 2 else reversed(order):
            run.advance(n_trials)
    outcomes = {arm: run.outcome() for arm, run in runs.items()}
    assert (outcomes["ours"]["distinct"], outcomes["ours"]["repeated"]) == (2**m, 0), outcomes["ours"]
    return outcomes


def compared(repeats: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return medians over repeats, and the median of the paired ratios of each arm's time to that of ours."""
    arms = list(repeats[0])
    fields = ("ms", "cpu_ms", "ms_last_tenth", "cpu_ms_last_tenth")
    return {
        arm: {
            **{field: statistics.median(outcomes[arm][field] for outcomes in repeats) for field in fields},
            **{f"ours_to_it_{field}": statistics.median(o["ours"][field] / o[arm][field] for o in repeats) for field in fields},
            "ratios_ms": [o[arm]["ms"] / o["ours"]["ms"] for o in repeats],
            "trials": repeats[0][arm]["trials"],
            "distinct": repeats[0][arm]["distinct"],
        }
        for arm in arms
    }


JOBS: list[dict[str, Any]] = [
    {"kind": "memory", "m": 6, "arms": tuple(ARMS), "repeats": 5},
    {"kind": "memory", "m": 8, "arms": tuple(ARMS), "repeats": 5},
    {"kind": "memory", "m": 10, "arms": tuple(ARMS), "repeats": 5},
    {"kind": "memory", "m": 10, "arms": FLOOR, "repeats": 5, "fails": True},
    {"kind": "memory", "m": 12, "arms": FLOOR, "repeats": 3},
    {"kind": "memory", "m": 14, "arms": FLOOR, "repeats": 3},
    {"kind": "memory", "m": 16, "arms": FLOOR, "repeats": 1},
    {"kind": "sqlite", "m": 8, "arms": (*FLOOR, "bruteforce"), "repeats": 3},
    {"kind": "journal", "m": 8, "arms": (*FLOOR, "bruteforce", "grid", "tpe"), "repeats": 3},
]


def run(job: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return what is recorded of one job."""
    options = {"fails": job.get("fails", False)}
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        repeats = [
            enumerate_all(job["kind"], job["m"], job["arms"], inside, repeat=r, **options) for r in range(job["repeats"])
        ]
    return {"storage": job["kind"], "m": job["m"], "repeats": job["repeats"], **options, "arms": compared(repeats)}


def fsync_ms(folder: str) -> float:
    """Return the median time that the folder's disk takes to make 200 bytes permanent, in ms."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(31):
            start = time.perf_counter()
            file.write(b"x" * 200)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def table(results: list[dict[str, Any]]) -> str:
    """Return the enumerations as a Markdown table."""
    lines = ["| storage | m | arm | ms a trial | last tenth | distinct of trials | time of ours / its | same in CPU time |"]
    lines.append("| --- " * 8 + "|")
    for result in results:
        name = f"{result['storage']}{', 1 of ' + str(FAILING) + ' fails' if result['fails'] else ''}"
        for arm, row in result["arms"].items():
            times = f"{row['ms']:.3f} | {row['ms_last_tenth']:.3f} | {row['distinct']} of {row['trials']}"
            ratios = " | ".join(_ratio(row[f"ours_to_it_{field}"]) for field in ("ms", "cpu_ms"))
            lines.append(f"| {name} | {result['m']} | {arm} | {times} | {ratios} |")
    return "\n".join(lines)


def _ratio(ours_to_it: float) -> str:
    return f"{ours_to_it:.2f}" if ours_to_it > 0.2 else f"1 / {1 / ours_to_it:.1f}"


def decision_table(results: list[dict[str, Any]]) -> str:
    """Return the decisions as a Markdown table."""
    lines = [
        "| storage | sampler | decision, ms | without writing the claim | bare write of one attribute | replay of all trials |"
    ]
    lines.append("| --- " * 6 + "|")
    for row in results:
        cells = (row["decision_ms"], row["thinking_ms"], row["write_ms"], row["replay_ms"])
        lines.append(f"| {row['storage']} | {row['sampler']} | " + " | ".join(f"{ms:.3f}" for ms in cells) + " |")
    return "\n".join(lines)


def page(record: dict[str, Any]) -> str:
    """Return the whole record."""
    return (
        "# What a trial costs besides its training\n\n"
        "All 2^m configurations of m points, an objective that only asks for its parameters, one thread. `constants` decides\n"
        "nothing: what it takes is Optuna's and the storage's own time; Optuna asks it for all parameters at once, and in\n"
        "`one by one` for each by itself. The arms take turns within a run, a twentieth of it each; ratios are medians over\n"
        "repeats. Asserted in the same run: ours completes each of the 2^m configurations once, also where trials fail.\n\n"
        f"{sentence(record['conditions'])} Load at start {record['load']}. Files in a folder whose disk takes\n"
        f"{record['fsync_ms']:.3f} ms to make 200 bytes permanent. Made by `{record['command']}`.\n\n"
        f"{table(record['enumerations'])}\n\n"
        f"One decision in a study with {record['decisions'][0]['trials'] if record['decisions'] else 0} finished trials\n"
        "(14 points, weights inherited from the parent): median time of what a sampler does before a trial.\n\n"
        f"{decision_table(record['decisions'])}\n"
    )


def main() -> None:
    """Run every job and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the storages' files are")
    parser.add_argument("--storages", nargs="+", default=["memory", "sqlite", "journal"])
    parser.add_argument("--largest", type=int, default=16)
    parser.add_argument("--record", default="sampler_overhead")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    load = f"{os.getloadavg()[0]:.1f}"
    jobs = [job for job in JOBS if job["kind"] in options.storages and job["m"] <= options.largest]
    results = []
    for job in jobs:
        results.append(run(job, options.folder))
        print(table(results[-1:]).split("\n", 2)[2], flush=True)
    chosen = decisions(options.storages, options.folder, make_storage)
    record = {
        "command": " ".join(["python -m benchmarks.sampler_overhead", *sys.argv[1:]]),
        "conditions": conditions(),
        "load": load,
        "fsync_ms": fsync_ms(options.folder),
        "enumerations": results,
        "decisions": chosen,
    }
    RECORDS.mkdir(exist_ok=True)
    (RECORDS / f"{options.record}.json").write_text(json.dumps(record, indent=1) + "\n")
    (RECORDS / f"{options.record}.md").write_text(page(record))
    print(decision_table(chosen))


if __name__ == "__main__":
    main()
