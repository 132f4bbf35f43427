"""Which compression ratio and which gate should MMTM have?

    python -m benchmarks.mmtm_options

The design was fixed before the first training, and made smaller during the first cohort, before anything was compared. On each
of four new cohorts of the task `discordance` the baseline A_0 is trained, then from its weights each of the four single points
with each of six variants of MMTM: the gate `sigmoid` with ratio 1, 4 (the default), 16 or 128 (one joint number at every point
of the preset `small`), the gate `softmax` with ratio 4, all of them the identity when fresh; and the variant as published
(softmax, ratio 4, torch's default initialisation, no identity). What counts is the test loss, the mean over the four points,
against the default variant. A run learned fusion if its validation loss gets below half way between the floors of late fusion
and of both modalities jointly.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks import _answers as answers
from benchmarks.expert_routing_seeds import interval
from nas_fusion import Cohort, EvaluationWorker, SearchSpace, load_space

NAME = "mmtm_options"
SEEDS = (20, 21, 22, 23)
POINTS = ("layer1", "layer2", "layer3", "layer4")
SOFTMAX, PUBLISHED = "softmax, ratio 4", "as published"
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    **{f"sigmoid, ratio {ratio}": {"modules": "mmtm", "ratio": ratio, "gate": "sigmoid"} for ratio in (1, 4, 16, 128)},
    SOFTMAX: {"modules": "mmtm", "ratio": 4, "gate": "softmax"},
    PUBLISHED: {"modules": "mmtm_as_published"},
}
DEFAULT = "sigmoid, ratio 4"


def run(seed: int, cohort: Cohort, store: str, epochs: int) -> dict[str, Any]:
    """Return every training of a cohort: A_0, and by variant and point."""
    first: EvaluationWorker | None = None
    row: dict[str, Any] = {"seed": seed, "target": answers.midpoint(cohort), "arms": {}, "subjects": {}}
    labs: dict[str, answers.Laboratory] = {}
    for name, options in VARIANTS.items():
        space: SearchSpace = load_space("fusion-points", preset="small", **options)
        worker = EvaluationWorker(space, cohort, store=store, plan={"epochs": epochs}, seed=seed)
        lab = labs[name] = answers.Laboratory(worker, cohort)
        if first is None:
            first, row["baseline"] = worker, lab.train(f"seed {seed}: A_0", space.baseline)
        share_baseline(first, worker)
        row["arms"][name] = {
            point: lab.train(
                f"seed {seed}: {name}, {point}", space.complete({point: str(options["modules"])}), [space.baseline]
            )
            for point in POINTS
        }
    for name in VARIANTS:
        labs[name].said |= labs[DEFAULT].said
        arms = row["arms"]
        row["subjects"][name] = {point: labs[name].gap(arms[name][point], arms[DEFAULT][point]) for point in POINTS}
    return row


def share_baseline(source: EvaluationWorker, target: EvaluationWorker) -> None:
    """Let a worker's A_0 be that of another, whose modules have other options: without modules the numbers are the same."""
    old, new = source.key(source.space.baseline), target.key(target.space.baseline)
    known, store = source.store.get(old), source.store
    assert known is not None
    if store.get(new) is None:
        weights = [store.weights(old, 0, number) for number in range(source.seeds)]
        target.store.put(replace(known, key=new), weights, store.predictions(old), details=store.details(old))


# --- what the trainings say ---


def differences(results: Sequence[Mapping[str, Any]], first: str, second: str) -> list[float]:
    """Return the test loss of a variant minus that of another, mean over the points, a cohort seed each."""
    return [
        answers.mean_test(list(row["arms"][first].values())) - answers.mean_test(list(row["arms"][second].values()))
        for row in results
    ]


def mean_loss(results: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the test loss of a variant, mean over points and seeds."""
    return answers.mean_test([run for row in results for run in row["arms"][name].values()])


def comparisons(results: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return each variant minus the default, and what the initialisation of the published variant does by itself."""
    against = {f"{name} − {DEFAULT}": differences(results, name, DEFAULT) for name in VARIANTS if name != DEFAULT}
    return {**against, f"{PUBLISHED} − {SOFTMAX} (identity)": differences(results, PUBLISHED, SOFTMAX)}


def learned(results: Sequence[Mapping[str, Any]], name: str) -> tuple[int, int]:
    """Return how many runs of a variant learned fusion, and of how many."""
    found = [answers.learned(run, row["target"]) for row in results for run in row["arms"][name].values()]
    return sum(found), len(found)


# --- the page ---


def page(record: Mapping[str, Any]) -> str:
    """Return the record as a Markdown page."""
    results = record["results"]
    lines = [
        "# Compression ratio and gate of MMTM",
        "",
        answer(results),
        "",
        *answers.introduction(record, "with what was left out named below"),
        "",
        "Candidates start from the weights of one A_0. The joint vector of ratio 1, 4, 16, 128 has 16, 4, 1, 1 numbers at",
        "layer1 and 128, 32, 8, 1 at layer4. For want of time the softmax with other ratios and a fifth cohort were left",
        "out during the first cohort, before anything was compared.",
        "",
        "Mean test loss over seeds, in nats; A_0 has " + f"{answers.mean_test([row['baseline'] for row in results]):.3f}:",
        "",
        "| variant | " + " | ".join(POINTS) + " | mean | learned fusion |",
        "| --- " * (len(POINTS) + 3) + "|",
    ]
    for name in VARIANTS:
        means = [answers.mean_test([row["arms"][name][point] for row in results]) for point in POINTS]
        count, runs = learned(results, name)
        cells = " | ".join(f"{mean:.3f}" for mean in [*means, statistics.fmean(means)])
        lines.append(f"| {name} | {cells} | {count} of {runs} |")
    lines += ["", "Paired differences of test losses, mean over the four points (negative: the first is better):", ""]
    lines += answers.compared(comparisons(results), "first minus second")
    lines += ["", _subjects(results)]
    return "\n".join([*lines, ""])


def answer(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the plain answer, made from the numbers."""
    compared = comparisons(results)
    clear = answers.clear(compared)
    widest = max((found.high - found.low) / 2 for found in map(interval, compared.values()))
    if not clear:
        largest = max(abs(interval(values).mean) for values in compared.values())
        return (
            f"On this cohort neither ratio nor gate of MMTM matters measurably: none of {len(compared)} comparisons has a 95 % "
            f"interval without 0; the largest mean difference is {largest:.3f} nats, and the intervals reach up to "
            f"{widest:.3f} nats to either side, so that smaller effects stay open."
        )
    means = ", ".join(f"{mean_loss(results, name):.3f} ({name})" for name in VARIANTS)
    found = "; ".join(f"{name}: {e.mean:+.3f} nats ({e.low:+.3f} to {e.high:+.3f})" for name, e in clear.items())
    return (
        f"Of {len(compared)} comparisons of ratio, gate and initialisation of MMTM {len(clear)} have a 95 % interval without 0 "
        f"(about {0.05 * len(compared):.1f} are expected by chance): {found} (negative: the first is better). The others show "
        f"nothing clear, with intervals that reach up to {widest:.3f} nats to either side. Mean test losses: {means}."
    )


def _subjects(results: Sequence[Mapping[str, Any]]) -> str:
    rows = [(name, gap) for row in results for name, gaps in row["subjects"].items() for gap in gaps.values()]
    tested = [gap for name, gap in rows if name != DEFAULT and gap is not None]
    worse, better = sum(gap[1] > 0 for gap in tested), sum(gap[2] < 0 for gap in tested)
    return (
        f"Paired over the test subjects of each single model against the default at the same point: of {len(tested)} pairs the "
        f"95 % interval shows the variant worse in {worse}, better in {better}; training again would change either."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every seed and write the record."""
    options = answers.parser(__doc__, SEEDS).parse_args(arguments)
    answers.one_thread()
    results = [run(seed, answers.scans(seed, options), options.store, options.epochs) for seed in options.cohort_seeds]
    answers.write(NAME, results, options, page)


if __name__ == "__main__":
    main()
