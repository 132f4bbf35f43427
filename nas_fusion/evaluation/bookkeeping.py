"""What is recorded of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas_fusion.cohorts import Cohort
from nas_fusion.evaluation.cost import flops_of, parameters_of, versions
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.folds import FoldResult, FoldTrainer, StageCost
from nas_fusion.evaluation.inheritance import Inherited
from nas_fusion.evaluation.metrics import METRICS, metrics
from nas_fusion.evaluation.prediction import probabilities_of
from nas_fusion.evaluation.recipes import Recipe
from nas_fusion.evaluation.store import Store
from nas_fusion.evaluation.training import FoldData
from nas_fusion.record import Evaluation, Predictions


def evaluation_of(
    recipe: Recipe, predictions: Predictions, losses: Sequence[float], cost: Mapping[str, float], placement: Placement
) -> Evaluation:
    """Return the evaluation of a recipe from what its models predicted in each fold, with the loss of each fold."""
    seed = np.zeros_like(predictions.fold) if predictions.seed is None else predictions.seed
    seeds = int(seed.max()) + 1
    of_fold = [
        [
            metrics(predictions.labels[rows], predictions.probabilities[rows])
            for number in range(seeds)
            for rows in [(predictions.fold == fold) & (seed == number)]
        ]
        for fold in range(len(losses))
    ]
    return Evaluation(
        key=recipe.key,
        value=float(np.mean(losses)),
        fold_losses=tuple(losses),
        metrics={name: tuple(float(np.mean([each[name] for each in fold])) for fold in of_fold) for name in METRICS},
        cost=cost,
        configuration=recipe.configuration,
        reference=recipe.reference,
        lineage=recipe.lineage,
        device=placement.name,
        versions=versions(),
        seeds=seeds,
    )


def predictions_of(cohort: Cohort, folds: Sequence[FoldData], results: Sequence[FoldResult], *, seeds: int = 1) -> Predictions:
    """Return what the models of some folds said of their validation subjects, fold after fold, seed after seed.

    Args:
        cohort: Of all folds.
        folds: As the last stage saw them.
        results: Of each fold, seed after seed.
        seeds: Training seeds of each fold.
    """
    positions = [data.validation for data in folds for _ in range(seeds)]
    numbers = np.repeat(np.arange(len(positions)), [len(index) for index in positions])
    return Predictions(
        subjects=tuple(cohort.subjects[i] for index in positions for i in index.tolist()),
        fold=numbers // seeds,
        labels=np.concatenate([cohort.labels[index].numpy() for index in positions]),
        probabilities=np.concatenate([probabilities_of(result.last.logits).numpy() for result in results]),
        seed=numbers % seeds if seeds > 1 else None,
    )


def training_cost(
    recipe: Recipe, results: Sequence[FoldResult], trainer: FoldTrainer, placement: Placement
) -> dict[str, float]:
    """Return what a training cost, its lineage left out: sums over folds and stages, sizes of the last stage's model.

    Stages that were trained before, for another configuration, are counted apart, as `shared_epochs` and `shared_samples`.
    """
    stage = recipe.stages[-1]
    model = placement.lay_out(trainer.build(recipe, stage, {})[0], trainer.folds[0].cohort)
    return {
        "parameters": float(parameters_of(model)),
        "flops": float(flops_of(model, trainer.folds[0].cohort, placement)),
        "epochs": float(sum(result.epochs(shared=False) for result in results)),
        "samples": float(sum(result.samples(shared=False) for result in results)),
        "shared_epochs": float(sum(result.epochs(shared=True) for result in results)),
        "shared_samples": float(sum(result.samples(shared=True) for result in results)),
        "peak_memory": float(placement.peak_memory()),
        "inherited_parameters": float(results[0].inherited.get(stage.name, Inherited()).numbers),
    }


def lineage_cost(recipe: Recipe, results: Sequence[FoldResult], store: Store) -> dict[str, float]:
    """Return the epochs and samples of all that a recipe needs, its own included, each stage of each training counted once."""
    stages = {stage.key: stage for result in results for stage in result.stages.values()}
    for needed in recipe.family():
        for fold in store.details(needed.key).get("folds", ()) if needed.key != recipe.key else ():
            stages |= {stage["key"]: StageCost(**stage) for stage in fold["stages"].values()}
    return {f"lineage_{name}": float(sum(getattr(each, name) for each in stages.values())) for name in ("epochs", "samples")}


def ensemble_cost(parts: Sequence[Evaluation]) -> dict[str, float]:
    """Return the cost of an ensemble: the sum over its members."""
    summed = ("parameters", "flops", "epochs", "samples", "shared_epochs", "shared_samples", "inherited_parameters")
    cost = {name: float(sum(part.cost[name] for part in parts)) for name in summed}
    return cost | {"peak_memory": max(part.cost["peak_memory"] for part in parts)}
