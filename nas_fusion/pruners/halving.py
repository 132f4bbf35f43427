"""Successive halving among the candidates of one round."""

from __future__ import annotations

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from nas_fusion.pruners.rounds import Round, round_of


class HalvingPruner(BasePruner):
    """Ends a candidate that is not in the better half of its round after 1, 2, 4, ... reported steps.

    Steps are folds (the mean so far is compared), or epochs where there is a single training (the loss of that epoch). A
    candidate at one of these rungs goes on if it is among the best 1/`reduction` of those of its round that have come as far,
    itself included, and always if it is among the `survivors` (the width of a beam) best of them. The first of a round thus
    always goes on. Controls are never ended.

    The search is shortened by it and no longer exact: who is best after one fold or epoch need not be in the end, and who is
    compared with whom depends on who comes first, so on the number of workers. What is pruned counts as not better.

    It does nothing for samplers that do not work in rounds.

    Source: the asynchronous form of successive halving (arXiv 1810.05934, algorithm 2), as in Optuna's
    `SuccessiveHalvingPruner`, among the candidates of one round instead of all trials.

    Args:
        reduction: One in so many goes on, at least 2; it is also the ratio of one rung's number of steps to that of the last.
        first: Steps before the first rung, at least 1.
        n_steps: How many steps an evaluation has, `None` if that is not known: after the last one nothing is ended.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self, reduction: int = 2, *, first: int = 1, n_steps: int | None = None) -> None:
        for name, value, least in (("reduction", reduction, 2), ("first", first, 1)):
            if value < least:
                raise ValueError(f"`{name}` must be at least {least}, but got {value}.")
        if n_steps is not None and n_steps <= first:
            raise ValueError(f"`halving` must have more than {first} fold or epoch to end anything early, but got {n_steps}.")
        self._reduction, self._first, self._n_steps = reduction, first, n_steps

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial is at a rung and not among the best that have reached it."""
        n = len(trial.intermediate_values)
        if n == self._n_steps or not self._is_rung(n):
            return False
        round_ = round_of(study, trial)
        return round_ is not None and self._is_behind(round_, n)

    def _is_rung(self, n: int) -> bool:
        steps = self._first
        while steps < n:
            steps *= self._reduction
        return steps == n

    def _is_behind(self, round_: Round, n: int) -> bool:
        own = round_.reports(round_.trial)[n - 1]
        others = [reports[n - 1] for mate in round_.mates if len(reports := round_.reports(mate)) >= n]
        n_better = sum(other < own for other in others)
        return n_better >= max(round_.survivors, (len(others) + 1) // self._reduction)
