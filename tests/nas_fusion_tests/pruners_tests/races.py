"""Searches on tables of losses, fold after fold, for the tests of pruners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import optuna

from nas_fusion import history, write_losses
from nas_fusion.samplers import SearchSampler
from nas_fusion.space import Configuration, SearchSpace

optuna.logging.set_verbosity(optuna.logging.WARNING)
Losses = Callable[[Configuration, bool], Sequence[float]]


def switches(n: int) -> SearchSpace:
    return SearchSpace({f"p{i}": ["off", "on"] for i in range(1, n + 1)})


def points(parameters: Mapping[str, str]) -> str:
    """Return the points that are on: `13`."""
    return "".join(name[1:] for name, choice in parameters.items() if choice == "on")


def objective(space: SearchSpace, losses: Losses, *, written: bool = True) -> Callable[[optuna.Trial], float]:
    """Return an objective that evaluates fold after fold; a control is one that starts from its own configuration."""

    def evaluate(trial: optuna.Trial) -> float:
        configuration = space.suggest(trial)
        folds = losses(configuration, history.parent_of(trial) == configuration)
        for n in range(1, len(folds) + 1):
            if written:
                write_losses(trial, folds[:n])
            trial.report(sum(folds[:n]) / n if written else folds[n - 1], n - 1)
            if trial.should_prune():
                raise optuna.TrialPruned
        return sum(folds) / len(folds)

    return evaluate


def race(
    sampler: SearchSampler,
    pruner: optuna.pruners.BasePruner,
    losses: Losses,
    *,
    direction: str = "minimize",
    written: bool = True,
) -> tuple[dict[str, str | int], optuna.Study]:
    """Return for each trial what it evaluated and after how many folds it was pruned (or that it was not), and the study."""
    study = optuna.create_study(sampler=sampler, pruner=pruner, direction=direction)
    study.optimize(objective(sampler.space, losses, written=written))
    found: dict[str, str | int] = {}
    for trial in study.trials:
        name = points(trial.params) + ("*" if history.parent_of(trial) == Configuration(trial.params) else "")
        found[name] = len(trial.intermediate_values) if trial.state == optuna.trial.TrialState.PRUNED else "whole"
    return found, study
