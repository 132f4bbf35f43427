"""What fusion is worth on real data: single modalities, early and late fusion, and what SFSA selects by `best` and by `one_se`.

Run it with `python -m benchmarks.real_cohorts` (or with `--cohorts watch` for one of them; the others keep their results); it
writes `benchmarks/records/real_cohorts.json` and `.md`. With `--artifacts FOLDER` an interrupted run continues where it was.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._real_cohorts_page import page
from benchmarks.conditions import conditions
from nas_fusion.analysis import Arm, Comparison

if TYPE_CHECKING:
    from nas_fusion.cohorts import Cohort

RECORDS = Path(__file__).parent / "records"
RULES = ("best", "one_se")


@dataclass(frozen=True)
class Setting:
    """How a cohort is measured.

    Attributes:
        splits: What `load_cohort` is given, for each division into development and test subjects.
        space: Options of the space of fusion points, beside the preset `small`.
        by_group: Whether the unit that scores are means over is a group of subjects (a person) rather than a division.
        what: Of the data and how they were divided, a sentence for the record.
    """

    splits: tuple[Mapping[str, Any], ...]
    what: str
    space: Mapping[str, Any] = field(default_factory=dict)
    by_group: bool = False


def seeds(n: int, **options: Any) -> tuple[dict[str, Any], ...]:
    """Return the options of n divisions that differ in their seed."""
    return tuple({"split_seed": seed, **options} for seed in range(n))


TABLES = {"batch_size": 64, "learning_rate": 1e-2}
SETTINGS = {
    "watch": Setting(
        tuple({"test_people": f"{i},{i + 1}", "folds": 4} for i in (1, 3, 5, 7, 9)),
        "2369 windows of ten people, seven exercises. Five divisions, each with two people as test subjects, so that everybody "
        "is tested once; the search validates on four folds of two people each.",
        {"backbone": "resnet10", "batch_size": 128, "epochs": 6},
        by_group=True,
    ),
    "digits-six-views": Setting(
        seeds(3, folds=3), "2000 digits, six tables. Three divisions, a fifth to test, three folds of the rest.", TABLES
    ),
    "breast-cancer": Setting(
        seeds(5, folds=3), "569 masses, three tables. Five divisions, a fifth to test, three folds of the rest.", TABLES
    ),
    "mouse-connectomes": Setting(
        seeds(3, folds=3),
        "32 mice, eight classes (strain and sex). Three divisions, a quarter to test, three folds of the rest.",
        {"backbone": "resnet10", "batch_size": 8},
    ),
}


def run(name: str, setting: Setting, artifacts: str) -> dict[str, Any]:
    """Return what is recorded of a cohort: JSON-compatible, a row for each division."""
    from nas_fusion import load_cohort

    started = time.process_time()
    rows = []
    for number, options in enumerate(setting.splits):
        rows.append(row(load_cohort(name, **options), setting, number, f"{artifacts}/{name}-{number}"))
        print(name, number + 1, rows[-1]["searches"], flush=True)
    return {
        "what": setting.what,
        "space": dict(setting.space),
        "unit": "person" if setting.by_group else "division",
        "seconds": round(time.process_time() - started),
        "conditions": conditions(),
        "rows": rows,
    }


def row(cohort: Cohort, setting: Setting, number: int, artifacts: str) -> dict[str, Any]:
    """Return the result of one division: both searches share all trainings, since they differ in what is selected alone."""
    from nas_fusion import compare, load_space

    space = load_space("fusion-points", preset="small", **setting.space)
    found = {
        rule: compare(
            space, cohort, samplers=["sfsa"], sampler_options={"accept": rule}, seed=number, artifacts=artifacts, device="cpu"
        )
        for rule in RULES
    }
    groups = dict(zip(cohort.subjects, cohort.groups or (), strict=True)) if setting.by_group else {}
    arms = {arm.name: scores(arm, groups) for arm in found["best"].arms if not arm.is_search or arm.name == "A_0"}
    arms |= {f"sfsa, {rule}": scores(found[rule].arm("sfsa"), groups) for rule in RULES}
    assert cohort.splits is not None
    return {
        "test_ratio": len(cohort.splits.test) / len(cohort.splits.development),
        "arms": arms,
        "searches": {rule: selection(found[rule]) for rule in RULES},
        "landscape": landscape(found["best"]),
    }


def scores(arm: Arm, groups: Mapping[str, str]) -> dict[str, Any]:
    """Return validation loss, and loss and accuracy on the test subjects: of each group where there are groups, else of all."""
    test = arm.test
    assert test is not None
    of = np.array([groups.get(subject, "all") for subject in test.subjects])
    right = test.probabilities.argmax(axis=1) == test.labels
    return {
        "title": arm.title,
        "validation": arm.value,
        "test": {unit: float(test.losses[of == unit].mean()) for unit in sorted(set(of.tolist()))},
        "accuracy": {unit: float(right[of == unit].mean()) for unit in sorted(set(of.tolist()))},
    }


def selection(comparison: Comparison) -> dict[str, Any]:
    """Return how a search went and what it selected."""
    arm = comparison.arm("sfsa")
    assert arm.best is not None
    return {
        "path": [list(comparison.space.active(configuration)) for configuration in arm.path],
        "selected": list(comparison.space.active(arm.best)),
    }


def landscape(comparison: Comparison) -> list[dict[str, Any]]:
    """Return what the search evaluated: active points, validation loss of each fold and standard error, the best first."""
    evaluations = sorted(comparison.arm("sfsa").evaluations, key=lambda evaluation: evaluation.value)
    return [
        {
            "points": list(comparison.space.active(e.configuration or {})),
            "value": e.value,
            "standard_error": e.standard_error,
            "folds": list(e.fold_losses),
        }
        for e in evaluations
    ]


def main() -> None:
    """Measure the cohorts and write the record."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--artifacts", default=None, help="folder of trained models, to continue an interrupted run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    file = RECORDS / "real_cohorts.json"
    record: dict[str, Any] = {"command": "python -m benchmarks.real_cohorts", "results": {}}
    if file.exists():
        record = json.loads(file.read_text())
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.cohorts:
            record["results"][name] = run(name, SETTINGS[name], options.artifacts or scratch)
            record["results"] = {known: record["results"][known] for known in SETTINGS if known in record["results"]}
            file.write_text(json.dumps(record, indent=1) + "\n")
            (RECORDS / "real_cohorts.md").write_text(page(record))
            print(page({**record, "results": {name: record["results"][name]}}))


if __name__ == "__main__":
    main()
