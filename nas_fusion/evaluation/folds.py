"""All stages of a recipe on one fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_fusion.cohorts import Cohort
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.inheritance import Inherited, inherit
from nas_fusion.evaluation.recipes import Recipe, RecipeBook
from nas_fusion.evaluation.stage import Stage, State
from nas_fusion.evaluation.store import Store
from nas_fusion.evaluation.training import FoldData, OnEpoch, Trained, train_stage


@dataclass(frozen=True)
class FoldResult:
    """What became of a recipe on a fold.

    Attributes:
        last: Outcome of the last stage: the model.
        inherited: What each stage that was trained now took over, by the stage's name.
        epochs: Epochs that were run, over all stages that were trained now.
        samples: Subjects that were seen in them.
    """

    last: Trained
    inherited: Mapping[str, Inherited]
    epochs: int
    samples: int

    def details(self) -> dict[str, Any]:
        """Return what was inherited as a JSON-compatible mapping."""
        return {
            "inherited": {name: inherited.to_json() for name, inherited in self.inherited.items()},
            "micro_batches": self.last.micro_batches,
        }


class FoldTrainer:
    """Trains recipes on the folds of a cohort.

    Args:
        book: Gives keys and seeds.
        cohort: Without test subjects, with its splits.
        store: Where weights are inherited from and what stages leave for others is kept.
        placement: Device and precision.
    """

    def __init__(self, book: RecipeBook, cohort: Cohort, store: Store, placement: Placement) -> None:
        assert cohort.splits is not None, "Should not reach."
        self._book, self._store, self.placement = book, store, placement
        resident = placement.resident(cohort)
        self.folds = [
            FoldData(resident, cohort.positions(fold.train), cohort.positions(fold.validation)) for fold in cohort.splits.folds
        ]

    def train(
        self,
        recipe: Recipe,
        fold: int,
        seed: int = 0,
        *,
        on_epoch: OnEpoch | None = None,
        spend: Callable[[int], None] | None = None,
    ) -> FoldResult:
        """Train a recipe whose parent is in the store; it inherits from the parent's training on the same fold and seed.

        Args:
            recipe: What to train.
            fold: Number of the fold.
            seed: Number of the training seed, from 0.
            on_epoch: Is told each epoch of the last stage; may raise.
            spend: Is told the subjects seen in each epoch of every stage, before `on_epoch`.
        """
        states: dict[str, State] = {}
        inherited: dict[str, Inherited] = {}
        epochs = samples = 0
        for number, stage in enumerate(recipe.stages):
            is_last = number == len(recipe.stages) - 1
            key = self._book.stage_key(recipe, number, fold, seed)
            if not is_last and self._store.has(key):
                states[stage.name] = self._store.weights(key)
                continue
            offered = stage.start(states) if stage.start is not None else self._inherited(recipe, fold, seed)
            told = _told(on_epoch if is_last else None, spend, len(self.folds[fold].train))
            trained, taken = self._train_stage(recipe, stage, offered, (fold, seed), told)
            inherited[stage.name] = taken
            epochs, samples = epochs + len(trained.losses), samples + trained.samples
            if is_last or not trained.epoch:
                return FoldResult(trained, inherited, epochs, samples)
            states[stage.name] = trained.state
            self._store.put_state(key, trained.state, details={"losses": trained.losses, "epoch": trained.epoch})
        raise AssertionError("Should not reach.")

    def build(self, recipe: Recipe, stage: Stage, offered: State, seed: int = 0) -> tuple[nn.Module, Inherited]:
        """Return the model that a stage starts from, and what it took over of what was offered."""
        with self.placement.repeatable(self._book.initial_seed(recipe, stage, seed)):
            model = stage.model()
        return model, inherit(model, offered)

    def _inherited(self, recipe: Recipe, fold: int, seed: int) -> State:
        return {} if recipe.parent is None else self._store.weights(recipe.parent.key, fold, seed)

    def _train_stage(
        self, recipe: Recipe, stage: Stage, offered: State, part: tuple[int, int], on_epoch: OnEpoch
    ) -> tuple[Trained, Inherited]:
        (fold, number), taken = part, Inherited()

        def build() -> nn.Module:
            nonlocal taken
            model, taken = self.build(recipe, stage, offered, number)
            return model

        seed = self._book.order_seed(recipe, stage, fold, number)
        trained = train_stage(stage, build, self.folds[fold], self.placement, seed=seed, on_epoch=on_epoch)
        return trained, taken


def _told(on_epoch: OnEpoch | None, spend: Callable[[int], None] | None, samples: int) -> OnEpoch:
    """Return what tells an epoch of `samples` subjects to both who count and who listen."""

    def told(epoch: int, loss: float) -> None:
        if spend is not None:
            spend(samples)
        if on_epoch is not None:
            on_epoch(epoch, loss)

    return told


def check_folds(cohort: Cohort) -> None:
    """Raise unless every fold can be trained and validated on.

    Raises:
        ValueError: If a fold has fewer than two subjects to train or none to validate.
    """
    assert cohort.splits is not None, "Should not reach."
    for number, fold in enumerate(cohort.splits.folds):
        if len(fold.train) < 2 or not fold.validation:
            counts = f"{len(fold.train)} and {len(fold.validation)}"
            raise ValueError(f"`splits` must give fold {number} two subjects to train and one to validate, but got {counts}.")
