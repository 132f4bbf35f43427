"""Ground truth from real training: the loss of every configuration of the fusion-point space on the embedded cohort.

Each configuration inherits from the baseline (one landscape for all samplers) and is trained once for each training seed. What
is trained is kept in a store, so that a run that was interrupted goes on where it ended. The tables are committed under
`benchmarks/landscapes/`, with the commands that made them in the README beside them.

    python -m benchmarks.record_landscapes --task discordance --cohort-seeds 0 1 2 3 --training-seeds 0 1 2 --shape 24
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.conditions import conditions, sentence
from nas_fusion import SearchSpace, load_space

LANDSCAPES = Path(__file__).parent / "landscapes"
MADE = "made.json"
STORE = "nas-fusion-results/landscapes"
COHORT = ("task", "shape", "train", "validation")
SPACE = ("points", "modules")


@dataclass(frozen=True)
class Recording:
    """One landscape: a cohort's, with one training seed.

    Attributes:
        name: Of the table: task, what differs from the preset's space, cohort seed.
        cohort: Options of the embedded cohort.
        space: Options of the fusion-point space.
        plan: Overrides of its training plan.
        seed: Training seed: of initialisation, order of subjects and augmentation.
        store: Where evaluations are kept.
    """

    name: str
    cohort: dict[str, Any]
    space: dict[str, Any]
    plan: dict[str, Any]
    seed: int
    store: str


def record(recording: Recording) -> list[dict[str, Any]]:
    """Train every configuration and return one row a configuration and fold, by index."""
    import torch

    from nas_fusion import EvaluationWorker, load_cohort
    from nas_fusion.evaluation import Store

    class Slim(Store):
        """Keeps the weights of the baseline alone: nothing inherits from the others, and there are many."""

        def put(self, evaluation: Any, weights: Any, predictions: Any, *, details: Any = None) -> Any:
            return super().put(evaluation, () if evaluation.lineage else weights, predictions, details=details)

    torch.set_num_threads(1)
    space = load_space("fusion-points", preset="small", **recording.space)
    worker = EvaluationWorker(
        space,
        load_cohort("simulated-mri", **recording.cohort),
        store=Slim.open(recording.store),
        plan=recording.plan,
        inherit="baseline",
        seed=recording.seed,
    )
    rows = []
    for configuration in space.configurations():
        evaluation = worker.evaluate(configuration, lineage=worker.lineage(configuration))
        said = f"{recording.name} training seed {recording.seed}: {', '.join(space.active(configuration)) or 'none'}"
        print(f"{said} {evaluation.value:.4f}{'' if evaluation.trained else ' (known)'}", file=sys.stderr, flush=True)
        rows += [
            {**configuration, "seed": recording.seed, "fold": fold, "loss": loss, "epochs": len(curve)}
            for fold, (loss, curve) in enumerate(zip(evaluation.fold_losses, evaluation.curves, strict=True))
        ]
    return rows


def records(asked: Sequence[Recording], processes: int) -> Iterator[list[dict[str, Any]]]:
    """Yield what `record` returns, in order."""
    if processes == 1:
        yield from map(record, asked)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(record, asked)


def write(rows: Sequence[dict[str, Any]], space: SearchSpace, path: Path) -> None:
    """Write rows into a landscape's table: other training seeds that it holds already stay, the same ones are replaced."""
    names = list(space.parameters)
    table = pd.DataFrame(rows)
    if path.exists():
        old = pd.read_csv(path, keep_default_na=False)
        if list(old.columns) != list(table.columns):
            raise ValueError(f"`path` must have the columns {list(table.columns)}, but {path} has {list(old.columns)}.")
        table = pd.concat([old[~old["seed"].isin(table["seed"])], table])
    index = [space.index(row) for row in table[names].to_dict("records")]
    table = table.assign(index=index).sort_values(["index", "seed", "fold"], kind="stable").drop(columns="index")
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def note(recording: Recording, space: SearchSpace, command: str, folder: Path) -> None:
    """Remember how a table was made, and write the page that shows it for all of them."""
    made: dict[str, Any] = json.loads((folder / MADE).read_text()) if (folder / MADE).exists() else {}
    known = made.get(recording.name, {"commands": [], "training_seeds": []})
    made[recording.name] = {
        "cohort": recording.cohort,
        "parameters": {name: list(choices) for name, choices in space.parameters.items()},
        "plan": recording.plan,
        "training_seeds": sorted({*known["training_seeds"], recording.seed}),
        "commands": list(dict.fromkeys([*known["commands"], command])),
        "conditions": conditions(),
    }
    made = dict(sorted(made.items()))
    (folder / MADE).write_text(json.dumps(made, indent=1) + "\n")
    (folder / "README.md").write_text(page(made, folder))


def page(made: dict[str, Any], folder: Path) -> str:
    """Return the page: what each table holds and the command that made it."""
    lines = [
        "# Recorded landscapes",
        "",
        "The validation loss, in nats, of every configuration of the fusion-point space on simulated cohorts: real training.",
        "Every configuration inherits from the baseline `A_0` of the same training seed. One row a configuration, training",
        "seed and fold: parameters, `seed` (training seed), `fold`, `loss` (at the selected epoch), `epochs` (trained).",
        "",
        "| table | points | choices | voxels | training seeds | A_0 | lowest mean | where |",
        "| --- " * 8 + "|",
    ]
    lines += [_line(name, facts, folder) for name, facts in made.items()]
    lines += ["", "Made by:", ""]
    lines += [f"- `{command}`" for command in dict.fromkeys(c for facts in made.values() for c in facts["commands"])]
    sentences = dict.fromkeys(sentence(facts["conditions"]) for facts in made.values())
    other = "Tables named `expert_routing_*` are of another space: see [their record](../records/expert_routing.md)."
    return "\n".join([*lines, "", *sentences, "", other, ""])


def _line(name: str, facts: dict[str, Any], folder: Path) -> str:
    space = SearchSpace(facts["parameters"])
    table = pd.read_csv(folder / f"{name}.csv", keep_default_na=False)
    mean = table.groupby(list(space.parameters), sort=False)["loss"].mean()
    best = dict(zip(space.parameters, mean.idxmin(), strict=True))
    chosen = ", ".join(p if c == "mmtm" else f"{p} {c}" for p, c in space.active(best).items()) or "none"
    choices = ", ".join(dict.fromkeys(choice for choices in space.parameters.values() for choice in choices[1:]))
    seeds = " ".join(map(str, facts["training_seeds"]))
    voxels = facts["cohort"].get("shape", 32)
    counts = f"{len(space.parameters)} | {choices} | {voxels}³ | {seeds}"
    return f"| [{name}]({name}.csv) | {counts} | {mean.iloc[0]:.3f} | {mean.min():.3f} | {chosen} |"


def recordings(options: argparse.Namespace, space: SearchSpace) -> list[Recording]:
    """Return what is asked for, all training seeds of a cohort one after the other."""
    cohort = {name: value for name in COHORT if (value := getattr(options, name)) is not None}
    plan = {} if options.epochs is None else {"epochs": options.epochs}
    differs = [f"{len(space.parameters)}points"] if options.points else []
    differs += [options.modules.replace(",", "+")] if options.modules else []
    return [
        Recording(
            "_".join([options.task, *differs, f"seed{cohort_seed}"]),
            {**cohort, "seed": cohort_seed},
            space_options(options),
            plan,
            seed,
            options.store,
        )
        for cohort_seed in options.cohort_seeds
        for seed in options.training_seeds
    ]


def space_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what is asked for of the fusion-point space."""
    return {name: value for name in SPACE if (value := getattr(options, name)) is not None}


def command(options: argparse.Namespace) -> str:
    """Return the command with all that decides the numbers."""
    words = ["python -m benchmarks.record_landscapes"]
    for name, value in vars(options).items():
        if value is not None and name not in ("store", "out", "processes"):
            words.append(f"--{name.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, list) else value}")
    return " ".join(words)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what a command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="discordance", help="discordance, additive or null")
    parser.add_argument("--cohort-seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--training-seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shape", type=int, help="voxels along each axis")
    parser.add_argument("--modules", help="names with commas between them")
    parser.add_argument("--points", help="as the fusion-point space takes them, such as layer1,layer3")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--train", type=int, help="subjects that train")
    parser.add_argument("--validation", type=int, help="subjects that validate")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--store", default=STORE)
    parser.add_argument("--out", type=Path, default=LANDSCAPES)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Record every landscape that is asked for; each is written as soon as it is whole."""
    options = parse(arguments)
    space = load_space("fusion-points", preset="small", **space_options(options))
    asked = recordings(options, space)
    for recording, rows in zip(asked, records(asked, options.processes), strict=True):
        write(rows, space, options.out / f"{recording.name}.csv")
        note(recording, space, command(options), options.out)


if __name__ == "__main__":
    main()
