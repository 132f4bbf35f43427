"""Do two connectomes tell more than one, and what do experts add? The same models on several seeds of the simulated cohort.

    python -m benchmarks.expert_routing_seeds --cohort-seeds 0 1 2 3 4

Every model is fixed before; each cohort seed draws new subjects and is the seed of the trainings, too. What is compared is the
loss of test subjects, on which no epoch and no model was selected. It writes `benchmarks/records/expert_routing_seeds.json`
and `.md`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from scipy import stats

from benchmarks.conditions import conditions, sentence
from nas_fusion import Cohort, EvaluationWorker, load_cohort, load_space
from nas_fusion.evaluation.metrics import metrics

RECORDS = Path(__file__).parent / "records"
NAME = "expert_routing_seeds"
STORE = "nas-fusion-results/expert-routing"
EVERYWHERE = ("sc", "fc", "fused")
REFERENCES = {
    "SC alone": "alone:SC",
    "FC alone": "alone:FC",
    "logistic regression, SC": "logistic:SC",
    "logistic regression, FC": "logistic:FC",
    "logistic regression, both": "logistic:all",
    "late fusion": "late_fusion",
    "dense mixtures": "dense",
}
CONFIGURATIONS: Mapping[str, Mapping[str, str]] = {
    "static": {},
    "3 experts": dict.fromkeys(EVERYWHERE, "e3k2"),
    "6 experts": dict.fromkeys(EVERYWHERE, "e6k2"),
    "3 experts, a subject": {**dict.fromkeys(EVERYWHERE, "e3k2"), "granularity": "subject"},
    "3 experts, fused only": {"fused": "e3k2"},
}
COMPARED = (  # loss of the first minus loss of the second
    ("FC alone", "static"),
    ("SC alone", "static"),
    ("logistic regression, FC", "static"),
    ("logistic regression, both", "static"),
    ("late fusion", "static"),
    ("static", "3 experts"),
    ("static", "6 experts"),
    ("static", "dense mixtures"),
    ("static", "3 experts, fused only"),
    ("3 experts", "6 experts"),
    ("3 experts", "3 experts, a subject"),
)
SCORES = ("loss", "accuracy", "auc")


class Interval(NamedTuple):
    """A mean with the ends of Student's 95 % interval, and how many numbers it is of."""

    mean: float
    low: float
    high: float
    n: int


def run(seed: int, cohort: Cohort, store: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Train every model on a cohort and return its scores on the test subjects, and its validation loss."""
    space: Any = load_space("expert-routing", scope="full")
    worker = EvaluationWorker(space, cohort, store=store, plan=plan, seed=seed)
    assert cohort.splits is not None
    test = cohort.subset(cohort.splits.test)
    arms = {}
    for name in (*REFERENCES, *CONFIGURATIONS):
        if name in REFERENCES:
            evaluation, keys = worker.evaluate_reference(REFERENCES[name]), worker.members(REFERENCES[name])
        else:
            evaluation = worker.evaluate(space.complete(CONFIGURATIONS[name]))
            keys = (evaluation.key,)
        said = worker.predict(keys, test)
        found = metrics(said.labels, said.probabilities)
        arms[name] = {
            "loss": float(said.losses.mean()),
            **{score: found[score] for score in SCORES[1:]},
            "validation": evaluation.value,
        }
        print(f"seed {seed}: {name} {arms[name]['loss']:.4f}", file=sys.stderr, flush=True)
    return {"seed": seed, "arms": arms}


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of numbers that were drawn independently with Student's 95 % interval.

    Raises:
        ValueError: If there are fewer than two.
    """
    if len(values) < 2:
        raise ValueError(f"`values` must be at least two for an interval, but got {len(values)}.")
    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return Interval(mean, mean - reach, mean + reach, len(values))


def differences(results: Sequence[Mapping[str, Any]], first: str, second: str) -> list[float]:
    """Return the test loss of the first model minus that of the second, a cohort seed each."""
    return [row["arms"][first]["loss"] - row["arms"][second]["loss"] for row in results]


def page(results: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    """Return the record as a Markdown page."""
    seeds = [row["seed"] for row in results]
    cohort = facts["cohort"]
    lines = [
        "# Expert routing on other subjects: seeds of the simulated connectomes",
        "",
        f"Each of {len(seeds)} seeds draws new subjects ({cohort['train']} to train, {cohort['validation']} to validate,",
        f"{cohort['test']} to test, {cohort['regions']} regions) and new trainings. Models were fixed before; `static` is the",
        "baseline of the space, `3 experts` has mixtures of which 2 run in all three branches. All seeds that were run are",
        "shown.",
        "",
        f"{sentence(facts['conditions'])} Made by `{facts['command']}`.",
        "",
        "Test loss, in nats; accuracy and AUC are means over seeds:",
        "",
        "| model | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean | accuracy | AUC |",
        "| --- " * (len(seeds) + 4) + "|",
    ]
    for name in results[0]["arms"]:
        arms = [row["arms"][name] for row in results]
        means = {score: statistics.fmean(arm[score] for arm in arms) for score in SCORES}
        losses = " | ".join(f"{arm['loss']:.3f}" for arm in arms)
        lines.append(f"| {name} | {losses} | {means['loss']:.3f} | {means['accuracy']:.3f} | {means['auc']:.3f} |")
    lines += [
        "",
        "Paired differences of test losses, mean over seeds with Student's 95 % interval (positive: the second is better):",
        "",
        "| first minus second | mean | interval | seeds in which the second is better |",
        "| --- | --- | --- | --- |",
    ]
    for first, second in COMPARED:
        found = differences(results, first, second)
        mean, low, high, n = interval(found)
        better = sum(difference > 0 for difference in found)
        lines.append(f"| {first} − {second} | {mean:+.4f} | {low:+.4f} to {high:+.4f} | {better} of {n} |")
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every seed and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort-seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--train", type=int, default=512)
    parser.add_argument("--validation", type=int, default=512)
    parser.add_argument("--test", type=int, default=512)
    parser.add_argument("--regions", type=int, default=90)
    parser.add_argument("--epochs", type=int, help="of each stage, by default the preset's")
    parser.add_argument("--store", default=STORE)
    parser.add_argument("--out", type=Path, default=RECORDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    parts = {name: getattr(options, name) for name in ("train", "validation", "test", "regions")}
    words = [f"--{name} {value}" for name, value in {**parts, "epochs": options.epochs}.items() if value is not None]
    seeds = " ".join(map(str, options.cohort_seeds))
    plan = {} if options.epochs is None else {"epochs": options.epochs}
    results = [
        run(seed, load_cohort("simulated-connectomes", seed=seed, **parts), options.store, plan)
        for seed in options.cohort_seeds
    ]
    facts = {
        "command": f"python -m benchmarks.expert_routing_seeds --cohort-seeds {seeds} {' '.join(words)}",
        "conditions": conditions(),
        "cohort": parts,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{NAME}.json").write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")
    (options.out / f"{NAME}.md").write_text(page(results, facts))


if __name__ == "__main__":
    main()
