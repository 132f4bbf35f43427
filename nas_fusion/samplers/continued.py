"""Optuna's own samplers, so that a search that goes on elsewhere does not begin again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from nas_fusion import history


class ContinuedSampler(BaseSampler):
    """Draws each trial from a seed that follows from the study's seed and the number of trials before it.

    A sampler of Optuna's that is made anew with the same seed draws the same again: a study that is resumed would repeat its
    first trials, and several processes would all evaluate the same. Trials whose process was killed are not counted, so that
    what they were to evaluate is drawn once more.

    Args:
        make: From a seed to a sampler.
        seed: The study's, at least 0.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._of_trial: dict[int, BaseSampler] = {}  # by trial id, until the trial ends

    def __str__(self) -> str:
        return str(self._make(self._seed))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Make the sampler of a trial."""
        self._sampler(study, trial).before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the sampler draws together."""
        return self._sampler(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Return what the sampler draws together."""
        return self._sampler(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return what the sampler draws for one parameter."""
        return self._sampler(study, trial).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Let the sampler take notice of a trial's end."""
        self._sampler(study, trial).after_trial(study, trial, state, values)
        self._of_trial.pop(trial._trial_id, None)

    def _sampler(self, study: Study, trial: FrozenTrial) -> BaseSampler:
        sampler = self._of_trial.get(trial._trial_id)
        if sampler is None:
            earlier = study.get_trials(deepcopy=False)[: trial.number]
            draws = sum(not history.is_surplus(t) and not history.is_abandoned(t) for t in earlier)
            sampler = self._make(int(np.random.SeedSequence([self._seed, draws]).generate_state(1)[0]))
            self._of_trial[trial._trial_id] = sampler
        return sampler
