"""Run the benchmark and write its record."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions
from benchmarks.greedy_vs_exhaustive.figure import draw, write_picture
from benchmarks.greedy_vs_exhaustive.landscapes import COUNTS, SIZES, TURNS, Problem, recordings, synthetic
from benchmarks.greedy_vs_exhaustive.run import Job, Result, run_all
from benchmarks.greedy_vs_exhaustive.searchers import KIND, OURS, PEERS
from benchmarks.greedy_vs_exhaustive.show import page
from benchmarks.greedy_vs_exhaustive.summary import summarise
from nas_fusion.analysis.families import FAMILIES

RECORDS = Path(__file__).parents[1] / "records"
NAME = "greedy_vs_exhaustive"
KNOWN = Path("nas-fusion-results/benchmarks") / f"{NAME}.jsonl"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what a command line asks for."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{NAME}", description=__doc__)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), choices=SIZES, help="numbers of points")
    parser.add_argument("--most", type=int, help="landscapes of each family and size at most")
    parser.add_argument("--orders", type=int, default=max(TURNS.values()), help="of the points of recorded landscapes")
    parser.add_argument("--samplers", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS], metavar="NAME")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--known", type=Path, default=KNOWN, help="file with what samplers did before")
    parser.add_argument("--out", type=Path, default=RECORDS)
    return parser.parse_args(arguments)


def counts(options: argparse.Namespace) -> dict[str, dict[int, int]]:
    """Return how many landscapes each kind of searcher searches, by number of points."""
    return {
        kind: {m: n if options.most is None else min(n, options.most) for m, n in by_size.items() if m in options.sizes}
        for kind, by_size in COUNTS.items()
    }


def jobs(options: argparse.Namespace) -> list[Job]:
    """Return who searches what: slow samplers search the first of the landscapes that fast ones search."""
    wanted = counts(options)
    problems = [*synthetic(options.families, wanted["ours"]), *recordings(options.sizes, options.orders)]

    def is_asked(name: str, problem: Problem) -> bool:
        kind = KIND[name]
        return problem.seed < (TURNS[kind] if problem.table else wanted[kind][problem.m])

    asked = [Job(problem, tuple(name for name in options.samplers if is_asked(name, problem))) for problem in problems]
    return [job for job in asked if job.searchers]


def watched(asked: Sequence[Job], results: Iterable[list[Result]]) -> Iterable[Result]:
    """Yield every result, saying now and then how far it is."""
    began, said = time.monotonic(), 0.0
    for done, (job, found) in enumerate(zip(asked, results, strict=True), 1):
        yield from found
        elapsed = time.monotonic() - began
        if elapsed - said > 15 or done == len(asked):
            said = elapsed
            print(
                f"{done} of {len(asked)} landscapes, {elapsed:.0f} s ({job.problem.family}, m = {job.problem.m})",
                file=sys.stderr,
            )


def record(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything and return the record: JSON-compatible."""
    asked = jobs(options)
    entries = summarise(watched(asked, run_all(asked, options.processes, options.known)))
    settings = {"counts": counts(options), "orders": options.orders, "families": options.families, "samplers": options.samplers}
    return {
        "command": f"python -m benchmarks.{NAME}",
        "conditions": conditions(),
        "settings": settings,
        "entries": entries,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark, write the record and print its page."""
    options = parse(arguments)
    found = record(options)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{NAME}.json").write_text(
        json.dumps(found, separators=(",", ":")).replace('{"family"', '\n{"family"') + "\n"
    )
    text = page(found)
    (options.out / f"{NAME}.md").write_text(text)
    write_picture(draw(found["entries"]), options.out / f"{NAME}.png")
    print(text)


if __name__ == "__main__":
    main()
