"""Reports of a training's progress: to whoever listens, and to the trial, so that Optuna's pruners work."""

from __future__ import annotations

import math
from collections.abc import Callable

import optuna
from optuna.trial import BaseTrial

from nas_fusion import history
from nas_fusion.record import Evaluation

OnEpoch = Callable[[int, int, float], None]


class Watch:
    """Is told what happens in an evaluation.

    Args:
        on_epoch: Is called with fold (from 0), epoch (from 1) and validation loss.
    """

    def __init__(self, on_epoch: OnEpoch | None = None) -> None:
        self._on_epoch = on_epoch

    def epoch(self, fold: int, epoch: int, loss: float) -> None:
        """An epoch has ended with a validation loss."""
        if self._on_epoch is not None:
            self._on_epoch(fold, epoch, loss)

    def training(self, fold: int, loss: float) -> None:
        """A training on a fold has ended with the loss at its selected epoch."""

    def spend(self, samples: int) -> None:
        """An epoch of any stage has ended that saw so many subjects."""


class TrialWatch(Watch):
    """Reports to a trial: the epochs of a single training, the mean loss so far after each of several folds.

    A fold's loss is the mean over its training seeds; where there is one fold and several seeds, each seed counts as a fold.
    What is the mean of what is written too, for pruners that compare fold with fold. What is not a finite number is not
    reported: pruners would take it for a value.

    Args:
        trial: Where to report.
        folds: How many folds there are.
        seeds: How many times each is trained.
        on_epoch: Is told each epoch too.
    """

    def __init__(self, trial: BaseTrial, folds: int, seeds: int = 1, on_epoch: OnEpoch | None = None) -> None:
        super().__init__(on_epoch)
        self._trial, self._is_single = trial, folds * seeds == 1
        self._seeds = 1 if folds == 1 else seeds
        self._of_fold, self._losses = list[float](), list[float]()
        self.spent = {"epochs": 0.0, "samples": 0.0}

    def spend(self, samples: int) -> None:
        """Count an epoch."""
        self.spent["epochs"] += 1
        self.spent["samples"] += samples

    def epoch(self, fold: int, epoch: int, loss: float) -> None:
        """Report the epoch if there is a single training.

        Raises:
            optuna.TrialPruned: If the study's pruner ends the trial.
        """
        super().epoch(fold, epoch, loss)
        if self._is_single:
            self._report(loss, epoch)

    def training(self, fold: int, loss: float) -> None:
        """Report the fold, if there are several and all its seeds are trained.

        Raises:
            optuna.TrialPruned: If the study's pruner ends the trial.
        """
        self._of_fold.append(loss)
        if self._is_single or len(self._of_fold) < self._seeds:
            return
        self._losses.append(sum(self._of_fold) / len(self._of_fold))
        self._of_fold.clear()
        if isinstance(self._trial, optuna.Trial) and math.isfinite(sum(self._losses)):
            history.write_losses(self._trial, self._losses)
        self._report(sum(self._losses) / len(self._losses), len(self._losses) - 1)

    def replay(self, evaluation: Evaluation) -> None:
        """Report what the store answered as if it were trained now: pruners decide the same.

        Raises:
            optuna.TrialPruned: If the study's pruner ends the trial.
        """
        for number, (curve, selected) in enumerate(zip(evaluation.curves, evaluation.epochs, strict=True)):
            for epoch, loss in enumerate(curve, start=1):
                if self._is_single:
                    self._report(loss, epoch)
            self.training(number // evaluation.seeds, curve[selected - 1])

    def _report(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            return
        self._trial.report(loss, step)
        if self._trial.should_prune():
            raise optuna.TrialPruned(f"Pruned at step {step} with loss {loss:.4f}.")
