"""What searches make of trials that fail, are pruned, enqueued or somebody else's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from nas_fusion import history
from nas_fusion.samplers import ExhaustiveSampler, SearchSampler, SFSASampler
from tests.nas_fusion_tests.samplers_tests.landscapes import (
    EVALUATIONS,
    PATHS,
    PLANTED,
    SAMPLERS,
    UPWARDS,
    choices,
    planted,
    points,
    run,
)
from tests.nas_fusion_tests.samplers_tests.studies import SPACE, sqlite

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize("sampler", UPWARDS)
def test_failures_are_repeated(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4))
    failures = {(2,): 2, (): 1, (1, 2): 1}

    def objective(trial: optuna.Trial) -> float:
        chosen = points(made.space.suggest(trial))
        if failures.get(chosen, 0):
            failures[chosen] -= 1
            raise RuntimeError("out of luck")
        return PLANTED[chosen]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = run(made, objective, catch=RuntimeError)
    assert [points(c) for c in made.path(study)] == PATHS[sampler]
    state = made.state(study)
    assert len(state.used) == EVALUATIONS[sampler]
    assert len(study.trials) == EVALUATIONS[sampler] + 4


@pytest.mark.parametrize("before_suggesting", [True, False])
@pytest.mark.parametrize("sampler", UPWARDS)
def test_what_fails_too_often_is_skipped_with_a_warning(sampler: Callable[..., SearchSampler], before_suggesting: bool) -> None:
    made = sampler(choices(4), max_retries=1)

    def objective(trial: optuna.Trial) -> float:
        claim = history.claim_of(trial)
        assert claim is not None
        if before_suggesting and claim.configuration is not None and points(claim.configuration) == (2,):
            raise RuntimeError("never again")
        chosen = points(made.space.suggest(trial))
        return PLANTED[chosen] if chosen != (2,) else math.nan

    with pytest.warns(UserWarning, match=r"\{'layer2': 'mmtm'\} failed 2 times: the search goes on without it"):
        study = run(made, objective, catch=RuntimeError)
    state = made.state(study)
    assert state.complete
    assert [points(c) for c in state.skipped] == [(2,)]
    assert [points(c) for c in state.path] == [(), (1,), (1, 3)][: 3 if sampler is not ExhaustiveSampler else 1] + (
        [(1, 3)] if sampler is ExhaustiveSampler else []
    )
    with pytest.warns(UserWarning, match="failed 2 times"):
        assert sampler(choices(4), max_retries=1).state(study) == state  # another process comes to the same


@pytest.mark.parametrize("sampler", UPWARDS)
@pytest.mark.parametrize("end", ["pruned", "inf", "-inf", "marked"])
def test_pruned_and_non_finite_are_not_better_and_not_repeated(sampler: Callable[..., SearchSampler], end: str) -> None:
    made = sampler(choices(4))

    def objective(trial: optuna.Trial) -> float:
        chosen = points(made.space.suggest(trial))
        if chosen != (2,):
            return PLANTED[chosen]
        if end == "pruned":
            trial.report(0.01, 1)
            raise optuna.TrialPruned
        if end == "marked":
            history.mark_non_finite(trial, math.nan)
            return math.nan
        return float(end)

    study = run(made, objective)
    assert [points(c) for c in made.path(study)] == ([(), (1, 3)] if sampler is ExhaustiveSampler else [(), (1,), (1, 3)])
    assert sum(points(t.params) == (2,) for t in study.trials) == 1
    assert 2 in made.state(study).used


def test_a_baseline_without_a_loss_does_not_end_the_search() -> None:
    sampler = SFSASampler(choices(3))
    study = run(sampler, lambda trial: float(len(points(sampler.space.suggest(trial)))) or math.inf)
    assert [points(c) for c in sampler.path(study)] == [(), (1,)]
    hopeless = run(SFSASampler(choices(3)), lambda trial: math.inf * (1 + len(points(sampler.space.suggest(trial)))))
    assert sampler.state(hopeless).complete
    assert sampler.best(hopeless) is None
    assert sampler.path(hopeless) == []


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_other_trials_in_the_study_are_ignored(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def foreign(trial: optuna.Trial) -> float:
        return trial.suggest_float("x", -2, -1) + len(trial.suggest_categorical("layer1", ["none", "mmtm"]))

    study.optimize(foreign, n_trials=3)
    study.sampler = made
    study.optimize(planted, n_trials=2)
    study.optimize(lambda trial: trial.suggest_float("x", -2, -1), n_trials=2)
    study.add_trial(optuna.create_trial(value=-9.0, params={}, distributions={}))
    study.optimize(planted)
    state = made.state(study)
    assert [points(c) for c in state.path] == PATHS[sampler]
    assert not {0, 1, 2, 5, 6, 7} & {*state.used, *state.in_vain}
    assert len(study.trials) == 6 + EVALUATIONS[sampler]


@pytest.mark.parametrize("inherit", ["none", "parent"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_enqueued_configurations_are_not_evaluated_again(sampler: Callable[..., SearchSampler], inherit: str) -> None:
    made = sampler(choices(4), inherit=inherit)
    study = optuna.create_study(sampler=made)
    study.enqueue_trial(dict(made.space.complete({"layer2": "mmtm"})))
    study.enqueue_trial({"layer1": "mmtm"})  # incomplete: the rest is drawn
    claims = []

    def objective(trial: optuna.Trial) -> float:
        claims.append(history.claim_of(trial))
        return planted(trial)

    study.optimize(objective)
    assert [points(c) for c in made.path(study)] == PATHS[sampler]
    assert claims[0] == history.Claim(
        made.space.complete({"layer2": "mmtm"}), made.space.baseline, () if inherit == "none" else (made.space.baseline,)
    )
    assert claims[1] == history.Claim()
    repeated = 1 + (points(study.trials[1].params) == (2,))
    if sampler in UPWARDS:
        assert sum(points(t.params) == (2,) for t in study.trials) == repeated
        assert 0 in made.state(study).used


def test_a_waiting_trial_counts_as_a_claim() -> None:
    sampler = SFSASampler(choices(4))
    study = optuna.create_study(sampler=sampler)
    asked = study.ask()
    study.tell(asked, planted(asked))
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING, system_attrs={"fixed_params": dict(sampler.space.complete({"layer1": "mmtm"}))}
        )
    )
    trial = optuna.Trial(study, study._storage.create_new_trial(study._study_id))
    assert points(sampler.space.suggest(trial)) == (2,)


def test_what_a_fixing_sampler_changed_counts_as_what_it_is() -> None:
    sampler = ExhaustiveSampler(choices(2), max_retries=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(sampler=optuna.samplers.PartialFixedSampler({"layer1": "mmtm"}, sampler))
    with pytest.warns(UserWarning, match="failed 1 times"):
        study.optimize(lambda trial: float(len(points(sampler.space.suggest(trial)))), n_trials=12)
    state = sampler.state(study)
    assert [points(c) for c in state.skipped] == [(), (2,)]
    assert state.complete
    assert state.used == (0, 1)


def test_a_hyperband_pruner_does_not_split_the_history() -> None:
    sampler = SFSASampler(choices(4))
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.HyperbandPruner())
    study.optimize(planted)
    assert [points(c) for c in sampler.path(study)] == [(), (2,)]
    assert len(study.trials) == 8


def test_a_later_value_changes_what_was_pruned() -> None:
    sampler = SFSASampler(choices(4))

    def objective(trial: optuna.Trial) -> float:
        value = planted(trial)
        if points(trial.params) == (2,) and trial.number < 8:
            raise optuna.TrialPruned
        return value

    study = run(sampler, objective)
    assert [points(c) for c in sampler.path(study)] == [(), (1,), (1, 3)]
    study.enqueue_trial(dict(sampler.space.complete({"layer2": "mmtm"})))
    study.optimize(objective)
    assert [points(c) for c in sampler.path(study)] == [(), (2,)]
    assert SFSASampler(choices(4)).state(study) == sampler.state(study)


def test_a_parameter_of_the_space_with_other_choices_is_refused() -> None:
    study = optuna.create_study(sampler=ExhaustiveSampler(choices(2)))
    trial = study.ask()
    with pytest.raises(ValueError, match=r"`layer1` must be suggested with the choices \('none', 'mmtm'\), but got "):
        trial.suggest_categorical("layer1", ["none", "concat_conv"])
    with pytest.raises(ValueError, match=r"`layer2` must be suggested with the choices .*, but got FloatDistribution"):
        trial.suggest_float("layer2", 0, 1)


def test_a_trial_of_another_process_keeps_its_parameters() -> None:
    study = optuna.create_study(sampler=ExhaustiveSampler(choices(2)))
    study.ask()
    trial = study.ask()
    again = optuna.Trial(optuna.load_study(study_name=study.study_name, storage=study._storage), trial._trial_id)
    again.study.sampler = ExhaustiveSampler(choices(2))
    assert [again.suggest_categorical(name, c) for name, c in choices(2).items()] == ["mmtm", "none"]


@pytest.mark.parametrize("sampler", [RandomSampler(seed=0), ExhaustiveSampler(choices(4))])
def test_one_process_reads_no_more_from_a_relational_storage_than_optuna(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: BaseSampler
) -> None:
    study = optuna.create_study(storage=sqlite(tmp_path), sampler=sampler)
    read: list[None] = []
    backend = study._storage._backend  # type: ignore[attr-defined]
    get_trials = backend._get_trials
    monkeypatch.setattr(backend, "_get_trials", lambda *a, **o: (read.append(None), get_trials(*a, **o))[1])
    study.optimize(lambda trial: float(len(SPACE.suggest(trial))), n_trials=3)
    assert len(read) == 3
