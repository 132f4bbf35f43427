"""Does SFSA find fusion that pays, on other subjects too? One comparison for each of several seeds of the simulated cohort.

Run it with `python -m benchmarks.cohort_seeds`; it writes `benchmarks/records/cohort_seeds.json` and `.md`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions, sentence
from nas_fusion.analysis import Arm, Comparison, bootstrap_scores, diagnose, paired_difference

RECORDS = Path(__file__).parent / "records"
AGAINST = ("A_0", "late_fusion", "alone:T1w", "alone:FLAIR")


def run(task: str, seed: int) -> dict[str, Any]:
    """Return the result of SFSA and of what it is compared with, on one cohort."""
    import torch

    from nas_fusion import compare, load_cohort, load_space

    torch.set_num_threads(1)
    cohort = load_cohort("simulated-mri", task=task, seed=seed)
    return result(compare(load_space("fusion-points", preset="small"), cohort, samplers=["sfsa"]), task, seed)


def result(comparison: Comparison, task: str, seed: int) -> dict[str, Any]:
    """Return what is recorded of a comparison: JSON-compatible."""
    chosen = comparison.arm("sfsa")
    assert chosen.best is not None
    return {
        "task": task,
        "seed": seed,
        "path": [comparison.space.active(configuration) for configuration in chosen.path],
        "best": comparison.space.active(chosen.best),
        "trained_for_search": comparison.trained_for_search,
        "trained_for_audit": comparison.trained_for_audit,
        "floors": comparison.cohort["floors"],
        "arms": {arm.name: scores(arm) for arm in comparison.arms},
        "gain": {name: gain(comparison.arm(name), chosen) for name in AGAINST},
        "single_points": {
            ",".join(comparison.space.active(e.configuration)): e.value
            for e in chosen.evaluations
            if e.configuration is not None and len(comparison.space.active(e.configuration)) <= 1
        },
        "diagnosis": [finding.sentence for finding in diagnose(comparison)],
    }


def scores(arm: Arm) -> dict[str, Any]:
    """Return validation loss, test loss and test accuracy of an arm, the latter two with bootstrap intervals."""
    assert arm.test is not None
    test = bootstrap_scores(arm.test)
    return {"validation": arm.value, "test": list(test["loss"]), "accuracy": list(test["accuracy"])}


def gain(other: Arm, chosen: Arm) -> dict[str, list[float]]:
    """Return by how much the chosen configuration's loss is below another arm's: mean and interval over the same subjects."""
    assert other.test is not None
    assert chosen.test is not None
    validation = paired_difference(other.validation, chosen.validation)
    test = paired_difference(other.test, chosen.test)
    return {part: [d.mean, d.low, d.high] for part, d in (("validation", validation), ("test", test))}


def table(results: list[dict[str, Any]]) -> str:
    """Return the record as a Markdown page."""
    lines = ["| task | seed | selected | " + " | ".join(f"{name} val / test" for name in ("selected", *AGAINST)) + " |"]
    lines.append("| --- " * (4 + len(AGAINST)) + "|")
    for row in results:
        cells = [_losses(row["arms"]["sfsa"]), *(_losses(row["arms"][name]) for name in AGAINST)]
        lines.append(f"| {row['task']} | {row['seed']} | {_points(row['best'])} | " + " | ".join(cells) + " |")
    lines += ["", "Loss of the other arm minus loss of what was selected, same subjects, with 95 % intervals, in nats:", ""]
    lines.append("| task | seed | " + " | ".join(f"{name} val | {name} test" for name in AGAINST) + " |")
    lines.append("| --- " * (2 + 2 * len(AGAINST)) + "|")
    for row in results:
        cells = [_interval(row["gain"][name][part]) for name in AGAINST for part in ("validation", "test")]
        lines.append(f"| {row['task']} | {row['seed']} | " + " | ".join(cells) + " |")
    lines += ["", "What the diagnosis says first:", ""]
    lines += [f"- {row['task']}, seed {row['seed']}: {row['diagnosis'][0]}" for row in results if row["diagnosis"]]
    return "\n".join(lines)


def page(results: list[dict[str, Any]], facts: dict[str, str], command: str) -> str:
    """Return the whole record: what was asked, under which conditions, and the table."""
    return (
        "# SFSA on other subjects: seeds of the simulated cohort\n\n"
        "Each seed draws new subjects (320 to train, 160 to validate, 400 to test). `A_0`: streams trained together, logits\n"
        "averaged; `late_fusion`: separately trained, probabilities averaged. All seeds that were run are shown.\n\n"
        f"{sentence(facts)} Made by `{command}`.\n\n{table(results)}\n"
    )


def _losses(arm: dict[str, Any]) -> str:
    value, low, high = arm["test"]
    return f"{arm['validation']:.3f} / {value:.3f} ({low:.3f} to {high:.3f})"


def _interval(values: list[float]) -> str:
    mean, low, high = values
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _points(best: dict[str, str]) -> str:
    return ", ".join(best) or "none"


def main() -> None:
    """Run every seed and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--tasks", nargs="+", default=["discordance", "additive"])
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    jobs = [(task, seed) for task in options.tasks for seed in options.seeds]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        results = pool.starmap(run, jobs, chunksize=1)
    facts, command = conditions(), "python -m benchmarks.cohort_seeds"
    RECORDS.mkdir(exist_ok=True)
    record = {"command": command, "conditions": facts, "results": results}
    (RECORDS / "cohort_seeds.json").write_text(json.dumps(record, indent=1) + "\n")
    (RECORDS / "cohort_seeds.md").write_text(page(results, facts, command))
    print(table(results))


if __name__ == "__main__":
    main()
