"""A sampler: one parameter after the other."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas_fusion import Configuration, SearchSpace


class CoordinateSampler(BaseSampler):
    """Tries every choice of one parameter, keeps the best, goes on to the next, until a whole sweep changes nothing.

    The search begins with the baseline. It is a pure function of the study's trials, so another process continues it. What
    failed or was pruned is not tried again. It knows no inheritance: weights come from the baseline, unless there is none.

    `outlook` and `max_evaluations` are what nas-fusion's own loop asks a sampler whose search has an end.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        sweeps: How often all parameters are gone through at most, at least 1.
        seed: Of the generator for parameters that are not the space's.
        inherit: Accepted, as of every sampler, and not used.

    Raises:
        ValueError: If `sweeps` is below 1.
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        sweeps: int = 2,
        seed: int | None = None,
        inherit: str | None = None,
    ) -> None:
        if sweeps < 1:
            raise ValueError(f"`sweeps` must be at least 1, but got {sweeps}.")
        self.space, self.sweeps = SearchSpace.of(space), sweeps
        self._foreign = RandomSampler(seed)

    @property
    def max_evaluations(self) -> int:
        """The largest number of evaluations that the search can ask for."""
        return 1 + self.sweeps * sum(len(choices) - 1 for choices in self.space.parameters.values())

    def outlook(self, study: Study) -> str:
        """Return what a trial would find: `open`, `waiting` (for other processes) or `complete`."""
        wanted, running = self._wanted(self._costs(study)), self._running(study)
        if not wanted:
            return "complete"
        return "open" if any(configuration not in running for configuration in wanted) else "waiting"

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the space's parameters."""
        return {parameter: CategoricalDistribution(choices) for parameter, choices in self.space.parameters.items()}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Return the next configuration, one of this step again where others evaluate all of it; the rest is random."""
        _check_single(study)
        wanted, running = self._wanted(self._costs(study)), self._running(study)
        free = [configuration for configuration in wanted if configuration not in running]
        chosen = (free or wanted or [self.space.baseline])[0]
        return {
            name: chosen[name] if name in chosen else self.sample_independent(study, trial, name, distribution)
            for name, distribution in search_space.items()
        }

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value of a parameter that is not the space's."""
        _check_single(study)
        return self._foreign.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Stop `Study.optimize` at the end of the search."""
        configuration = self._configuration(trial)
        if configuration is None:
            return
        cost = _sign(study) * values[0] if state == TrialState.COMPLETE and values else math.inf
        if not self._wanted({configuration: cost, **self._costs(study)}):
            with contextlib.suppress(RuntimeError):  # the trial was asked for, outside of `optimize`
                study.stop()

    def reseed_rng(self) -> None:
        """Draw other numbers for foreign parameters."""
        self._foreign.reseed_rng()

    def _wanted(self, costs: Mapping[Configuration, float]) -> list[Configuration]:
        """Return what the step that the search has come to lacks; nothing at its end."""
        best = self.space.canonical(self.space.baseline)
        if best not in costs:
            return [best]
        for _ in range(self.sweeps):
            before = best
            for parameter, choices in self.space.parameters.items():
                step = dict.fromkeys(self.space.canonical(best.with_choices({parameter: choice})) for choice in choices)
                unknown = [configuration for configuration in step if configuration not in costs]
                if unknown:
                    return unknown
                best = min(step, key=lambda c: (costs[c], len(self.space.active(c)), self.space.index(c)))
            if best == before:
                break
        return []

    def _costs(self, study: Study) -> dict[Configuration, float]:
        """Return what is to be made small, of each configuration that has ended: infinite where it failed."""
        costs: dict[Configuration, float] = {}
        for trial in study.get_trials(deepcopy=False):
            configuration = self._configuration(trial)
            if configuration is not None and trial.state.is_finished():
                cost = _sign(study) * trial.values[0] if trial.state == TrialState.COMPLETE else math.inf
                costs[configuration] = min(cost, costs.get(configuration, math.inf))
        return costs

    def _running(self, study: Study) -> set[Configuration | None]:
        trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
        return {self._configuration(trial) for trial in trials}

    def _configuration(self, trial: FrozenTrial) -> Configuration | None:
        """Return the configuration of a trial, `None` if it is of something else, or has none yet."""
        if not self.space.parameters.keys() <= trial.params.keys():
            return None
        return self.space.canonical({parameter: trial.params[parameter] for parameter in self.space.parameters})


def _check_single(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(f"`study` must have one objective, but has {len(study.directions)}.")


def _sign(study: Study) -> int:
    return -1 if study.direction == StudyDirection.MAXIMIZE else 1
