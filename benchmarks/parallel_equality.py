"""Do four processes, one of them killed, train nothing twice and end where one process ends? Every sampler, every storage.

Run it with `python -m benchmarks.parallel_equality`; it writes `benchmarks/records/parallel_equality.json` and `.md`.
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
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks._race import SAMPLERS, Race, serial, simulated
from benchmarks._servers import serving, why_missing
from benchmarks.conditions import conditions, sentence

RECORDS = Path(__file__).parent / "records"
REPETITIONS = {"sqlite": 20, "postgresql": 20, "journal": 5, "grpc": 5}
UNKILLED = ("journal",)  # the lock of a killed process is broken by several others at once, which Optuna reports as an error


def equality(kind: str, sampler: str, repetitions: int, folder: Path, url: str) -> dict[str, Any]:
    """Return what is recorded of a sampler on a storage: violations are listed, not only counted."""
    faults: list[str] = []
    totals = {"evaluations": 0, "in_vain": 0, "repeated": 0, "killed": 0, "killed_in_training": 0, "seconds": 0.0}
    for seed in range(repetitions):
        race = Race(sampler, seed=seed, url=url, log=folder / f"{sampler}-{seed}.log", kills=kind not in UNKILLED)
        outcome = race.run()
        faults += [f"seed {seed}: {fault}" for fault in outcome.faults(serial(sampler, seed))]
        totals["evaluations"] += len(outcome.used)
        totals["in_vain"] += outcome.in_vain
        totals["repeated"] += outcome.repeated
        totals["killed"] += outcome.killed
        totals["killed_in_training"] += outcome.killed_in_training
        totals["seconds"] += outcome.seconds
    return {"storage": kind, "sampler": sampler, "repetitions": repetitions, **totals, "faults": faults}


def idleness(sampler: str, pairs: int, folder: Path) -> dict[str, Any]:
    """Return how much speculation saves: the same search by four processes with and without it, simulated training times."""
    times: dict[bool, list[float]] = {True: [], False: []}
    busy: dict[bool, list[float]] = {True: [], False: []}
    in_vain: list[int] = []
    for seed in range(pairs):
        for speculate in (True, False) if seed % 2 else (False, True):
            url = f"{folder}/idle-{sampler}-{seed}-{speculate}.journal"
            log = folder / f"idle-{sampler}-{seed}-{speculate}.log"
            race = Race(sampler, seed=seed, url=url, log=log, delay_s=simulated(seed), speculate=speculate)
            outcome = race.run()
            if faults := outcome.faults(serial(sampler, seed)):
                raise AssertionError(f"{sampler}, seed {seed}, speculate={speculate}: {faults[0]}")
            times[speculate].append(outcome.searching_s)
            busy[speculate].append(outcome.training_s)
            in_vain += [outcome.in_vain] if speculate else []
    saved = [with_it / without for with_it, without in zip(times[True], times[False], strict=True)]
    idle = {s: [1 - b / (4 * t) for b, t in zip(busy[s], times[s], strict=True)] for s in (True, False)}
    return {
        "sampler": sampler,
        "pairs": pairs,
        "time_ratio": statistics.median(saved),
        "time_ratios": [round(ratio, 3) for ratio in saved],
        "seconds": [statistics.median(times[s]) for s in (True, False)],
        "idle": [statistics.median(idle[s]) for s in (True, False)],
        "in_vain": statistics.mean(in_vain),
        "trainings_needed": float(np.mean([len(serial(sampler, seed).used) for seed in range(pairs)])),
    }


def table(results: list[dict[str, Any]]) -> str:
    """Return the equality of results as a Markdown table."""
    head = "storage | sampler | repetitions | killed | of these in training | trained again after it"
    lines = [f"| {head} | evaluations used | speculated in vain | violations |", "| --- " * 9 + "|"]
    for r in results:
        counts = (r[name] for name in ("repetitions", "killed", "killed_in_training", "repeated", "evaluations", "in_vain"))
        lines.append(f"| {r['storage']} | {r['sampler']} | {' | '.join(map(str, counts))} | {len(r['faults'])} |")
    return "\n".join(lines)


def idle_table(results: list[dict[str, Any]]) -> str:
    """Return what speculation saves as a Markdown table."""
    lines = ["| sampler | pairs | time with / without (median) | idle with | idle without | trainings needed | in vain |"]
    lines.append("| --- " * 7 + "|")
    for r in results:
        cells = f"{r['time_ratio']:.2f} | {r['idle'][0]:.0%} | {r['idle'][1]:.0%} | {r['trainings_needed']:.1f}"
        lines.append(f"| {r['sampler']} | {r['pairs']} | {cells} | {r['in_vain']:.1f} |")
    return "\n".join(lines)


def page(record: dict[str, Any]) -> str:
    """Return the whole record."""
    n_faults = sum(len(r["faults"]) for r in record["equality"])
    return (
        "# Four processes, one of them killed, against one\n\n"
        "Five points, one of them with two modules (48 configurations), losses with interactions of pairs that depend on the\n"
        "lineage of weights; weights inherited from the parent. Four processes run the worker's own loop on one study; a\n"
        "training waits for a random time of 0 to 60 ms; one process gets SIGKILL at a random moment and is replaced (not\n"
        "on the journal file, where Optuna's lock does not survive that safely). It is a\n"
        "violation if a node (configuration and parent) is trained to completion twice, or begun twice by living processes,\n"
        "or if path, best configuration or used evaluations (with their values) differ from those of one process.\n\n"
        f"**{n_faults} violations.** {sentence(record['conditions'])} Load at start {record['load']}. Made by "
        f"`{record['command']}`.\n\n{table(record['equality'])}\n\n"
        "Speculation: a process that finds its round fully claimed begins the next one. The same search by four processes\n"
        "with and without it, journal file, simulated training times of 0.15 to 0.45 s (uniform, by configuration); time from\n"
        "the first claim to the end of the search; idle is the share of four processes' time in which nothing was trained.\n\n"
        f"{idle_table(record['idleness'])}\n"
    )


def _equal(options: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    for kind in options.storages:
        if reason := why_missing(kind):
            print(f"{kind}: {reason}")
            continue
        with tempfile.TemporaryDirectory(dir=options.folder) as inside, serving(kind, Path(inside)) as url:
            for sampler in options.samplers:
                results.append(equality(kind, sampler, options.repetitions or REPETITIONS[kind], Path(inside), url))
                print(table(results[-1:]).split("\n")[-1], *results[-1]["faults"], flush=True)
    return results


def _idle(options: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    with tempfile.TemporaryDirectory(dir=options.folder) as inside:
        for sampler in ("sfsa", "beam") if options.pairs else ():
            results.append(idleness(sampler, options.pairs, Path(inside)))
            print(idle_table(results[-1:]).split("\n")[-1], flush=True)
    return results


def main() -> None:
    """Run every race and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storages", nargs="+", default=list(REPETITIONS))
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS))
    parser.add_argument("--repetitions", type=int, help="instead of the usual number on each storage")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--record", default="parallel_equality")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the storages' files are")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    load, started = f"{os.getloadavg()[0]:.1f}", time.monotonic()
    record: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks.parallel_equality", *sys.argv[1:]]),
        "conditions": conditions(),
        "load": load,
        "idleness": _idle(options),
        "equality": _equal(options),
    }
    record["seconds"] = round(time.monotonic() - started)
    RECORDS.mkdir(exist_ok=True)
    (RECORDS / f"{options.record}.json").write_text(json.dumps(record, indent=1) + "\n")
    (RECORDS / f"{options.record}.md").write_text(page(record))


if __name__ == "__main__":
    main()
