"""Does the best fusion point depend on the fusion module?

    python -m benchmarks.module_points

The design was fixed before the first training. On each of three new cohorts of the task `discordance` the baseline A_0 is
trained, then from its weights each of four modules at each of the four points of the preset `small`, alone. What counts is the
test loss. Three things are looked at:

- Interaction: if the best point does not depend on the module, the modules' profiles over the points differ by chance. Within
  each cohort the profiles (each module's losses minus their mean) are then exchangeable between modules: a permutation test of
  the interaction sum of squares of the means over cohorts.
- Rank correlation (Kendall's tau-b) of the modules' mean profiles.
- The price of one point for all: on each cohort the point with the lowest validation loss of a module against the point with
  the lowest mean validation loss of all modules, judged by test losses.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks import _answers as answers
from nas_fusion import Cohort, EvaluationWorker, SearchSpace, load_space

NAME = "module_points"
SEEDS = (20, 21, 22)
POINTS = ("layer1", "layer2", "layer3", "layer4")
MODULES = ("mmtm", "concat_conv", "film", "cross_attention")
RESAMPLES = 20_000
Row = answers.Row
Array = npt.NDArray[np.float64]


def run(seed: int, cohort: Cohort, store: str, epochs: int, modules: Sequence[str] = MODULES) -> Row:
    """Return every training of a cohort: A_0, and by module and point."""
    space: SearchSpace = load_space("fusion-points", preset="small", modules=modules)
    worker = EvaluationWorker(space, cohort, store=store, plan={"epochs": epochs}, seed=seed)
    lab = answers.Laboratory(worker, cohort)
    row: Row = {"seed": seed, "target": answers.midpoint(cohort), "arms": {}, "parameters": {}}
    row["baseline"] = lab.train(f"seed {seed}: A_0", space.baseline)
    alone = worker.evaluate(space.baseline).cost["parameters"]
    for module in modules:
        row["arms"][module], row["parameters"][module] = {}, {}
        for point in POINTS:
            configuration = space.complete({point: module})
            row["arms"][module][point] = lab.train(f"seed {seed}: {module}, {point}", configuration, [space.baseline])
            found = worker.evaluate(configuration, lineage=[space.baseline])
            row["parameters"][module][point] = int(found.cost["parameters"] - alone)
    return row


# --- what the trainings say ---


def losses(results: Sequence[Row], part: str = "test") -> Array:
    """Return losses `(seeds, modules, points)`; where a training diverged, its validation loss counts as ln 2, too."""
    found = [[[run[part] for run in points.values()] for points in row["arms"].values()] for row in results]
    return np.array([[[np.log(2) if loss is None else loss for loss in row] for row in rows] for rows in found])


def interaction(table: Array, *, seed: int = 0) -> float:
    """Return the p-value of the permutation test that all modules have one profile over the points.

    Args:
        table: Losses `(seeds, modules, points)`.
        seed: Of the permutations that are drawn where there are too many to try all.
    """
    profiles = table - table.mean(axis=2, keepdims=True)
    n, modules, _ = profiles.shape
    orders = np.array(list(itertools.permutations(range(modules))))
    if len(orders) ** (n - 1) <= RESAMPLES:
        drawn = np.array(list(itertools.product(range(len(orders)), repeat=n - 1))).reshape(-1, n - 1)
        allowance = 0
    else:
        drawn = np.random.default_rng(seed).integers(len(orders), size=(RESAMPLES, n - 1))
        allowance = 1  # what was observed counts as one of the draws
    moved = profiles[0][None] + sum(profiles[i + 1][orders[drawn[:, i]]] for i in range(n - 1))
    spread = np.square(moved - moved.mean(axis=1, keepdims=True)).sum(axis=(1, 2))
    summed = profiles.sum(axis=0)
    observed = ((summed - summed.mean(axis=0)) ** 2).sum()
    return float(((spread >= observed * (1 - 1e-9)).sum() + allowance) / (len(spread) + allowance))


def price(results: Sequence[Row], module: int) -> list[float]:
    """Return test loss at the common point minus that at the module's own point, both chosen by validation, a seed each."""
    validation, test = losses(results, "validation"), losses(results)
    found = []
    for seen, judged in zip(validation, test, strict=True):
        common, own = int(seen.mean(axis=0).argmin()), int(seen[module].argmin())
        found.append(float(judged[module, common] - judged[module, own]))
    return found


def agreements(results: Sequence[Row]) -> dict[tuple[str, str], float]:
    """Return Kendall's tau-b between the mean profiles of each two modules."""
    mean = losses(results).mean(axis=0)
    names = list(results[0]["arms"])
    pairs = itertools.combinations(range(len(names)), 2)
    return {(names[i], names[j]): float(stats.kendalltau(mean[i], mean[j]).statistic) for i, j in pairs}


# --- the page ---


def page(record: Mapping[str, Any]) -> str:
    """Return the record as a Markdown page."""
    results = record["results"]
    modules, test = list(results[0]["arms"]), losses(results)
    lines = [
        "# Does the best fusion point depend on the module?",
        "",
        answer(results),
        "",
        *answers.introduction(record),
        "",
        "Mean test loss over seeds, in nats, and parameters that the module adds. Candidates start from the weights of A_0,",
        f"which has {answers.mean_test([row['baseline'] for row in results]):.3f}:",
        "",
        "| module | " + " | ".join(POINTS) + " | learned fusion |",
        "| --- " * (len(POINTS) + 2) + "|",
    ]
    for i, module in enumerate(modules):
        added = results[0]["parameters"][module]
        cells = " | ".join(f"{test[:, i, j].mean():.3f} ({added[point]})" for j, point in enumerate(POINTS))
        found = [answers.learned(each, row["target"]) for row in results for each in row["arms"][module].values()]
        lines.append(f"| {module} | {cells} | {sum(found)} of {len(found)} |")
    lines += [
        "",
        "After layer4 nothing but pooling and a linear head follows, and what `concat_conv` adds is linear: at the last point",
        "its logits stay a sum of a function of each modality, and it cannot learn an interaction. The others are not linear.",
        "",
        "The best point, by test loss, on each seed, and by the mean:",
        "",
    ]
    lines += ["| module | " + " | ".join(f"seed {row['seed']}" for row in results) + " | mean |"]
    lines += ["| --- " * (len(results) + 2) + "|"]
    for i, module in enumerate(modules):
        best = [POINTS[j] for j in [*test[:, i].argmin(axis=1), test[:, i].mean(axis=0).argmin()]]
        lines.append(f"| {module} | " + " | ".join(best) + " |")
    lines += ["", "Kendall's tau-b of the mean profiles over the four points:", "", "| modules | tau-b |", "| --- | --- |"]
    lines += [f"| {a}, {b} | {tau:+.2f} |" for (a, b), tau in agreements(results).items()]
    lines += ["", "Test loss at the common point minus that at the module's own point, each chosen by validation losses:", ""]
    lines += answers.compared({module: price(results, i) for i, module in enumerate(modules)}, "module")
    return "\n".join([*lines, ""])


def answer(results: Sequence[Row]) -> str:
    """Return the plain answer, made from the numbers."""
    test, modules = losses(results), list(results[0]["arms"])
    chance, mean = interaction(test), test.mean(axis=0)
    best = ", ".join(f"{POINTS[int(mean[i].argmin())]} for {module} ({mean[i].min():.3f})" for i, module in enumerate(modules))
    verdict = "depends on the module" if chance < 0.05 else "is not shown to depend on the module"
    common = int((mean - mean.min(axis=1, keepdims=True)).max(axis=0).argmin())
    behind = float((mean[:, common] - mean.min(axis=1)).max())
    prices = {module: price(results, i) for i, module in enumerate(modules)}
    paid = [module for module, each in answers.clear(prices).items() if each.mean > 0]
    moves = (
        f"to move the point pays with {', '.join(paid)}" if paid else "that it pays to move the point is shown with no module"
    )
    return (
        f"What each point is worth {verdict} (interaction of module and point: p = {chance:.3f}, permutation test, "
        f"{len(results)} cohorts). By mean test loss the best points are {best}. Yet {POINTS[common]} is within "
        f"{behind:.3f} nats of the best of every module, and {moves}: a point chosen for each module against one chosen for "
        "all, both by validation."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every seed and write the record."""
    parser = answers.parser(__doc__, SEEDS)
    parser.add_argument("--modules", nargs="+", default=list(MODULES))
    options = parser.parse_args(arguments)
    answers.one_thread()
    results = [
        run(seed, answers.scans(seed, options), options.store, options.epochs, options.modules) for seed in options.cohort_seeds
    ]
    answers.write(NAME, results, options, page, extra=("modules",))


if __name__ == "__main__":
    main()
