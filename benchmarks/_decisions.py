"""One decision of a greedy or beam search in a study with a long history."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from nas_fusion import history
from nas_fusion.samplers import BeamSampler, SearchSampler, SFSASampler
from nas_fusion.space import Configuration, SearchSpace

N_TRIALS = 10_000
POINTS = 14
SAMPLERS: dict[str, Callable[[SearchSpace], SearchSampler]] = {
    "sfsa": lambda space: SFSASampler(space, inherit="parent"),
    "beam(3)": lambda space: BeamSampler(space, width=3, inherit="parent"),
}


def loss(configuration: Configuration, space: SearchSpace) -> float:
    """Return a loss that each point lowers, the later ones more: a search goes through all its rounds."""
    return -float(space.index(configuration))


def filled_study(storage: BaseStorage, space: SearchSpace) -> optuna.Study:
    """Return a study with many finished trials, the configurations drawn at random."""
    study = optuna.create_study(storage=storage)
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.CategoricalDistribution(c) for name, c in space.parameters.items()
    }
    for index in np.random.default_rng(0).integers(space.size, size=N_TRIALS):
        configuration = space.configuration(int(index))
        study.add_trial(
            optuna.create_trial(params=configuration.to_dict(), distributions=distributions, value=loss(configuration, space))
        )
    return study


class Timed:
    """Takes the time of a sampler's decisions and of their claims' writing, by standing between them and Optuna.

    Args:
        sampler: Its `before_trial` is what decides.
        storage: Its `set_trial_user_attr` is what writes.
    """

    def __init__(self, sampler: SearchSampler, storage: BaseStorage) -> None:
        self.decision_s: list[float] = []
        self.write_s: list[float] = []
        sampler.before_trial = self._timed(sampler.before_trial, self.decision_s)  # type: ignore[method-assign]
        storage.set_trial_user_attr = self._timed(storage.set_trial_user_attr, self.write_s)  # type: ignore[method-assign]

    @staticmethod
    def _timed(function: Callable[..., None], times: list[float]) -> Callable[..., None]:
        def timed(*args: Any, **options: Any) -> None:
            start = time.perf_counter()
            function(*args, **options)
            times.append(time.perf_counter() - start)

        return timed


def decide(study: optuna.Study, space: SearchSpace, sampler: SearchSampler, most: int = 80) -> Timed:
    """Search on in a study, nothing is trained, and return the times of the decisions after the first."""
    study.sampler = sampler
    sampler.outlook(study)  # the first look reads everything, once a process
    timed = Timed(sampler, study._storage)
    for _ in range(most):
        trial = study.ask()
        if history.is_surplus(trial):
            study.tell(trial, state=TrialState.PRUNED)
            break
        study.tell(trial, loss(space.suggest(trial), space))
    assert len(timed.decision_s) == len(timed.write_s) > 50, "Each decision writes one attribute."
    return timed


def replay(study: optuna.Study, space: SearchSpace) -> Configuration:
    """Return where greedy search stands, worked out from all trials as a sampler without a memory would."""
    losses: dict[tuple[str, ...], float] = {}
    for trial in study._storage.get_all_trials(study._study_id, deepcopy=False):
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            losses.setdefault(tuple(trial.params[name] for name in space.parameters), trial.value)
    current = space.baseline
    while True:
        moves = [move for move in space.forward_moves(current) if tuple(move.values()) in losses]
        if not moves:
            return current
        current = min(moves, key=lambda move: losses[tuple(move.values())])


def decisions(storages: Sequence[str], folder: str, make_storage: Callable[[str, str], BaseStorage]) -> list[dict[str, Any]]:
    """Return the median times of decisions by storage and sampler, ms."""
    space = SearchSpace({f"layer{i + 1}": ["none", "mmtm"] for i in range(POINTS)})
    results = []
    for kind in storages:
        with tempfile.TemporaryDirectory(dir=folder) as inside:
            for name, make in SAMPLERS.items():
                study = filled_study(make_storage(kind, inside), space)
                replays = [_replay_s(study, space) for _ in range(5)]
                timed = decide(study, space, make(space))
                pairs = list(zip(timed.decision_s, timed.write_s, strict=True))
                results.append(
                    {
                        "storage": kind,
                        "sampler": name,
                        "trials": N_TRIALS,
                        "decisions": len(pairs),
                        "decision_ms": 1e3 * statistics.median(timed.decision_s),
                        "thinking_ms": 1e3 * statistics.median(whole - write for whole, write in pairs),
                        "write_ms": 1e3 * statistics.median(timed.write_s),
                        "replay_ms": 1e3 * statistics.median(replays),
                    }
                )
    return results


def _replay_s(study: optuna.Study, space: SearchSpace) -> float:
    start = time.perf_counter()
    replay(study, space)
    return time.perf_counter() - start
