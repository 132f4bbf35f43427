"""All stages of a recipe on one fold."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from nas_fusion.cohorts import Cohort
from nas_fusion.evaluation.batches import with_derived
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.inheritance import Inherited, inherit
from nas_fusion.evaluation.recipes import Recipe, RecipeBook
from nas_fusion.evaluation.stage import PARENT, Stage, State
from nas_fusion.evaluation.store import Store
from nas_fusion.evaluation.training import FoldData, OnEpoch, Trained, train_stage

Turn = Callable[[str], AbstractContextManager[Callable[[], None] | None]]
_KEPT = 4  # precomputations of the cohort that are held at a time


def no_turn(key: str) -> AbstractContextManager[None]:
    """Keep nobody from anything."""
    return contextlib.nullcontext()


@dataclass(frozen=True)
class StageCost:
    """What the training of a stage on a fold cost.

    Attributes:
        key: Of the stage on the fold, the same for all that share it.
        epochs: That were run.
        samples: Subjects seen in them.
        seconds: Wall-clock time.
        shared: Whether the store answered: it was trained before, for another configuration.
    """

    key: str
    epochs: int
    samples: int
    seconds: float
    shared: bool = False


@dataclass(frozen=True)
class FoldResult:
    """What became of a recipe on a fold.

    Attributes:
        last: Outcome of the last stage: the model.
        inherited: What each stage that was trained now took over, by the stage's name.
        stages: What each stage cost, by its name, those included that were not trained now.
    """

    last: Trained
    inherited: Mapping[str, Inherited]
    stages: Mapping[str, StageCost]

    def epochs(self, *, shared: bool) -> int:
        """Return the epochs of the stages that were trained now, or of those that the store answered."""
        return sum(stage.epochs for stage in self.stages.values() if stage.shared == shared)

    def samples(self, *, shared: bool) -> int:
        """Return the subjects that were seen in those epochs."""
        return sum(stage.samples for stage in self.stages.values() if stage.shared == shared)

    def details(self) -> dict[str, Any]:
        """Return as a JSON-compatible mapping what was inherited, what stages cost, and what was logged each epoch."""
        return {
            "inherited": {name: inherited.to_json() for name, inherited in self.inherited.items()},
            "micro_batches": self.last.micro_batches,
            "stages": {name: asdict(stage) for name, stage in self.stages.items()},
            **_logged(self.last),
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
        self._precomputed: dict[Any, Cohort] = {}
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
        turn: Turn = no_turn,
    ) -> FoldResult:
        """Train a recipe whose parent is in the store; it inherits from the parent's training on the same fold and seed.

        Args:
            recipe: What to train.
            fold: Number of the fold.
            seed: Number of the training seed, from 0.
            on_epoch: Is told each epoch of the last stage; may raise.
            spend: Is told the subjects seen in each epoch of every stage, before `on_epoch`.
            turn: Keeps other processes from training the same stage at the same time, by its key.
        """
        states: dict[str, State] = {}
        inherited: dict[str, Inherited] = {}
        costs: dict[str, StageCost] = {}
        for number, stage in enumerate(recipe.stages):
            is_last = number == len(recipe.stages) - 1
            key = self._book.stage_key(recipe, number, fold, seed)
            known = not is_last and self._store.has(key)
            with contextlib.nullcontext() if is_last or known else turn(key) as renew:
                if known or (not is_last and self._store.has(key)):  # perhaps somebody else trained it while we waited
                    states[stage.name], costs[stage.name] = self._store.weights(key), self._shared(key)
                    continue
                told = _told(on_epoch if is_last else None, spend, renew, len(self.who(fold, stage).train))
                begin = time.perf_counter()
                trained, inherited[stage.name] = self._train_stage(recipe, stage, states, (fold, seed), told)
                costs[stage.name] = StageCost(key, len(trained.losses), trained.samples, time.perf_counter() - begin)
                if is_last or not trained.epoch:
                    return FoldResult(trained, inherited, costs)
                states[stage.name] = trained.state
                facts = {"losses": trained.losses, "epoch": trained.epoch, **_logged(trained)}
                self._store.put_state(key, trained.state, details={**facts, **asdict(costs[stage.name])})
        raise AssertionError("Should not reach.")

    def build(self, recipe: Recipe, stage: Stage, offered: State, seed: int = 0) -> tuple[nn.Module, Inherited]:
        """Return the model that a stage starts from, and what it took over of what was offered."""
        with self.placement.repeatable(self._book.initial_seed(recipe, stage, seed)):
            model = stage.model()
        return model, inherit(model, offered)

    def data(self, fold: int, stage: Stage) -> FoldData:
        """Return a fold as a stage sees it: with what it computes of each subject beforehand, without subjects it cannot use.

        Raises:
            ValueError: If too few subjects have what it needs.
        """
        return replace(self.who(fold, stage), cohort=self.precomputed(self.folds[fold].cohort, stage))

    def as_seen_by(self, stage: Stage) -> list[FoldData]:
        """Return all folds without the subjects who lack what a stage needs."""
        return [self.who(fold, stage) for fold in range(len(self.folds))]

    def who(self, fold: int, stage: Stage) -> FoldData:
        """Return a fold without the subjects who lack what a stage needs.

        Raises:
            ValueError: If fewer than two are left to train, or none to validate.
        """
        data = self.folds[fold]
        if stage.needs is None:
            return data
        train, validation = (having(stage, data.cohort, index) for index in (data.train, data.validation))
        if len(train) < 2 or not len(validation):
            raise ValueError(
                f"`splits` must give fold {fold} two subjects to train and one to validate who have {stage.needs}, but got "
                f"{len(train)} and {len(validation)}."
            )
        return replace(data, train=train, validation=validation)

    def precomputed(self, cohort: Cohort, stage: Stage) -> Cohort:
        """Return a cohort with what a stage computes of each subject beforehand; that of the folds is computed once."""
        if stage.precompute is None:
            return cohort
        if cohort is not self.folds[0].cohort:
            return with_derived(cohort, stage.precompute, self.placement)
        if stage.precompute not in self._precomputed:
            if len(self._precomputed) == _KEPT:
                self._precomputed.pop(next(iter(self._precomputed)))
            self._precomputed[stage.precompute] = with_derived(cohort, stage.precompute, self.placement)
        return self._precomputed[stage.precompute]

    def _shared(self, key: str) -> StageCost:
        """Return what a stage cost when it was trained."""
        known = self._store.details(key)
        return StageCost(key, known["epochs"], known["samples"], known["seconds"], shared=True)

    def offered(self, recipe: Recipe, stage: Stage, states: Mapping[str, State], part: tuple[int, int]) -> State:
        """Return the tensors that a stage starts from: the earlier stages', before them the parent's."""
        inherited = self._store.weights(recipe.parent.key, *part) if recipe.parent and stage.takes_over else {}
        known = {**states, PARENT: inherited} if inherited else states
        return {**({} if stage.start is None else stage.start(known)), **inherited}

    def _train_stage(
        self, recipe: Recipe, stage: Stage, states: Mapping[str, State], part: tuple[int, int], on_epoch: OnEpoch
    ) -> tuple[Trained, Inherited]:
        (fold, number), taken = part, Inherited()
        offered = self.offered(recipe, stage, states, part)

        def build() -> nn.Module:
            nonlocal taken
            model, taken = self.build(recipe, stage, offered, number)
            return model

        seed = self._book.order_seed(recipe, stage, fold, number)
        trained = train_stage(stage, build, self.data(fold, stage), self.placement, seed=seed, on_epoch=on_epoch)
        return trained, taken


def _logged(trained: Trained) -> dict[str, Any]:
    """Return what was logged in each epoch, where anything was."""
    logged = {"terms": trained.terms, "observed": trained.observed}
    return {name: {term: list(values) for term, values in said.items()} for name, said in logged.items() if said}


def _told(
    on_epoch: OnEpoch | None, spend: Callable[[int], None] | None, renew: Callable[[], None] | None, samples: int
) -> OnEpoch:
    """Return what tells an epoch of `samples` subjects to those who wait, who count and who listen."""

    def told(epoch: int, loss: float) -> None:
        if renew is not None:
            renew()
        if spend is not None:
            spend(samples)
        if on_epoch is not None:
            on_epoch(epoch, loss)

    return told


def having(stage: Stage, cohort: Cohort, index: torch.Tensor) -> torch.Tensor:
    """Return those of some positions `(n,)`, on the CPU, whose subjects have what a stage needs."""
    if stage.needs is None:
        return index
    column = cohort.present[:, list(cohort.modalities).index(stage.needs)].cpu()
    return index[column[index]]


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
