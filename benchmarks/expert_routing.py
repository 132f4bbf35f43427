"""Ground truth of expert routing: the loss of all 31 configurations of its default scope, and what each sampler makes of them.

    python -m benchmarks.expert_routing --cohort-seeds 0 1 2

Each configuration is trained from scratch, its first two stages once for all that share them, on `simulated-connectomes` with
512 subjects to train and 512 to validate. Searches are then replayed on the table. It writes
`benchmarks/landscapes/expert_routing_seed<n>.csv` and `benchmarks/records/expert_routing.json` and `.md`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.conditions import conditions, sentence
from benchmarks.record_landscapes import LANDSCAPES, write
from nas_fusion import Cohort, EvaluationWorker, Landscape, SearchSpace, load_cohort, load_space
from nas_fusion.analysis import chance_regret, paired_difference
from nas_fusion.analysis.naming import points
from nas_fusion.study.replay import replay

RECORDS = Path(__file__).parent / "records"
NAME = "expert_routing"
STORE = "nas-fusion-results/expert-routing"
SEARCHES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "SFSA": ("sfsa", {}),
    "SFSA, patience 2": ("sfsa", {"patience": 2}),
    "beam, width 2": ("beam", {"width": 2}),
    "beam, width 3": ("beam", {"width": 3}),
    "backward": ("backward", {}),
    "floating": ("floating", {}),
    "floating with changes": ("floating", {"changes": True}),
    "surrogate, 12 trials": ("surrogate", {"n_trials": 12}),
    "surrogate, default budget": ("surrogate", {}),
    "exhaustive": ("exhaustive", {}),
}
DRAWING = {"random": 100, "tpe": 20}  # how often these are replayed, each time with another seed
TRIALS = (12, 22)


# --- training ---


def record(seed: int, cohort: Cohort, store: str, plan: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Train every configuration on one cohort.

    Args:
        seed: Of the trainings.
        cohort: With test subjects.
        store: Where evaluations are kept: a run that was interrupted goes on.
        plan: Overrides of the training plans.

    Returns:
        A row a configuration, by index; and facts: epochs that were trained and that they would have been without sharing
        stages, and how the best compares with the static model on validation and test subjects.
    """
    space = load_space("expert-routing")
    worker = EvaluationWorker(space, cohort, store=store, plan=plan, seed=seed)
    rows, found = [], {}
    for configuration in space.configurations():
        evaluation = found[configuration] = worker.evaluate(configuration)
        print(f"seed {seed}: {points(space, configuration)} {evaluation.value:.4f}", file=sys.stderr, flush=True)
        rows.append({**configuration, "seed": seed, "fold": 0, "loss": evaluation.value, "epochs": len(evaluation.curves[0])})
    best = min(found, key=lambda c: (found[c].value, len(space.active(c)), space.index(c)))
    keys = {"static": found[space.baseline].key, "best": found[best].key}
    said = {name: worker.store.predictions(key) for name, key in keys.items()}
    assert cohort.splits is not None
    test = cohort.subset(cohort.splits.test)
    tested = {name: worker.predict([key], test) for name, key in keys.items()}
    lead = paired_difference(said["static"], said["best"], candidates=len(found) - 1)
    confirmed = paired_difference(tested["static"], tested["best"])
    stages = [worker.store.details(evaluation.key)["folds"][0]["stages"] for evaluation in found.values()]
    facts = {
        "best": space.active(best),
        "static_minus_best": {
            "validation": [lead.mean, lead.low, lead.high],
            "test": [confirmed.mean, confirmed.low, confirmed.high],
        },
        "epochs": {
            "trained": sum(own["epochs"] for each in stages for own in each.values() if not own["shared"]),
            "without_sharing": sum(own["epochs"] for each in stages for own in each.values()),
        },
    }
    return rows, facts


# --- replaying ---


def searches(landscape: Landscape) -> dict[str, dict[str, Any]]:
    """Return what each search selects on a landscape: evaluations, regret in nats, and whether the optimum was seen.

    What draws is replayed with many seeds and given as means after some numbers of trials, repeated ones counted.
    """
    rows: dict[str, dict[str, Any]] = {}
    for title, (sampler, options) in SEARCHES.items():
        options = dict(options)
        trials = options.pop("n_trials", None)
        run = replay(landscape, sampler, n_trials=trials, **options)
        rows[title] = {"evaluations": run.evaluations, "regret": run.regret, "selected": landscape.space.active(run.best)}
    for sampler, times in DRAWING.items():
        runs = [replay(landscape, sampler, seed=seed, n_trials=max(TRIALS)) for seed in range(times)]
        for trials in TRIALS:
            regrets = [run.regrets[trials - 1] for run in runs]
            rows[f"{sampler}, {trials} trials"] = {"evaluations": trials, "regret": statistics.fmean(regrets)}
    return rows


def result(seed: int, landscape: Landscape, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded of one cohort: JSON-compatible."""
    losses = list(landscape.losses.values())
    return {
        "seed": seed,
        "static": landscape.loss(landscape.space.baseline),
        "lowest": landscape.minimum,
        "median": statistics.median(losses),
        "highest": max(losses),
        **facts,
        "searches": searches(landscape),
        "chance": chance_regret(landscape, [1])[1],
    }


def table_of(path: Path, space: SearchSpace) -> Landscape:
    """Return a recorded landscape."""
    return Landscape.from_csv(path, space)


# --- the page ---


def page(results: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    """Return the record as a Markdown page."""
    lines = [
        "# The landscape of expert routing, and what samplers find on it",
        "",
        "All 31 canonical configurations of scope `branches`, each trained once on cohorts of `simulated-connectomes`, a seed",
        f"each: {facts['cohort']['train']} subjects to train, {facts['cohort']['validation']} to validate,",
        f"{facts['cohort']['test']} to test, {facts['cohort']['regions']} regions. Losses are of validation subjects, in nats.",
        "Differences, regrets too, hold what training once more would change.",
        "",
        f"{sentence(facts['conditions'])} Made by `{facts['command']}`. Tables: {_tables(results)}.",
        "",
        "| seed | static | lowest | median | highest | where the lowest is | epochs trained, of those without shared stages |",
        "| --- " * 7 + "|",
        *(_line(row) for row in results),
        "",
        "Static minus lowest, the same subjects, with 95 % intervals (validation: for the best of 30, Bonferroni):",
        "",
        "| seed | validation | test |",
        "| --- | --- | --- |",
        *(
            f"| {r['seed']} | {_interval(r['static_minus_best'], 'validation')} | {_interval(r['static_minus_best'], 'test')} |"
            for r in results
        ),
        "",
        "Regret (how far what is selected is above the lowest), searches replayed on the tables. `random` and `tpe`: means",
        f"over {facts['drawing']['random']} and {facts['drawing']['tpe']} seeds, the best so far. One configuration drawn",
        "blindly has the regret " + ", ".join(f"{row['chance']:.4f}" for row in results) + ".",
        "",
        "| search | " + " | ".join(f"seed {row['seed']}: evaluations, regret" for row in results) + " | mean regret |",
        "| --- " * (len(results) + 2) + "|",
    ]
    for title in results[0]["searches"]:
        cells = [row["searches"][title] for row in results]
        mean = statistics.fmean(cell["regret"] for cell in cells)
        shown = " | ".join(f"{cell['evaluations']}, {cell['regret']:.4f}" for cell in cells)
        lines.append(f"| {title} | {shown} | {mean:.4f} |")
    return "\n".join([*lines, ""])


def _tables(results: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"`benchmarks/landscapes/{NAME}_seed{row['seed']}.csv`" for row in results)


def _line(row: Mapping[str, Any]) -> str:
    losses = " | ".join(f"{row[name]:.4f}" for name in ("static", "lowest", "median", "highest"))
    best = ", ".join(f"{p} {c}" for p, c in row["best"].items()) or "the static model"
    epochs = row["epochs"]
    share = epochs["trained"] / epochs["without_sharing"]
    return f"| {row['seed']} | {losses} | {best} | {epochs['trained']} of {epochs['without_sharing']} ({share:.0%}) |"


def _interval(parts: Mapping[str, Sequence[float]], part: str) -> str:
    mean, low, high = parts[part]
    return f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Record every cohort that is asked for; each table is written as soon as it is whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort-seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train", type=int, default=512)
    parser.add_argument("--validation", type=int, default=512)
    parser.add_argument("--test", type=int, default=256)
    parser.add_argument("--regions", type=int, default=90)
    parser.add_argument("--epochs", type=int, help="of each stage, by default the preset's")
    parser.add_argument("--store", default=STORE)
    parser.add_argument("--landscapes", type=Path, default=LANDSCAPES)
    parser.add_argument("--out", type=Path, default=RECORDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    parts = {name: getattr(options, name) for name in ("train", "validation", "test", "regions")}
    words = [f"--{name} {value}" for name, value in {**parts, "epochs": options.epochs}.items() if value is not None]
    command = f"python -m benchmarks.expert_routing --cohort-seeds {' '.join(map(str, options.cohort_seeds))} {' '.join(words)}"
    plan = {} if options.epochs is None else {"epochs": options.epochs}
    space, results = load_space("expert-routing"), []
    for seed in options.cohort_seeds:
        rows, facts = record(seed, load_cohort("simulated-connectomes", seed=seed, **parts), options.store, plan)
        path = options.landscapes / f"{NAME}_seed{seed}.csv"
        write(rows, space, path)
        results.append(result(seed, table_of(path, space), facts))
    said = {"command": command, "conditions": conditions(), "cohort": parts, "drawing": dict(DRAWING)}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{NAME}.json").write_text(json.dumps({**said, "results": results}, indent=1) + "\n")
    (options.out / f"{NAME}.md").write_text(page(results, said))


if __name__ == "__main__":
    main()
