"""Racing: a candidate that cannot win its round any more stops after fewer folds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from nas_fusion.pruners.rounds import n_done, round_of


class RacingPruner(BasePruner):
    """Ends a candidate that is significantly worse, over the folds done, than what it would have to beat.

    That is the last candidate that would survive if its round ended now (with a width of w the w-th best of those completed),
    and, where a round's result must improve on its parent, the parent and the parent trained on (the control). The test is
    Wilcoxon's signed-rank test of the differences fold by fold, one-sided. A candidate whose mean is not the worse one is
    never ended, nor is one whose last fold is done, nor a control.

    The search is shortened by it and no longer exact: the test is repeated after each fold and for each candidate, folds of a
    cross-validation are not independent, and who is compared with whom depends on who ends first, so on the number of workers.
    What is pruned counts as not better.

    It does nothing for samplers that do not work in rounds. An objective writes the folds' losses so far before it asks
    `trial.should_prune()`, by `nas_fusion.write_losses(trial, losses)` or by `trial.report(loss, fold)` as for Optuna's
    `WilcoxonPruner`; `EvaluationWorker` does.

    Source: the test of a race as in Optuna's `WilcoxonPruner`, among the candidates of one round.

    Args:
        p: Level of each test, in (0, 0.5). With n folds done the least p-value that there is is 2^-n: so at 0.1 no candidate
            can be pruned before its fourth fold, and folds are saved from five on.
        n_folds: How many folds an evaluation has, `None` if that is not known: then the last one may be pruned, too.

    Raises:
        ValueError: If `p` is out of its range, or so few folds could not prune anything.

    Example:
        >>> sampler = nas_fusion.SFSASampler(space)
        >>> study = optuna.create_study(sampler=sampler, pruner=RacingPruner(n_folds=10))
    """

    def __init__(self, p: float = 0.1, *, n_folds: int | None = None) -> None:
        self._least, self._p, self._n_folds = least_folds(p), p, n_folds
        if n_folds is not None and n_folds < self._least:
            raise ValueError(
                f"`racing` at p = {p} must have at least {self._least} folds to be able to prune at all (the least p-value of "
                f"Wilcoxon's test on n folds is 2^-n), but got {n_folds}."
            )
        if n_folds == self._least:
            warnings.warn(
                f"`racing` at p = {p} ends nothing before the last of {n_folds} folds: it saves from {n_folds + 1} folds on.",
                stacklevel=2,
            )

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial is significantly worse than what it would have to beat."""
        n = n_done(study._storage.get_trial(trial._trial_id))
        if n < self._least or n == self._n_folds:
            return False
        round_ = round_of(study, trial)
        if round_ is None:
            return False
        losses = round_.losses(round_.trial)
        completed = sorted((mate for mate in round_.mates if mate.state == TrialState.COMPLETE), key=round_.cost)
        leaders = completed[round_.survivors - 1 : round_.survivors]
        return any(self._is_worse(losses, round_.losses(rival)) for rival in (*leaders, *round_.must_beat))

    def _is_worse(self, losses: Sequence[float], rival: Sequence[float]) -> bool:
        from scipy.stats import wilcoxon  # not at the top: it would make every import of the pruners slower

        if len(rival) < len(losses):
            return False
        lags = np.subtract(losses, rival[: len(losses)])
        if not lags.mean() > 0:
            return False
        return bool(wilcoxon(lags, alternative="greater", zero_method="zsplit").pvalue < self._p)


def least_folds(p: float) -> int:
    """Return how many folds must be done before Wilcoxon's test can be significant at all: the least n with 2^-n < p.

    Raises:
        ValueError: If `p` is not in (0, 0.5).
    """
    if not 0 < p < 0.5:
        raise ValueError(f"`p` must be in (0, 0.5), but got {p}.")
    return math.floor(-math.log2(p)) + 1
