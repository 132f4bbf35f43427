"""Replays: what a sampler does on a landscape, in memory and without training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna

from nas_fusion import history
from nas_fusion.analysis import Landscape
from nas_fusion.samplers import SearchSampler, load_sampler, state_of
from nas_fusion.space import Configuration


@dataclass(frozen=True)
class Replay:
    """What a sampler did on a landscape.

    Attributes:
        sampler: Its name.
        order: What it evaluated, one after the other; a configuration that it evaluated again is there again.
        regrets: After each evaluation, how far the best so far is above the optimum, in nats.
        best: What the search selected.
        path: The accepted configurations, the baseline first; of Optuna's samplers, the baseline if seen and `best`.
        regret: How far `best` is above the optimum, in nats.
    """

    sampler: str
    order: tuple[Configuration, ...]
    regrets: tuple[float, ...]
    best: Configuration
    path: tuple[Configuration, ...]
    regret: float

    @property
    def evaluations(self) -> int:
        """The number of evaluations, repeated ones counted."""
        return len(self.order)

    @property
    def duplicates(self) -> int:
        """The number of evaluations of a configuration that had been evaluated before."""
        return len(self.order) - len(set(self.order))

    def evaluations_to(self, regret: float = 0.0) -> int | None:
        """Return after how many evaluations the best so far came within a regret, `None` if it never did."""
        return next((count for count, reached in enumerate(self.regrets, start=1) if reached <= regret), None)


def replay(
    landscape: Landscape,
    sampler: str | optuna.samplers.BaseSampler,
    *,
    seed: int = 0,
    n_trials: int | None = None,
    truth: Landscape | None = None,
    **options: Any,
) -> Replay:
    """Run a sampler on a landscape and return what it did: the serial search, equal for every caller.

    The best so far is that of the lowest loss seen; of equal ones the fewest active parameters, then the lowest index.

    Args:
        landscape: What is searched; it must know every configuration that the sampler asks for.
        sampler: A name as `load_sampler` takes it, or a sampler as it is, which `seed` and `options` do not concern.
        seed: Of the sampler.
        n_trials: The largest number of trials, `None` for as many as a sampler with an end of its own wants, and as many as
            there are configurations for others.
        truth: Whose losses regrets are measured by, where `landscape` is a noisy view of it; `None` for `landscape` itself.
        **options: The sampler's own, and `inherit`.

    Raises:
        ValueError: If a name or option is wrong, `n_trials` is less than 1, or a configuration is not in the landscape.
    """
    if n_trials is not None and n_trials < 1:
        raise ValueError(f"`n_trials` must be at least 1, but got {n_trials}.")
    if isinstance(sampler, str):
        name, made = sampler, load_sampler(sampler, landscape.space, seed=seed, n_trials=n_trials, **options)
    else:
        name, made = type(sampler).__name__, sampler
    if n_trials is None and not isinstance(made, SearchSampler):
        n_trials = landscape.space.size
    with _quietly():
        study = optuna.create_study(sampler=made)
        study.optimize(landscape, n_trials=n_trials)
    order = tuple(
        landscape.space.canonical(trial.params)
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if not history.is_surplus(trial)
    )
    state = state_of(study, landscape.space, made)
    assert state.best is not None, "Should not reach."
    judge = landscape if truth is None else truth
    return Replay(name, order, _regrets(order, landscape, judge), state.best, state.path, judge.regret(state.best))


def _regrets(order: tuple[Configuration, ...], seen: Landscape, judge: Landscape) -> tuple[float, ...]:
    regrets: list[float] = []
    best: Configuration | None = None
    for configuration in order:
        if best is None or seen.rank(configuration) < seen.rank(best):
            best = configuration
        regrets.append(judge.regret(best))
    return tuple(regrets)


@contextmanager
def _quietly() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
