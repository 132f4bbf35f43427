"""M3D-BFS at full size: what a cross-validation of all three stages takes, and our training step against PyTorch Geometric's.

    python -m benchmarks.m3d_bfs --epochs 20          # both parts; each replaces its own in the record
    python -m benchmarks.m3d_bfs --parts step

The network is the published one (`as_published`: 90 regions, 4 GCN layers of width 128, 2 fusion layers a branch, 3 experts of
which 2 run) with mixtures in every branch. The run trains its three stages in each of 10 folds with nested splits, on simulated
subjects. The step compares the third stage's training step (forward, loss, backward, Adam) with the same network on sparse
graphs (`_m3d_bfs_sparse`, needs `torch_geometric`), alternating, after checking that both compute the same. It writes
`benchmarks/records/m3d_bfs.json` and `.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.conditions import conditions, sentence
from nas_fusion import Batch, SearchSpace, load_cohort, load_space
from nas_fusion.evaluation import Store

RECORDS = Path(__file__).parent / "records"
NAME = "m3d_bfs"
ROUTED = {"sc": "e3k2", "fc": "e3k2", "fused": "e3k2"}
SCORES = ("loss", "accuracy", "auc", "sensitivity", "specificity", "f1")
FORMS = ("edges", "csr")
TOLERANCE = 1e-4


def space_of(**options: Any) -> SearchSpace:
    """Return the space of the published network; options are the space's."""
    return load_space("expert-routing", preset="as_published", **options)


# --- the run ---


def run(subjects: int, folds: int, epochs: int, regions: int = 90, seed: int = 0) -> dict[str, Any]:
    """Cross-validate the routed network on simulated subjects and return what it took, a fold and a stage.

    Args:
        subjects: How many, all of whom are held out once.
        folds: Parts of the division.
        epochs: Of each stage.
        regions: Brain regions.
        seed: Of subjects, division and training.
    """
    from nas_fusion.study.cross_validation import cross_validate

    parts: dict[str, Any] = {"train": subjects - 2 * (subjects // 10), "validation": subjects // 10, "test": subjects // 10}
    cohort = load_cohort("simulated-connectomes", seed=seed, regions=regions, **parts)
    space, before, begin, cpu = space_of(epochs=epochs), peak_mib(), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = cross_validate(space, cohort, [ROUTED], folds=folds, seed=seed, artifacts=folder, device="cpu")
        seconds, peak, store = time.perf_counter() - begin, peak_mib(), Store.open(folder)
        stages = [store.details(score.key)["folds"][0]["stages"] for score in result.scores]
    scores = [{name: score.scores[name] for name in SCORES} for score in result.scores]
    return {
        "subjects": subjects,
        "folds": folds,
        "epochs": epochs,
        "regions": regions,
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "mib_before": before,
        "mib_at_most": peak,
        "stages": [{name: {k: own[k] for k in ("epochs", "seconds")} for name, own in each.items()} for each in stages],
        "scores": scores,
    }


def peak_mib() -> float:
    """Return the most memory that this process has had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def shares(stages: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Return each stage's share of the time that all stages of all folds were trained."""
    total = sum(own["seconds"] for each in stages for own in each.values())
    return {name: sum(each[name]["seconds"] for each in stages) / total for name in stages[0]}


# --- the step ---


def pair(batch_size: int, *, plain: bool, regions: int = 90) -> tuple[Any, Batch, Any, dict[str, Any], float]:
    """Return our network of the third stage with a batch, the sparse one with the same weights and graphs, and alpha.

    Args:
        batch_size: Subjects.
        plain: Whether dropout and the routers' noise are off, so that both compute the same numbers.
        regions: Brain regions.
    """
    from benchmarks._m3d_bfs_sparse import Sizes, SparseM3DBFS, graphs_of

    off: dict[str, Any] = {"dropout": 0.0, "noise": False} if plain else {}
    cohort = load_cohort("simulated-connectomes", train=batch_size, validation=10, test=0, regions=regions)
    space: Any = space_of(**off)
    stage = space.stages(space.complete(ROUTED), cohort.inputs)[-1]
    torch.manual_seed(0)
    ours = stage.model()
    rows = slice(batch_size)
    inputs = {name: values[rows] for name, values in cohort.modalities.items()}
    batch = Batch({**inputs, **stage.precompute(inputs)}, cohort.present[rows], cohort.labels[rows], torch.arange(batch_size))
    stage.prepare(ours, batch)
    with torch.no_grad():
        for name, tensor in ours.named_parameters():
            if name.endswith("gate.weight"):  # they begin at zero, where all experts are alike
                tensor.normal_(std=0.3)
    encoders = dict(zip(ours.modalities, ours.encoders.values(), strict=True))
    features = {name: encoder.features(batch.inputs).detach() for name, encoder in encoders.items()}
    edges = {name: (batch.inputs[f"{name}:graph"] != 0).float() - torch.eye(regions) for name in encoders}
    sparse = SparseM3DBFS(Sizes(regions=regions, **off))
    sparse.take(ours.state_dict())
    graphs = {form: {name: graphs_of(features[name], edges[name], form=form) for name in encoders} for form in FORMS}
    return (ours, stage), batch, sparse, graphs, space.design.method.alpha


def differences(batch_size: int, regions: int = 90) -> dict[str, float]:
    """Return how far both networks' numbers differ at most, without dropout and noise.

    Logits are compared in single precision. Gradients are in double precision: in single precision a token on the edge between
    two experts may fall to either side.

    Returns:
        Form and mode (`edges evaluation`) to the largest difference of logits; `... loss`; and `... gradient`, that of a
        tensor's gradients over the largest of them.
    """
    from benchmarks._m3d_bfs_sparse import theirs

    (ours, stage), batch, sparse, graphs, alpha = pair(batch_size, plain=True, regions=regions)
    start = {name: tensor.clone() for name, tensor in ours.state_dict().items()}

    def restart(*, training: bool) -> None:
        for network in (ours, sparse):
            network.train(training).zero_grad()
        ours.load_state_dict(start)
        sparse.take(start)

    found = {}
    for form in FORMS:
        for mode in ("evaluation", "training"):
            restart(training=mode == "training")
            with torch.no_grad():
                found[f"{form} {mode}"] = float((ours(batch.inputs) - sparse(graphs[form])[0]).abs().max())
    ours.double(), sparse.double()
    batch = Batch({name: tensor.double() for name, tensor in batch.inputs.items()}, batch.present, batch.labels, batch.index)
    for form in FORMS:
        restart(training=True)
        exact = {name: in_double(each) for name, each in graphs[form].items()}
        losses = sum(stage.loss(ours, batch).values()), sparse.loss(exact, batch.labels, alpha)
        for loss in losses:
            loss.backward()
        found[f"{form} loss"] = abs(losses[0].item() - losses[1].item())
        gradients = {name: tensor.grad for name, tensor in sparse.named_parameters()}
        found[f"{form} gradient"] = max(
            float((tensor.grad - gradients[theirs(name)]).abs().max() / tensor.grad.abs().max().clamp_min(1e-9))
            for name, tensor in ours.named_parameters()
            if tensor.grad is not None and name != "temperature"
        )
    return found


def in_double(graphs: Any) -> Any:
    """Return a batch of sparse graphs in double precision."""
    return graphs.clone().apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)


def steps(batch_size: int, rounds: int, regions: int = 90) -> dict[str, list[float]]:
    """Return the seconds of training steps: ours, the sparse ones, ours, ..., with dropout and noise as published."""
    (ours, stage), batch, sparse, graphs, alpha = pair(batch_size, plain=False, regions=regions)
    losses: dict[str, Callable[[], torch.Tensor]] = {"ours": lambda: torch.stack(list(stage.loss(ours, batch).values())).sum()}
    for form in FORMS:
        losses[form] = lambda form=form: sparse.loss(graphs[form], batch.labels, alpha)  # type: ignore[misc]
    optimisers = {name: torch.optim.Adam((ours if name == "ours" else sparse).parameters(), lr=5e-4) for name in losses}
    for model in (ours, sparse):
        model.train()
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    for number in range(rounds + 1):
        for name, loss in losses.items():
            begin = time.perf_counter()
            optimisers[name].zero_grad()
            loss().backward()  # type: ignore[no-untyped-call]
            optimisers[name].step()
            if number:  # the first is a warm-up
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def ratio(theirs: Sequence[float], ours: Sequence[float], *, resamples: int = 2000) -> tuple[float, float, float]:
    """Return the ratio of medians with its 95 % bootstrap interval over rounds, in which both were measured."""
    both = np.array([theirs, ours])
    drawn = np.random.default_rng(0).integers(both.shape[1], size=(resamples, both.shape[1]))
    top, bottom = np.median(both[:, drawn], axis=2)
    low, high = np.quantile(top / bottom, [0.025, 0.975])
    return statistics.median(theirs) / statistics.median(ours), float(low), float(high)


def compared(batch_size: int, rounds: int, regions: int = 90) -> dict[str, Any]:
    """Return the check and the times.

    Raises:
        ValueError: If the two networks compute different logits.
    """
    found = differences(min(batch_size, 32), regions)
    if max(found.values()) > TOLERANCE:
        raise ValueError(f"`ours` and `theirs` must compute the same numbers to {TOLERANCE}, but differ by {found}.")
    return {
        "batch_size": batch_size,
        "regions": regions,
        "differences": found,
        "seconds": steps(batch_size, rounds, regions),
        "torch_geometric": version("torch_geometric"),
    }


# --- the record ---


def page(record: Mapping[str, Any]) -> str:
    """Return the record as a Markdown page."""
    lines = ["# M3D-BFS at full size"]
    if "run" in record:
        lines += ["", *_page_of_run(record["run"])]
    if "step" in record:
        lines += ["", *_page_of_step(record["step"])]
    return "\n".join([*lines, ""])


def _page_of_run(part: Mapping[str, Any]) -> list[str]:
    found, of_stage = part["found"], shares(part["found"]["stages"])
    epochs = {name: sum(each[name]["epochs"] for each in found["stages"]) for name in of_stage}
    means = {name: [score[name] for score in found["scores"]] for name in SCORES}
    scores = ", ".join(f"{name} {statistics.fmean(v):.3f} ± {statistics.stdev(v):.3f}" for name, v in means.items())
    return [
        "## Three stages in every fold",
        "",
        f"{found['folds']} folds with nested splits of {found['subjects']} simulated subjects, {found['regions']} regions.",
        "Preset `as_published` (4 GCN layers, hidden 128), 3 experts of which 2 run in all three branches,",
        f"{found['epochs']} epochs a stage where the paper trains up to 500. One process, one thread.",
        "",
        f"{sentence(part['conditions'])} Made by `{part['command']}`; {part['load']}.",
        "",
        "| stage | epochs, all folds | share of the time of training |",
        "| --- | --- | --- |",
        *(f"| {name} | {epochs[name]} | {share:.1%} |" for name, share in of_stage.items()),
        "",
        f"All folds took {found['seconds'] / 60:.1f} minutes under these conditions{_cpu(found)}. The process had",
        f"{found['mib_at_most']:.0f} MiB at most, {found['mib_before']:.0f} MiB of them before the first fold (cohort).",
        "",
        f"Held-out subjects, mean ± standard deviation over folds: {scores}.",
    ]


def _cpu(found: Mapping[str, Any]) -> str:
    return f", {found['cpu_seconds'] / 60:.1f} of the processor" if "cpu_seconds" in found else ""


def _page_of_step(part: Mapping[str, Any]) -> list[str]:
    found = part["found"]
    lines = [
        "## A training step against sparse graphs",
        "",
        f"Third stage, batch {found['batch_size']}, {found['regions']} regions, same weights; forward, loss, backward, Adam.",
        f"Theirs: `benchmarks/_m3d_bfs_sparse.py` with PyTorch Geometric {found['torch_geometric']}, graphs as lists of",
        "edges or as one matrix in compressed rows, built before. Experts see all tokens in both: equal batch statistics.",
        f"{len(found['seconds']['ours'])} rounds in turn, one thread. A ratio above 1 means that ours is faster.",
        "",
        f"{sentence(part['conditions'])} Made by `{part['command']}`; {part['load']}.",
        "",
        "| theirs | median theirs / median ours (95 % interval) | difference of logits | of losses | of gradients |",
        "| --- | --- | --- | --- | --- |",
    ]
    for form in FORMS:
        middle, low, high = ratio(found["seconds"][form], found["seconds"]["ours"])
        far = found["differences"]
        logits = max(far[f"{form} evaluation"], far[f"{form} training"])
        lines.append(
            f"| {form} | {middle:.2f} ({low:.2f} to {high:.2f}) | {logits:.1e} | {far[f'{form} loss']:.1e} "
            f"| {far[f'{form} gradient']:.1e} |"
        )
    lines += [
        "",
        "Intervals: bootstrap over rounds. Differences: the largest, without dropout and noise; of logits in evaluation and in",
        "training mode, in single precision; of losses and gradients (relative to a tensor's largest) in double precision.",
    ]
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=("run", "step"), default=["run", "step"])
    parser.add_argument("--subjects", type=int, default=500)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20, help="of each stage")
    parser.add_argument("--batch-size", type=int, default=128, help="of the step")
    parser.add_argument("--rounds", type=int, default=20, help="of the step")
    parser.add_argument("--regions", type=int, default=90)
    parser.add_argument("--out", type=Path, default=RECORDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    path = options.out / f"{NAME}.json"
    record: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for part in options.parts:
        before = os.getloadavg()[0]
        if part == "run":
            found = run(options.subjects, options.folds, options.epochs, options.regions)
        else:
            found = compared(options.batch_size, options.rounds, options.regions)
        load = f"load average {before:.1f} before and {os.getloadavg()[0]:.1f} after"
        record[part] = {"command": _command(part, options), "conditions": conditions(), "load": load, "found": found}
        options.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
        (options.out / f"{NAME}.md").write_text(page(record))


def _command(part: str, options: argparse.Namespace) -> str:
    names = ("subjects", "folds", "epochs", "regions") if part == "run" else ("batch_size", "rounds", "regions")
    words = [f"--{name.replace('_', '-')} {getattr(options, name)}" for name in names]
    return f"python -m benchmarks.m3d_bfs --parts {part} {' '.join(words)}"


if __name__ == "__main__":
    main()
