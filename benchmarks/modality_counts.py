"""Does SFSA's path change with 2, 3 and 4 modalities, do optima hold several modules, how do rounds and cost grow?

    python -m benchmarks.modality_counts

The design was fixed before the searches (feasibility of the chain was looked at on another seed). SFSA with MMTM searches the
four points of the preset `small`, a candidate inherits from its parent; on three new seeds of two cohorts:

- `MRI`: the simulated MRI cohort's task `discordance` with T1w and FLAIR; with PDw, which shows both, one of them faintly; and
  with T2w, which shows both. The same subjects and labels each time, the floor of joint models stays where it is: what is
  added is redundant. (A first design had the clinical table as the third, and therefore no flips in training. It was dropped
  during its second seed: what inherited from A_0 overfitted, with validation losses up to 1.09.)
- `chain`: discordance along a chain of vectors (see `benchmarks/_chain.py`). The same subjects and labels each time; each
  modality that is added lowers the floor of joint models and leaves that of late fusion where it is. What is added is
  needed. Here every configuration is trained, too (from the weights of A_0): the optimum is known.
- `chain, pairs`: the same, and any two of the modalities may meet alone: where and who meets is searched jointly.

An optimum holds several modules if the configuration with the lowest validation loss does. As the lowest of 16 nearly equal
losses it may do so by chance: what several modules bring is judged by test losses, all four points and SFSA's choice against
the best single point by validation loss.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna

from benchmarks import _answers as answers
from benchmarks._chain import chain
from nas_fusion import Cohort, Configuration, EvaluationWorker, SFSASampler, history, load_space

NAME = "modality_counts"
SEEDS = (20, 21, 22)
MODALITIES = ("T1w", "FLAIR", "PDw", "T2w")
COUNTS = (2, 3, 4)
MRI, CHAIN, PAIRS = "MRI", "chain", "chain, pairs"
SETTINGS = {CHAIN: COUNTS, MRI: COUNTS, PAIRS: (3, 4)}
CHAIN_PARTS = {"train": 2048, "validation": 1024, "test": 1024}
CHAIN_PLAN = {"batch_size": 32}
POINTS = ("layer1", "layer2", "layer3", "layer4")
Row = answers.Row


def run(setting: str, cohort: Cohort, seed: int, store: str | Path, plan: Mapping[str, Any]) -> Row:
    """Return what SFSA did on a cohort, and the landscape where everything is trained."""
    own = {"meet": "pairs", "modalities": cohort.inputs.names} if setting == PAIRS else {}
    space: Any = load_space("fusion-points", preset="small", **own)
    lab = answers.Laboratory(EvaluationWorker(space, cohort, store=store, plan=plan, seed=seed), cohort)
    said = f"{setting}, {len(cohort.modalities)} modalities, seed {seed}"
    found = search(lab)
    singles = {point: lab.train(said, space.complete({point: "mmtm"}), [space.baseline]) for point in POINTS}
    best = min(singles, key=lambda point: singles[point]["validation"])
    tests = {
        "A_0": lab.train(said, space.baseline),
        "best single point": singles[best],
        "SFSA": found.pop("selected"),
        "all four": lab.train(said, space.complete(dict.fromkeys(POINTS, "mmtm")), [space.baseline]),
    }
    row = {
        "setting": setting,
        "modalities": list(cohort.modalities),
        "seed": seed,
        "floors": cohort.provenance["floors"],
        "best_single": best,
        **found,
        "arms": {name: {part: arm[part] for part in ("validation", "test", "accuracy")} for name, arm in tests.items()},
        "subjects": {name: lab.gap(tests["best single point"], tests[name]) for name in ("SFSA", "all four")},
    }
    if setting == CHAIN:
        lineage = {space.baseline: ()}
        rows = {c: lab.train(said, c, lineage.get(c, (space.baseline,))) for c in space.configurations()}
        row["landscape"] = {shown(space, c): [each["validation"], each["test"]] for c, each in rows.items()}
    return row


def search(lab: answers.Laboratory) -> Row:
    """Return path, rounds and cost of SFSA, and the row of what it selected."""
    space, sampler = lab.worker.space, SFSASampler(lab.worker.space)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.NopPruner())
    study.optimize(lab.worker)
    trials = [trial for trial in study.trials if not history.is_surplus(trial)]
    evaluations = [found for trial in trials if (found := history.read_evaluation(trial, space)) is not None]
    path, chosen = sampler.path(study), sampler.best(study)
    by = {(each.configuration, each.lineage): each for each in evaluations}
    assert chosen is not None
    return {
        "path": [shown(space, configuration) for configuration in path],
        "losses": [by[configuration, tuple(path[:i])].value for i, configuration in enumerate(path)],
        "rounds": len(path) - 1 + (len(space.active(chosen)) < len(space.parameters)),
        "trained": len(evaluations),
        "epochs": sum(each.cost["epochs"] for each in evaluations),
        "flops": sum(each.cost["flops"] * each.cost["samples"] for each in evaluations),
        "at_most": sampler.max_evaluations,
        "selected": lab.row_of(by[chosen, tuple(path[:-1])]),
    }


def shown(space: Any, configuration: Configuration) -> str:
    """Return the points of a configuration in words, with who meets where that is a choice."""
    active = space.active(configuration)
    return " + ".join(point if choice == "mmtm" else f"{point} {choice}" for point, choice in active.items()) or "none"


# --- what the searches say ---


def of(results: Sequence[Row], setting: str, modalities: int) -> list[Row]:
    """Return the rows of a setting and a number of modalities, a seed each."""
    return [row for row in results if row["setting"] == setting and len(row["modalities"]) == modalities]


def modules_in(points: str) -> int:
    """Return how many modules a configuration has, from its words."""
    return 0 if points == "none" else points.count(" + ") + 1


def optimum(row: Row) -> str:
    """Return the configuration with the lowest validation loss of a landscape."""
    return str(min(row["landscape"], key=lambda points: row["landscape"][points][0]))


def regret(row: Row) -> float:
    """Return by how much the validation loss of SFSA's choice, in the landscape, is above that of the optimum."""
    landscape = row["landscape"]
    return float(landscape[row["path"][-1]][0] - landscape[optimum(row)][0])


def gains(rows: Sequence[Row], first: str, second: str) -> list[float]:
    """Return the test loss of the first arm minus that of the second, a seed each."""
    return [row["arms"][first]["test"] - row["arms"][second]["test"] for row in rows]


# --- the page ---


def page(record: Mapping[str, Any]) -> str:
    """Return the record as a Markdown page."""
    results = record["results"]
    groups = [(s, n, rows) for s, counts in SETTINGS.items() for n in counts if (rows := of(results, s, n))]
    lines = [
        "# SFSA with 2, 3 and 4 modalities",
        "",
        answer(results),
        "",
        *answers.introduction(record, "with the exceptions that are named"),
        "",
        "That is `MRI`: T1w and FLAIR, then with PDw, then with T2w, which are redundant (a first design, with a table and",
        "without flips, was dropped during its second seed, as its models overfitted). `chain` are vectors, discordance",
        f"along a chain ({record['chain_train']} subjects to train, {record['chain_validation']} to validate,",
        f"{record['chain_test']} to test), where each modality is needed. `chain, pairs`: any two may also meet alone.",
        "",
        "| data | modalities | seed | path of SFSA | validation losses | rounds | trained (at most) |",
        "| --- " * 7 + "|",
    ]
    for setting, n, rows in groups:
        for row in rows:
            losses = ", ".join(f"{loss:.3f}" for loss in row["losses"])
            shown_row = [setting, n, row["seed"], " → ".join(row["path"]), losses, row["rounds"]]
            lines.append(f"| {' | '.join(map(str, shown_row))} | {row['trained']} ({row['at_most']}) |")
    lines += [
        "",
        "Rounds and cost of a search, means over seeds (floating-point operations of the forward passes in training):",
        "",
    ]
    lines += ["| data | modalities | rounds | trained | epochs | 10^12 operations | modules selected |", "| --- " * 7 + "|"]
    for setting, n, rows in groups:
        means = [statistics.fmean(row[name] for row in rows) for name in ("rounds", "trained", "epochs")]
        flops = statistics.fmean(row["flops"] for row in rows) / 1e12
        modules = ", ".join(str(modules_in(row["path"][-1])) for row in rows)
        lines.append(f"| {setting} | {n} | " + " | ".join(f"{m:.1f}" for m in means) + f" | {flops:.3g} | {modules} |")
    lines += ["", "Mean test loss over seeds, in nats, and the floors of the task (of the first seed):", ""]
    arms = list(groups[0][2][0]["arms"])
    lines += [
        "| data | modalities | floor late fusion | floor joint | " + " | ".join(arms) + " |",
        "| --- " * (4 + len(arms)) + "|",
    ]
    for setting, n, rows in groups:
        floors = rows[0]["floors"]
        means = [statistics.fmean(row["arms"][arm]["test"] for row in rows) for arm in arms]
        cells = " | ".join(f"{mean:.3f}" for mean in [floors["late_fusion"], floors["joint"], *means])
        lines.append(f"| {setting} | {n} | {cells} |")
    lines += ["", "What more than one module brings: test loss of the best single point minus that of", ""]
    differences = {
        f"{setting}, {n}: {arm}": gains(rows, "best single point", arm)
        for setting, n, rows in groups
        for arm in ("SFSA", "all four")
        if len(rows) > 1
    }
    lines += answers.compared(differences, "data, modalities")
    lines += ["", "The landscapes of `chain`: the optimum, and how far SFSA's choice is from it (validation loss):", ""]
    lines += ["| modalities | seed | optimum | modules | SFSA's choice | regret |", "| --- " * 6 + "|"]
    for n in COUNTS:
        for row in of(results, CHAIN, n):
            best = optimum(row)
            lines.append(f"| {n} | {row['seed']} | {best} | {modules_in(best)} | {row['path'][-1]} | {regret(row):.4f} |")
    return "\n".join([*lines, ""])


def answer(results: Sequence[Row]) -> str:
    """Return the plain answer, made from the numbers."""
    groups = {(s, n): rows for s, counts in SETTINGS.items() for n in counts if (rows := of(results, s, n))}
    together = {name: rows for name, rows in groups.items() if name[0] != PAIRS}
    landscapes = [row for (setting, _), rows in groups.items() for row in rows if setting == CHAIN]
    several = sum(modules_in(optimum(row)) > 1 for row in landscapes)
    selected = sum(modules_in(row["path"][-1]) > 1 for rows in together.values() for row in rows)
    searches = sum(map(len, together.values()))
    pairs = {f"{s}, {n}": gains(rows, "best single point", "all four") for (s, n), rows in together.items() if len(rows) > 1}
    clear = answers.clear(pairs)
    more = "; ".join(f"{name}: {each.mean:+.3f} ({each.low:+.3f} to {each.high:+.3f})" for name, each in clear.items())
    verdict = f"clear differences in {more}" if clear else "no clear difference"
    return (
        f"Where all modalities meet, SFSA takes {_range(together, 'rounds')} rounds and {_range(together, 'trained')} "
        f"trainings on the average, whatever their number ({_growth(together)}). {_who_meets(groups)}It selects several "
        f"modules in {selected} of {searches} searches, and the optimum holds several in {several} of {len(landscapes)} "
        f"complete landscapes; but on test subjects all four modules against the best single point show {verdict} "
        f"({len(pairs)} looked at; positive: four are better)."
    )


Groups = Mapping[tuple[str, int], Sequence[Row]]


def _mean(rows: Sequence[Row], name: str) -> float:
    return statistics.fmean(row[name] for row in rows)


def _range(groups: Groups, name: str) -> str:
    """Return the least and the greatest mean of a number over groups, in words."""
    means = [_mean(rows, name) for rows in groups.values()]
    return f"{min(means):.1f} to {max(means):.1f}"


def _growth(groups: Groups) -> str:
    """Return how the operations of a search grow with the number of modalities, in words."""
    told = []
    for setting in dict.fromkeys(setting for setting, _ in groups):
        flops = {n: _mean(rows, "flops") for (other, n), rows in groups.items() if other == setting}
        first = flops[min(flops)]
        grown = ", ".join(f"{each / first:.1f} with {n}" for n, each in flops.items())
        told.append(f"operations of {setting}, relative: {grown}")
    return "; ".join(told)


def _who_meets(groups: Groups) -> str:
    """Return what it costs to search who meets, as a sentence; empty if that was not searched."""
    told = [
        f"{_mean(rows, 'trained'):.1f} trainings with {n} "
        f"({_mean(rows, 'flops') / _mean(groups[CHAIN, n], 'flops'):.1f} times the operations)"
        for (setting, n), rows in groups.items()
        if setting == PAIRS and (CHAIN, n) in groups
    ]
    return f"Where any two may also meet alone, it takes {' and '.join(told)}. " if told else ""


def cohort_of(setting: str, modalities: int, seed: int, options: argparse.Namespace) -> Cohort:
    """Return the cohort of a setting."""
    if setting == MRI:
        return answers.scans(seed, options, modalities=MODALITIES[:modalities])
    return chain(modalities, seed=seed, **{name: getattr(options, f"chain_{name}") for name in CHAIN_PARTS})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every setting and seed and write the record."""
    parser = answers.parser(__doc__, SEEDS)
    parser.add_argument("--mri-seeds", type=int, nargs="+", help="other cohort seeds for the scans, which take longest")
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    for name, number in CHAIN_PARTS.items():
        parser.add_argument(f"--chain-{name}", type=int, default=number, help="subjects")
    options = parser.parse_args(arguments)
    answers.one_thread()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    results = [
        run(setting, cohort_of(setting, n, seed, options), seed, options.store, plan_of(setting, options))
        for setting in options.settings
        for seed in ((options.mri_seeds if setting == MRI else None) or options.cohort_seeds)
        for n in SETTINGS[setting]
    ]
    answers.write(
        NAME,
        results,
        options,
        page,
        extra=("settings", *(("mri_seeds",) if options.mri_seeds else ()), *(f"chain_{name}" for name in CHAIN_PARTS)),
    )


def plan_of(setting: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return what differs from the preset's plan."""
    if setting == MRI:
        return {"epochs": options.epochs}
    return {**CHAIN_PLAN, "epochs": max(1, options.epochs // 2)}


if __name__ == "__main__":
    main()
