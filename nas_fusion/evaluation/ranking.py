"""The ranking of configurations by what a supernet holds for probable."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import optuna

from nas_fusion import history
from nas_fusion.evaluation.folds import FoldTrainer
from nas_fusion.evaluation.recipes import Recipe, RecipeBook
from nas_fusion.evaluation.reporting import OnEpoch, Watch
from nas_fusion.evaluation.store import Store
from nas_fusion.evaluation.supernet import SupernetPlan, TrainedSupernet, train_supernet
from nas_fusion.record import Evaluation
from nas_fusion.space import Configuration, SearchSpace
from nas_fusion.turns import turn

RANKED = 1024  # so many configurations at most are written
Probabilities = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Ranker:
    """Ranks the configurations of a space for a study.

    Attributes:
        space: The search space.
        book: Gives keys and seeds.
        trainer: Has folds and placement.
        store: Where rankings are kept, and the baseline's weights are.
        evaluate: Returns the evaluation of a recipe, trained if necessary.
    """

    space: SearchSpace
    book: RecipeBook
    trainer: FoldTrainer
    store: Store
    evaluate: Callable[[Recipe, Watch], Evaluation]

    def rank(self, study: optuna.Study, plan: SupernetPlan, on_epoch: OnEpoch | None = None) -> dict[str, Any]:
        """Write the ranking of a supernet on a study and return it, see `EvaluationWorker.rank`."""
        recipe = self.book.of_supernet(asdict(plan))
        with turn(study, "ranking") as renew:

            def told(fold: int, epoch: int, loss: float) -> None:
                renew()
                if on_epoch is not None:
                    on_epoch(fold, epoch, loss)

            ranking = history.ranking_of(study)
            if ranking is None:
                ranking = self._ranking(recipe, plan, Watch(told))
                history.write_ranking(study, ranking)
        if ranking["key"] != recipe.key:
            raise ValueError("`study` must be ranked once, but its ranking was made with other settings or other data.")
        return ranking

    def _ranking(self, recipe: Recipe, plan: SupernetPlan, watch: Watch) -> dict[str, Any]:
        """Return the ranking from the store, or train what it takes."""
        parent = None if recipe.parent is None else self.evaluate(recipe.parent, watch)
        if parent is not None and not math.isfinite(parent.value):
            raise ValueError(f"`study` must have a baseline of finite loss to be ranked, but it is {parent.value}.")
        trained = [parent.key] if parent is not None and parent.trained else []
        known = self.store.details(recipe.key)
        ranking = known or self._trained(recipe, plan, watch)
        inherited = {} if parent is None else parent.cost
        cost = {f"lineage_{name}": ranking["cost"][name] + inherited.get(name, 0.0) for name in ("epochs", "samples")}
        return ranking | {"cost": ranking["cost"] | cost, "trained": trained + [recipe.key] * (not known)}

    def _trained(self, recipe: Recipe, plan: SupernetPlan, watch: Watch) -> dict[str, Any]:
        """Train a supernet on each fold and return the ranking, which is kept in the store."""
        begin, n_folds = time.perf_counter(), len(self.trainer.folds)
        folds = [self._train_fold(recipe, fold, plan, watch) for fold in range(n_folds)]
        probabilities = mean_probabilities([each.probabilities for each in folds])
        choices = self.space.parameters
        ranking = {
            "key": recipe.key,
            "configurations": [[c.to_dict(), p] for c, p in most_probable(self.space, probabilities)],
            "probabilities": {name: dict(zip(choices[name], of, strict=True)) for name, of in probabilities.items()},
            "cost": {
                "epochs": float(sum(each.epochs for each in folds)),
                "samples": float(sum(each.samples for each in folds)),
                "parameters": float(folds[-1].parameters),
                "seconds": time.perf_counter() - begin,
            },
        }
        self.store.put_details(recipe.key, ranking)
        return ranking

    def _train_fold(self, recipe: Recipe, fold: int, plan: SupernetPlan, watch: Watch) -> TrainedSupernet:
        (stage,) = recipe.stages
        offered = {} if recipe.parent is None else self.store.weights(recipe.parent.key, fold)
        return train_supernet(
            stage,
            lambda: self.trainer.build(recipe, stage, offered)[0],
            self.trainer.folds[fold],
            self.trainer.placement,
            plan=plan,
            seed=self.book.order_seed(recipe, stage, fold),
            on_epoch=partial(watch.epoch, fold),
        )


def mean_probabilities(folds: Sequence[Probabilities]) -> dict[str, tuple[float, ...]]:
    """Return the probability of each choice, averaged over folds."""
    return {name: tuple(np.mean([fold[name] for fold in folds], axis=0).tolist()) for name in folds[0]}


def most_probable(space: SearchSpace, probabilities: Probabilities, n: int = RANKED) -> list[tuple[Configuration, float]]:
    """Return the most probable canonical configurations, the most probable first.

    A configuration's probability is the product of its choices'; configurations that are one (canonical) configuration add up.
    Ties are broken by fewer active parameters, then by index.

    Args:
        space: Of the configurations.
        probabilities: Parameter to the probability of each choice, in their order.
        n: How many at most. Of a larger space, this is what the n most probable configurations make, which of configurations
            that are one may leave out improbable ones.
    """
    # What belongs to the n best begins with one of the n best beginnings: so n of these at a time suffice.
    best: list[tuple[float, dict[str, str]]] = [(1.0, {})]
    for parameter, choices in space.parameters.items():
        longer = (
            (p * q, {**chosen, parameter: choice})
            for p, chosen in best
            for choice, q in zip(choices, probabilities[parameter], strict=True)
        )
        best = heapq.nlargest(n, longer, key=lambda pair: pair[0])
    summed: dict[Configuration, list[float]] = {}
    for p, chosen in best:
        summed.setdefault(space.canonical(chosen), []).append(p)
    total = {configuration: math.fsum(each) for configuration, each in summed.items()}
    return sorted(total.items(), key=lambda pair: (-pair[1], len(space.active(pair[0])), space.index(pair[0])))
