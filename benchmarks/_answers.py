"""What the answers to open questions share: a training with its test loss, pairs over cohort seeds, and the record.

Each seed draws new subjects and is the seed of the trainings, too. What is compared is the loss of test subjects, on whom no
epoch and no configuration was selected. A training without a finite loss counts as a model that tells nothing, with ln 2.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.conditions import conditions, sentence
from benchmarks.expert_routing_seeds import Interval, interval
from nas_fusion import Cohort, Configuration, EvaluationWorker, load_cohort
from nas_fusion.analysis import paired_difference
from nas_fusion.evaluation.metrics import metrics
from nas_fusion.record import Evaluation, Predictions

RECORDS = Path(__file__).parent / "records"
STORE = "nas-fusion-results/answers"
SHAPE, SIZES = 24, {"train": 320, "validation": 160, "test": 400}
Row = dict[str, Any]


@dataclass
class Laboratory:
    """Trains on one cohort and keeps what was said of its test subjects.

    Attributes:
        worker: For the space.
        cohort: With its test subjects.
        said: Key of an evaluation to the predictions for the test subjects.
    """

    worker: EvaluationWorker
    cohort: Cohort
    said: dict[str, Predictions] = field(default_factory=dict)

    def train(self, name: str, configuration: Configuration, lineage: Sequence[Configuration] = ()) -> Row:
        """Return what became of a configuration: JSON-compatible. See `row_of`."""
        evaluation = self.worker.evaluate(configuration, lineage=lineage)
        row = self.row_of(evaluation)
        print(f"{name}: {row['validation']} / {row['test']:.4f}", file=sys.stderr, flush=True)
        return row

    def row_of(self, evaluation: Evaluation) -> Row:
        """Return validation loss, test loss and accuracy, epochs (own, and with the lineage's), the loss of each epoch."""
        curve = evaluation.curves[0] if evaluation.curves else evaluation.fold_losses
        row: Row = {"key": evaluation.key, "validation": None, "test": math.log(2), "accuracy": 0.5, "curve": []}
        row |= {name: int(evaluation.cost[name]) for name in ("epochs", "lineage_epochs")}
        row["curve"] = [round(loss, 4) if math.isfinite(loss) else None for loss in curve]
        if math.isfinite(evaluation.value):
            said = self.predict(evaluation.key)
            row |= {"validation": evaluation.value, "test": float(said.losses.mean())}
            row["accuracy"] = metrics(said.labels, said.probabilities)["accuracy"]
        return row

    def predict(self, key: str) -> Predictions:
        """Return what a model says of the test subjects."""
        if key not in self.said:
            assert self.cohort.splits is not None
            self.said[key] = self.worker.predict([key], self.cohort.subset(self.cohort.splits.test))
        return self.said[key]

    def gap(self, first: Row, second: Row) -> list[float] | None:
        """Return test loss of the first minus that of the second over subjects: mean and interval; `None` if one diverged."""
        if first["validation"] is None or second["validation"] is None:
            return None
        found = paired_difference(self.predict(first["key"]), self.predict(second["key"]))
        return [found.mean, found.low, found.high]


def midpoint(cohort: Cohort) -> float:
    """Return the loss half way between the floors of late fusion and of all modalities jointly: below it fusion is learned."""
    floors: Any = cohort.provenance["floors"]
    return float((floors["late_fusion"] + floors["joint"]) / 2)


def learned(row: Mapping[str, Any], target: float) -> bool:
    """Return whether the selected epoch's validation loss is below the target."""
    return row["validation"] is not None and row["validation"] < target


def epochs_to(curve: Sequence[float | None], target: float) -> int | None:
    """Return the first epoch, from 1, whose validation loss is below the target; `None` if there is none."""
    return next((epoch for epoch, loss in enumerate(curve, 1) if loss is not None and loss < target), None)


def mean_test(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the mean test loss of some trainings."""
    return float(np.mean([row["test"] for row in rows]))


def said(found: Interval) -> str:
    """Return a mean with its interval as cells of a table."""
    return f"{found.mean:+.4f} | {found.low:+.4f} to {found.high:+.4f}"


def compared(differences: Mapping[str, Sequence[float]], heading: str) -> list[str]:
    """Return a table of paired differences, one line each: mean over seeds, Student's interval, seeds above 0."""
    lines = [f"| {heading} | mean | 95 % interval | seeds above 0 |", "| --- | --- | --- | --- |"]
    for name, values in differences.items():
        lines.append(f"| {name} | {said(interval(values))} | {sum(v > 0 for v in values)} of {len(values)} |")
    return lines


def introduction(record: Mapping[str, Any], reservation: str = "") -> list[str]:
    """Return what was drawn and under which conditions it was measured, as lines of a page."""
    fixed = f"fixed before, {reservation}" if reservation else "fixed before"
    return [
        f"Each of {len(record['cohort_seeds'])} seeds draws new subjects of the simulated MRI cohort (`discordance`,",
        f"{record['shape']}³ voxels, {record['train']} to train, {record['validation']} to validate, {record['test']} to test)",
        f"and new trainings. The design was {fixed}; all its runs are shown.",
        "",
        made(record),
    ]


def made(record: Mapping[str, Any]) -> str:
    """Return conditions and command of a record."""
    return f"{sentence(record['conditions'])} Made by `{record['command']}`."


def clear(differences: Mapping[str, Sequence[float]]) -> dict[str, Interval]:
    """Return the differences whose 95 % interval does not hold 0."""
    found = {name: interval(values) for name, values in differences.items()}
    return {name: each for name, each in found.items() if each.low > 0 or each.high < 0}


def parser(text: str | None, seeds: Sequence[int]) -> argparse.ArgumentParser:
    """Return the options that all of these benchmarks have."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--cohort-seeds", type=int, nargs="+", default=list(seeds))
    made.add_argument("--shape", type=int, default=SHAPE, help="voxels along each axis")
    for name, number in SIZES.items():
        made.add_argument(f"--{name}", type=int, default=number, help="subjects")
    made.add_argument("--epochs", type=int, default=10)
    made.add_argument("--store", default=STORE)
    made.add_argument("--out", type=Path, default=RECORDS)
    return made


def scans(seed: int, options: argparse.Namespace, **more: Any) -> Cohort:
    """Return the simulated MRI cohort of a seed, of the size and on the grid that the options say."""
    given: dict[str, Any] = {name: getattr(options, name) for name in ("shape", *SIZES)}
    return load_cohort("simulated-mri", seed=seed, **given, **more)


def write(
    name: str, results: list[Row], options: argparse.Namespace, page: Callable[[Row], str], *, extra: Sequence[str] = ()
) -> None:
    """Write the record of a benchmark and the page that shows it; `extra` names options beside those that all have."""
    given = {word: getattr(options, word) for word in ("cohort_seeds", "shape", *SIZES, "epochs", *extra)}
    command = [f"python -m benchmarks.{name}", *(_said(word, value) for word, value in given.items())]
    record = {"command": " ".join(command), "conditions": conditions(), **given, "results": results}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{name}.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
    (options.out / f"{name}.md").write_text(page(record))


def _said(word: str, value: Any) -> str:
    """Return an option as one types it; a word with a space is quoted."""
    values = value if isinstance(value, list) else [value]
    return " ".join([f"--{word.replace('_', '-')}", *(shlex.quote(str(each)) for each in values)])


def one_thread() -> None:
    """Let torch compute on one thread, so that several recordings share a machine."""
    torch.set_num_threads(1)
