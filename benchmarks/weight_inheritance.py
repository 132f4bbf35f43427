"""What does inheriting weights save, and does it bias? Warm against scratch, at equal and at unequal epochs.

    python -m benchmarks.weight_inheritance

The design was fixed before the first training, and made smaller during the first cohort, before anything was compared. On each
of five new cohorts of the task `discordance` the baseline A_0 is trained (10 epochs), then each of six sets of points, and as a
control no point, in five ways:

- `warm`: from A_0's weights, 10 epochs, the learning rate starts anew (one cycle to the same peak);
- `warm, half the epochs`: the same in 5;
- `warm, low rate`: no restart, the peak is a tenth;
- `scratch, same epochs`: from random weights, 10 epochs: the same effort a candidate, A_0 being shared by all of them;
- `scratch, same total`: from random weights, 20 epochs: the same total as `warm`, its lineage's epochs included.

Target: the validation loss half way between the floors of late fusion and of both modalities jointly. A run that never falls
below it never learned; one whose loss is not finite diverged; one with an epoch above 1 nat was shaken. Bias is looked for in
two ways: does the difference between warm and scratch depend on the set of points, and what does it cost to choose the points
by the warm trainings' validation losses, judged by the models from scratch.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks import _answers as answers
from benchmarks.expert_routing_seeds import Interval, interval
from nas_fusion import Cohort, EvaluationWorker, load_space

NAME = "weight_inheritance"
SEEDS = (20, 21, 22, 23, 24)
SETS: Mapping[str, tuple[str, ...]] = {
    "none (control)": (),
    "layer1": ("layer1",),
    "layer2": ("layer2",),
    "layer3": ("layer3",),
    "layer4": ("layer4",),
    "layer2 + layer3": ("layer2", "layer3"),
    "all four": ("layer1", "layer2", "layer3", "layer4"),
}
FUSED = tuple(SETS)[1:]
WARM, HALF, LOW = "warm", "warm, half the epochs", "warm, low rate"
SAME, TOTAL = "scratch, same epochs", "scratch, same total"
PAIRS = ((TOTAL, WARM), (SAME, WARM), (SAME, HALF), (SAME, LOW), (TOTAL, LOW), (LOW, WARM), (HALF, WARM))
SHAKEN = 1.0


class Way(NamedTuple):
    """A way to train: what differs from the preset's plan, and whether it starts from A_0."""

    plan: Mapping[str, Any]
    inherits: bool


def ways(epochs: int, rate: float) -> dict[str, Way]:
    """Return the ways to train, from the epochs of A_0 and the preset's peak learning rate."""
    low, half = {"inherited_learning_rate": rate / 10}, {"inherited_epochs": max(1, epochs // 2)}
    return {
        WARM: Way({"epochs": epochs}, True),
        HALF: Way({"epochs": epochs, **half}, True),
        LOW: Way({"epochs": epochs, **low}, True),
        SAME: Way({"epochs": epochs}, False),
        TOTAL: Way({"epochs": 2 * epochs}, False),
    }


def run(seed: int, cohort: Cohort, store: str, epochs: int) -> dict[str, Any]:
    """Return every training of a cohort, by way and set of points."""
    space: Any = load_space("fusion-points", preset="small")
    arms: dict[str, dict[str, Any]] = {}
    gaps: dict[str, list[float] | None] = {}
    labs = {}
    for name, way in ways(epochs, space.plan.learning_rate).items():
        worker = EvaluationWorker(space, cohort, store=store, plan=way.plan, seed=seed)
        lab = labs[name] = answers.Laboratory(worker, cohort)
        lineage = (space.baseline,) if way.inherits else ()
        arms[name] = {
            points: lab.train(f"seed {seed}: {name}, {points}", space.complete(dict.fromkeys(active, "mmtm")), lineage)
            for points, active in SETS.items()
        }
    for points in FUSED:
        first, second = arms[TOTAL][points], arms[WARM][points]
        labs[TOTAL].said |= labs[WARM].said
        gaps[points] = labs[TOTAL].gap(first, second)
    return {"seed": seed, "target": answers.midpoint(cohort), "arms": arms, "subjects": gaps}


# --- what the trainings say ---


def differences(results: Sequence[Mapping[str, Any]], first: str, second: str, sets: Sequence[str] = FUSED) -> list[float]:
    """Return test loss of the first way minus that of the second, mean over sets of points, a cohort seed each."""
    return [
        answers.mean_test([row["arms"][first][points] for points in sets])
        - answers.mean_test([row["arms"][second][points] for points in sets])
        for row in results
    ]


def chosen(row: Mapping[str, Any], way: str) -> str:
    """Return the set of points with the lowest validation loss of a way."""
    rows = row["arms"][way]
    return min(FUSED, key=lambda points: np.inf if rows[points]["validation"] is None else rows[points]["validation"])


def price(results: Sequence[Mapping[str, Any]], way: str, judge: str = TOTAL) -> list[float]:
    """Return what choosing by one way costs, judged by another: test loss of its choice minus that of the judge's choice."""
    return [row["arms"][judge][chosen(row, way)]["test"] - row["arms"][judge][chosen(row, judge)]["test"] for row in results]


def agreement(row: Mapping[str, Any], first: str, second: str) -> float:
    """Return Kendall's tau-b between the validation losses that two ways give the sets of points."""
    sides = [[row["arms"][way][points]["validation"] for points in FUSED] for way in (first, second)]
    return float(stats.kendalltau(*[[np.inf if loss is None else loss for loss in side] for side in sides]).statistic)


def runs(results: Sequence[Mapping[str, Any]], way: str) -> list[tuple[dict[str, Any], float]]:
    """Return every training of a way with fusion, and the target of its cohort."""
    return [(row["arms"][way][points], row["target"]) for row in results for points in FUSED]


def speed(results: Sequence[Mapping[str, Any]], way: str) -> dict[str, Any]:
    """Return how many runs reached the target, after how many epochs (median over all runs), and how many went wrong."""
    found = runs(results, way)
    reached = [answers.epochs_to(row["curve"], target) for row, target in found]
    own = statistics.median_high([np.inf if epoch is None else epoch for epoch in reached])
    before = found[0][0]["lineage_epochs"] - found[0][0]["epochs"]
    return {
        "runs": len(found),
        "reached": sum(epoch is not None for epoch in reached),
        "own": own,
        "with_lineage": own + before,
        "budget": found[0][0]["epochs"],
        "total": found[0][0]["lineage_epochs"],
        "diverged": sum(row["validation"] is None for row, _ in found),
        "shaken": sum(any(loss is None or loss > SHAKEN for loss in row["curve"]) for row, _ in found),
    }


# --- the page ---


def page(record: Mapping[str, Any]) -> str:
    """Return the record as a Markdown page."""
    results = record["results"]
    lines = [
        "# What inheriting weights saves, and whether it biases",
        "",
        answer(results),
        "",
        *answers.introduction(record, "with what was left out named below"),
        "",
        "`warm` starts from the weights of A_0, `low rate` without restart of the learning rate (a tenth of the peak),",
        "`scratch` from random weights. Six sets of points with MMTM; `none` is the control. For want of time a seventh set",
        "(layer1 + layer4) and a sixth way (low rate in half the epochs) were left out during the first cohort, before",
        "anything was compared.",
        "",
        "Epochs: own, and with the lineage's. `to the target` is the median over all runs of the first epoch whose validation",
        f"loss is below {results[0]['target']:.3f} nats, half way between the floors of late fusion and of both modalities",
        "jointly (`never`: more than half of the runs did not get there). `shaken` runs had an epoch above 1 nat.",
        "",
        "| way | epochs | with lineage | reached the target | to the target | with lineage | never | diverged | shaken |",
        "| --- " * 9 + "|",
    ]
    for way in (WARM, HALF, LOW, SAME, TOTAL):
        s = speed(results, way)
        missed = s["runs"] - s["reached"]
        lines.append(
            f"| {way} | {s['budget']} | {s['total']} | {s['reached']} of {s['runs']} | {_epochs(s['own'])} | "
            f"{_epochs(s['with_lineage'])} | {missed} | {s['diverged']} | {s['shaken']} |"
        )
    lines += ["", "Mean test loss over seeds, in nats, by set of points:", ""]
    lines += ["| way | " + " | ".join(SETS) + " |", "| --- " * (1 + len(SETS)) + "|"]
    for way in (WARM, HALF, LOW, SAME, TOTAL):
        means = (answers.mean_test([row["arms"][way][points] for row in results]) for points in SETS)
        lines.append(f"| {way} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    lines += ["", "Paired differences of test losses, mean over the six sets (positive: the second is better):", ""]
    lines += answers.compared({f"{a} − {b}": differences(results, a, b) for a, b in PAIRS}, "first minus second")
    lines += ["", f"The same by set of points, `{TOTAL}` − `{WARM}`; does the difference depend on the points?", ""]
    lines += answers.compared({points: differences(results, TOTAL, WARM, [points]) for points in SETS}, "points")
    lines += ["", _subjects(results), ""]
    lines += ["What is chosen by the lowest validation loss among the six, and the rank correlation of the ways:", ""]
    lines += [f"| seed | {WARM} | {LOW} | {SAME} | {TOTAL} | tau-b warm, total | tau-b same, total |", "| --- " * 7 + "|"]
    for row in results:
        cells = " | ".join(chosen(row, way) for way in (WARM, LOW, SAME, TOTAL))
        taus = f"{agreement(row, WARM, TOTAL):+.2f} | {agreement(row, SAME, TOTAL):+.2f}"
        lines.append(f"| {row['seed']} | {cells} | {taus} |")
    lines += ["", f"What choosing by another way costs in test loss, judged by `{TOTAL}` (positive: a loss):", ""]
    lines += answers.compared({f"chosen by {way}": price(results, way) for way in (WARM, HALF, LOW, SAME)}, "choice")
    return "\n".join([*lines, ""])


def answer(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the plain answer, made from the numbers."""
    equal, effort, restart, half = (
        interval(differences(results, *pair)) for pair in ((TOTAL, WARM), (SAME, WARM), (LOW, WARM), (HALF, WARM))
    )
    cost = interval(price(results, WARM))
    runs = speed(results, WARM)["runs"]
    reached = {way: speed(results, way)["reached"] for way in (WARM, HALF, LOW, SAME, TOTAL)}
    warm, total = speed(results, WARM), speed(results, TOTAL)
    return (
        f"At equal total epochs (lineage included) warm starting {_verdict(equal)} against scratch (scratch − warm "
        f"{_of(equal)} nats), at equal epochs a candidate it {_verdict(effort)} ({_of(effort)}). Of {runs} runs each "
        f"learned fusion: {reached[WARM]} warm, {reached[SAME]} from scratch with the same epochs, {reached[TOTAL]} with the "
        f"same total; the median run needed {_epochs(warm['own'])} epochs to the target warm "
        f"({_epochs(warm['with_lineage'])} with the "
        f"lineage's), {_epochs(total['own'])} from scratch. Without the restart of the learning rate "
        f"{reached[LOW]} warm runs of {runs} learned it (low rate − warm {_of(restart)}), with half the epochs "
        f"{reached[HALF]} ({_of(half)}). Choosing the points by warm trainings "
        f"{'costs' if cost.low > 0 else 'does not measurably cost'} test loss ({_of(cost)})."
    )


def _of(found: Interval) -> str:
    return f"{found.mean:+.3f}, {found.low:+.3f} to {found.high:+.3f}"


def _verdict(found: Interval) -> str:
    return "wins" if found.low > 0 else "loses" if found.high < 0 else "shows no clear difference"


def _subjects(results: Sequence[Mapping[str, Any]]) -> str:
    """Return how many of the paired tests over test subjects are clear, in which direction."""
    tested = [gap for row in results for gap in row["subjects"].values() if gap is not None]
    better, worse = sum(gap[1] > 0 for gap in tested), sum(gap[2] < 0 for gap in tested)
    return (
        f"Paired over the test subjects of each single pair of models (`{TOTAL}` − `{WARM}`): of {len(tested)} pairs the 95 % "
        f"interval is above 0 in {better} (warm better), below 0 in {worse}."
    )


def _epochs(number: float) -> str:
    return "never" if number == np.inf else f"{number:.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every seed and write the record."""
    options = answers.parser(__doc__, SEEDS).parse_args(arguments)
    answers.one_thread()
    results = [run(seed, answers.scans(seed, options), options.store, options.epochs) for seed in options.cohort_seeds]
    answers.write(NAME, results, options, page)


if __name__ == "__main__":
    main()
