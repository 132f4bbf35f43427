"""A bench: trains every candidate of one search space on one cohort."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import BaseTrial
from torch import nn

from nas_fusion import history
from nas_fusion.cohorts import Cohort
from nas_fusion.evaluation.averaging import among, averaged, mean_of_speakers, spoken
from nas_fusion.evaluation.bookkeeping import ensemble_cost, evaluation_of, lineage_cost, predictions_of, training_cost
from nas_fusion.evaluation.cost import versions
from nas_fusion.evaluation.details import details_of
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.estimate import StepEstimate, measure_step
from nas_fusion.evaluation.folds import FoldResult, FoldTrainer, Turn, check_folds, having, no_turn
from nas_fusion.evaluation.keys import FORMAT, digest_of_folds
from nas_fusion.evaluation.prediction import predict_logits, probabilities_of
from nas_fusion.evaluation.ranking import Ranker
from nas_fusion.evaluation.recipes import Recipe, RecipeBook
from nas_fusion.evaluation.reporting import OnEpoch, TrialWatch, Watch
from nas_fusion.evaluation.store import Store
from nas_fusion.evaluation.supernet import SupernetPlan
from nas_fusion.evaluation.training import evaluation_batch_size
from nas_fusion.record import Evaluation, Predictions
from nas_fusion.space import Configuration, SearchSpace, check_inherit
from nas_fusion.turns import turn


class Bench:
    """Where the configurations of one search space are trained on one cohort. An evaluation worker has one for each.

    Args:
        space: What the configurations are of.
        cohort: With its splits.
        store: Where weights, predictions and records are kept.
        placement: Device and precision.
        plan: Overrides fields of every stage's training plan.
        inherit: `parent`, `baseline` or `none`; `None` for the space's.
        seed: Of initialisation, order of subjects and augmentation.
        seeds: How many times each fold is trained.

    Raises:
        ValueError: If the cohort has no splits, a fold cannot be trained on, or an argument is not among what is allowed.
    """

    def __init__(
        self,
        space: SearchSpace,
        cohort: Cohort,
        store: Store,
        placement: Placement,
        *,
        plan: Mapping[str, Any] | None = None,
        inherit: str | None = None,
        seed: int = 0,
        seeds: int = 1,
    ) -> None:
        if seeds < 1:
            raise ValueError(f"`seeds` must be at least 1, but got {seeds}.")
        self.space, self.seeds, self.store = space, seeds, store
        self.cohort = cohort.development()
        assert self.cohort.splits is not None, "Should not reach."
        check_folds(self.cohort)
        self.inherit = space.inherit if inherit is None else check_inherit(inherit)
        self._placement = placement
        self._facts: dict[str, Any] = {
            "format": FORMAT,
            "seed": seed,
            "fingerprint": cohort.fingerprint,
            "split": digest_of_folds(self.cohort.splits),
            "precision": self._placement.precision,
        }
        self._plan = dict(plan or {})
        inputs, lacking = self.cohort.inputs, self.cohort.lacking
        self._book = RecipeBook(
            space, inputs, inherit=self.inherit, overrides=self._plan, facts=self._facts, seeds=seeds, lacking=lacking
        )
        self._trainer = FoldTrainer(self._book, self.cohort, self.store, self._placement)
        self._details = partial(details_of, space, inputs)
        self._lock = threading.RLock()

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self._placement.device

    def description(self) -> dict[str, Any]:
        """Return what decides its numbers, and where it runs: JSON-compatible."""
        return {
            **self._facts,
            "folds": len(self._trainer.folds),
            "seeds": self.seeds,
            "plan": {name: list(value) if isinstance(value, tuple) else value for name, value in self._plan.items()},
            "inherit": self.inherit,
            "device": self._placement.name,
            "versions": versions(),
        }

    # --- evaluations ---

    def __call__(self, trial: BaseTrial, on_epoch: OnEpoch | None = None) -> float:
        """Evaluate what a trial asks for: an Optuna objective.

        Args:
            trial: Its parameters choose the configuration; its lineage is what a sampler of ours wrote, or follows `inherit`.
            on_epoch: Is told fold, epoch and validation loss.

        Returns:
            Mean validation loss over folds and training seeds at the selected epochs, in nats.

        Raises:
            optuna.TrialPruned: If the study's pruner ends the trial.
        """
        configuration = self.space.suggest(trial)
        lineage = history.lineage_of(trial)
        recipe = self._book.of(configuration, self._book.lineage(configuration) if lineage is None else lineage)
        watch = TrialWatch(trial, len(self._trainer.folds), self.seeds, on_epoch)
        one_at_a_time = partial(turn, trial.study) if isinstance(trial, optuna.Trial) else no_turn
        try:
            evaluation = self._evaluate(recipe, watch, one_at_a_time)
            if not evaluation.trained:
                watch.replay(evaluation)
        except Exception:
            if isinstance(trial, optuna.Trial):
                history.write_spent(trial, watch.spent)
            raise
        if not isinstance(trial, optuna.Trial):
            return evaluation.value
        if not math.isfinite(evaluation.value):
            history.mark_non_finite(trial, evaluation.value)
            history.write_spent(trial, watch.spent)
            return evaluation.value
        history.write_evaluation(trial, evaluation)
        self.store.attach(trial, evaluation.key)
        return evaluation.value

    def evaluate(
        self,
        configuration: Mapping[str, str],
        *,
        lineage: Sequence[Mapping[str, str]] = (),
        on_epoch: OnEpoch | None = None,
    ) -> Evaluation:
        """Return the evaluation of a configuration: from the store if its key is known, else trained.

        Args:
            configuration: Of the space.
            lineage: Configurations whose weights are inherited one after the other, the root first; those that the store does
                not hold are trained first. Empty for a start from scratch.
            on_epoch: Is told fold (from 0), epoch (from 1) and validation loss.

        Returns:
            The evaluation. Where no epoch had a finite loss its value is not a number, and it is not stored.

        Raises:
            ValueError: If something is no configuration of the space, or an ancestor's loss is not finite.
        """
        return self._evaluate(self._book.of(configuration, lineage), Watch(on_epoch))

    def evaluate_reference(self, name: str, on_epoch: OnEpoch | None = None) -> Evaluation:
        """Return the evaluation of one of the space's references; the members of an ensemble are trained where necessary.

        Raises:
            ValueError: If there is none of that name.
        """
        return self._evaluate(self._book.of_reference(name), Watch(on_epoch))

    def key(self, configuration: Mapping[str, str], *, lineage: Sequence[Mapping[str, str]] = ()) -> str:
        """Return the key of a configuration that inherits along a lineage."""
        return self._book.of(configuration, lineage).key

    def reference_key(self, name: str) -> str:
        """Return the key of one of the space's references."""
        return self._book.of_reference(name).key

    def members(self, name: str) -> tuple[str, ...]:
        """Return the keys of what a reference consists of: the members of an ensemble, else its own."""
        recipe = self._book.of_reference(name)
        return tuple(member.key for member in recipe.members) or (recipe.key,)

    def lineage(self, configuration: Mapping[str, str]) -> tuple[Configuration, ...]:
        """Return the lineage of a configuration that no sampler wrote one for."""
        return self._book.lineage(configuration)

    def rank(self, study: optuna.Study, *, plan: SupernetPlan | None = None, on_epoch: OnEpoch | None = None) -> dict[str, Any]:
        """Train the space's supernet, unless the store or the study knows its ranking, and write the ranking on the study.

        Any number of processes may do so: one trains, the others wait for it; if it dies, another takes over. Test subjects
        play no part, and validation subjects only in the baseline whose weights the supernet starts from.

        Args:
            study: Whose `DifferentiableSampler` then evaluates the most probable configurations.
            plan: How the supernet is trained; by default as the study's sampler asks for.
            on_epoch: Is told fold, epoch and mean training loss.

        Returns:
            `configurations`, pairs of choices and probability, most probable first; `probabilities` of each choice; `cost`;
            `key`; and `trained`, the keys of what was trained for it.

        Raises:
            TypeError: If the space has no supernet.
            ValueError: If the study was ranked in another way, or the baseline's loss is not finite.
            FloatingPointError: If the supernet's loss is not finite.
        """
        ranker = Ranker(self.space, self._book, self._trainer, self.store, self._evaluate)
        return ranker.rank(study, plan or SupernetPlan.of(study.sampler), on_epoch)

    def _evaluate(self, recipe: Recipe, watch: Watch, one_at_a_time: Turn = no_turn) -> Evaluation:
        with self._lock:
            known = self.store.get(recipe.key)
            if known is not None:
                return known
            if recipe.members:
                return self._average(recipe, watch)
            if recipe.parent is not None and not math.isfinite(self._evaluate(recipe.parent, Watch(), one_at_a_time).value):
                raise ValueError(f"`lineage` must have finite losses, but that of {recipe.parent.configuration} is not.")
            return self._train(recipe, watch, one_at_a_time)

    def _train(self, recipe: Recipe, watch: Watch, one_at_a_time: Turn) -> Evaluation:
        self._placement.reset_peak()
        begin, results = time.perf_counter(), list[FoldResult]()
        for fold, seed in self._trainings():
            on_epoch = partial(watch.epoch, fold)
            trained = self._trainer.train(recipe, fold, seed, on_epoch=on_epoch, spend=watch.spend, turn=one_at_a_time)
            results.append(trained)
            if not math.isfinite(results[-1].last.loss):
                break
            watch.training(fold, results[-1].last.loss)
        cost = training_cost(recipe, results, self._trainer, self._placement)
        cost |= lineage_cost(recipe, results, self.store) | {"seconds": time.perf_counter() - begin}
        losses = [result.last.loss for result in results]
        if not math.isfinite(sum(losses)):
            return Evaluation(
                recipe.key, math.nan, tuple(losses), {}, cost, recipe.configuration, recipe.reference, recipe.lineage
            )
        predictions = predictions_of(self.cohort, self._trainer.as_seen_by(recipe.stages[-1]), results, seeds=self.seeds)
        of_fold = np.reshape(losses, (-1, self.seeds)).mean(axis=1).tolist()
        evaluation = replace(
            evaluation_of(recipe, predictions, of_fold, cost, self._placement),
            epochs=tuple(result.last.epoch for result in results),
            curves=tuple(result.last.losses for result in results),
        )
        weights = [result.last.state for result in results]
        return self.store.put(evaluation, weights, predictions, details=self._details(recipe, results))

    def _trainings(self) -> list[tuple[int, int]]:
        """Return the fold and the number of the training seed of each training, in their order."""
        return [(fold, seed) for fold in range(len(self._trainer.folds)) for seed in range(self.seeds)]

    def _average(self, recipe: Recipe, watch: Watch) -> Evaluation:
        """Evaluate an ensemble: the mean of its members' probabilities, charged with all their trainings."""
        begin = time.perf_counter()
        parts = [self._evaluate(member, watch) for member in recipe.members]
        if not all(math.isfinite(part.value) for part in parts):
            return Evaluation(recipe.key, math.nan, (), {}, {}, reference=recipe.reference)
        predictions = averaged([self.store.predictions(part.key) for part in parts])
        cost = ensemble_cost(parts)
        cost |= lineage_cost(recipe, (), self.store)
        cost["seconds"] = time.perf_counter() - begin if any(part.trained for part in parts) else 0.0
        losses = [float(predictions.losses[predictions.fold == fold].mean()) for fold in range(len(self._trainer.folds))]
        evaluation = evaluation_of(recipe, predictions, losses, cost, self._placement)
        return self.store.put(evaluation, (), predictions, details=self._details(recipe))

    # --- predictions ---

    def predict(self, keys: Sequence[str], cohort: Cohort) -> Predictions:
        """Return what evaluated models say of any subjects, such as `cohort.subset(cohort.splits.test)`.

        Args:
            keys: Of evaluations in the store. The probabilities are averaged over the models of a key's folds and
                training seeds, then over keys.
            cohort: With the same modalities and classes as the worker's.

        Returns:
            One row a subject, all with fold 0. Subjects who lack what every one of the models needs are left out, and of the
            others those models are averaged that say something.

        Raises:
            ValueError: If a key is not in the store or not of this worker's space and settings, or the cohort does not fit.
        """
        if not keys:
            raise ValueError("`keys` must be at least one, but got none.")
        if cohort.inputs != self.cohort.inputs:
            raise ValueError(f"`cohort` must have inputs {self.cohort.inputs}, but got {cohort.inputs}.")
        recipes = [self._recipe_of(key) for key in keys]
        with self._lock, self._placement.repeatable(0):
            resident = self._placement.resident(cohort)
            probabilities = mean_of_speakers([self._probabilities(recipe, resident) for recipe in recipes])
        return spoken(cohort, probabilities)

    def model(self, key: str, fold: int = 0, seed: int = 0) -> nn.Module:
        """Return the trained model of a fold and a training seed (its number, from 0), in evaluation mode, on the device.

        Raises:
            ValueError: If the key is not in the store, not of this worker's space and settings, or an ensemble's.
        """
        recipe = self._recipe_of(key)
        if recipe.members:
            raise ValueError(f"`key` must be of one model, but {key!r} is of an ensemble of {len(recipe.members)}.")
        with self._lock, self._placement.repeatable(0):
            return self._model(recipe, self.cohort, (fold, seed)).eval()

    def _model(self, recipe: Recipe, cohort: Cohort, part: tuple[int, int]) -> nn.Module:
        model, _ = self._trainer.build(recipe, recipe.stages[-1], {})
        model.load_state_dict(self.store.weights(recipe.key, *part))
        return self._placement.lay_out(model, cohort)

    def _recipe_of(self, key: str) -> Recipe:
        known = self.store.get(key)
        if known is None:
            raise ValueError(f"`keys` must be in the store, but {key!r} is not.")
        if known.reference is not None:
            recipe = self._book.of_reference(known.reference)
        else:
            assert known.configuration is not None, "Should not reach."
            recipe = self._book.of(known.configuration, known.lineage)
        if recipe.key != key:
            raise ValueError(f"`keys` must be of this worker's settings, but {key!r} is of others.")
        return recipe

    def _probabilities(self, recipe: Recipe, cohort: Cohort) -> torch.Tensor:
        if recipe.members:
            return mean_of_speakers([self._probabilities(member, cohort) for member in recipe.members])
        stage, said = recipe.stages[-1], []
        index = having(stage, cohort, torch.arange(len(cohort)))
        cohort = self._trainer.precomputed(cohort, stage)
        for part in self._trainings():
            model = self._model(recipe, cohort, part)
            logits = predict_logits(model, cohort, index, self._placement, batch_size=evaluation_batch_size(stage))
            said.append(probabilities_of(logits))
        return among(index, torch.stack(said).mean(dim=0), len(cohort))

    def estimate(self, configuration: Mapping[str, str]) -> StepEstimate:
        """Return what an epoch of a configuration costs, from one measured step; nothing is kept of it."""
        recipe = self._book.of(configuration)
        stage = recipe.stages[-1]
        with self._lock:
            model, _ = self._trainer.build(recipe, stage, {})
            return measure_step(stage, model, self._trainer.data(0, stage), self._placement)
