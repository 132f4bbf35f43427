"""Reports of a training's progress: to whoever listens, and to the trial, so that Optuna's pruners work."""

from __future__ import annotations

import math
from collections.abc import Callable

import optuna
from optuna.trial import BaseTrial

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

    def fold(self, fold: int, loss: float) -> None:
        """A fold has ended with the loss at its selected epoch."""


class TrialWatch(Watch):
    """Reports to a trial: the epochs of a single split, the mean loss so far after each of several folds.

    What is not a finite number is not reported: pruners would take it for a value.

    Args:
        trial: Where to report.
        folds: How many folds there are.
        on_epoch: Is told each epoch too.
    """

    def __init__(self, trial: BaseTrial, folds: int, on_epoch: OnEpoch | None = None) -> None:
        super().__init__(on_epoch)
        self._trial, self._is_single, self._losses = trial, folds == 1, list[float]()

    def epoch(self, fold: int, epoch: int, loss: float) -> None:
        """Report the epoch if there is a single split.

        Raises:
            optuna.TrialPruned: If the study's pruner ends the trial.
        """
        super().epoch(fold, epoch, loss)
        if self._is_single:
            self._report(loss, epoch)

    def fold(self, fold: int, loss: float) -> None:
        """Report the fold if there are several.

        Raises:
            optuna.TrialPruned: If the study's pruner ends the trial.
        """
        self._losses.append(loss)
        if not self._is_single:
            self._report(sum(self._losses) / len(self._losses), fold)

    def replay(self, evaluation: Evaluation) -> None:
        """Report what the store answered as if it were trained now: pruners decide the same.

        Raises:
            optuna.TrialPruned: If the study's pruner ends the trial.
        """
        for fold, curve in enumerate(evaluation.curves):
            for epoch, loss in enumerate(curve, start=1):
                if self._is_single:
                    self._report(loss, epoch)
            self.fold(fold, evaluation.fold_losses[fold])

    def _report(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            return
        self._trial.report(loss, step)
        if self._trial.should_prune():
            raise optuna.TrialPruned(f"Pruned at step {step} with loss {loss:.4f}.")
