"""Claims: what threads, processes and their deaths do to one study."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from nas_fusion import history
from nas_fusion.process import Process
from nas_fusion.samplers import BeamSampler, ExhaustiveSampler, SearchSampler, SFSASampler, _base, ledger
from tests.nas_fusion_tests.samplers_tests.landscapes import (
    PATHS,
    SAMPLERS,
    UPWARDS,
    choices,
    planted,
    points,
    run,
)
from tests.nas_fusion_tests.samplers_tests.studies import SPACE, claimed, ended, journal, sqlite

optuna.logging.set_verbosity(optuna.logging.WARNING)
FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base, "WAIT_S", 0.1)


@pytest.mark.parametrize("inherit", ["none", "parent"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_four_threads_come_to_the_serial_result(sampler: Callable[..., SearchSampler], inherit: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = planted(trial)
        time.sleep(0.001 * ((7 * trial.number) % 5))
        return value

    serial, made = sampler(choices(4), inherit=inherit), sampler(choices(4), inherit=inherit)
    expected = ended(run(serial, planted))
    study = optuna.create_study(sampler=made)
    while made.outlook(study) != "complete":
        study.optimize(objective, n_jobs=4)
    found = ended(study)
    assert set(found.values()) == {1}
    assert expected.keys() <= found.keys()
    state = made.state(study)
    assert [points(c) for c in state.path] == PATHS[sampler]
    assert len(state.used) == len(expected)
    assert len(state.in_vain) == len(found) - len(expected)


def _work(folder: Path, make: Callable[[Path], BaseStorage], sampler: SearchSampler, seed: int) -> None:
    study = optuna.load_study(study_name="shared", storage=make(folder), sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        value = planted(trial)
        time.sleep(0.002 * ((seed + 7 * trial.number) % 5))
        return value

    while sampler.outlook(study) != "complete":
        study.optimize(objective)


@pytest.mark.parametrize("inherit", ["none", "parent"])
@pytest.mark.parametrize("sampler", UPWARDS)
@pytest.mark.parametrize("make", [sqlite, journal])
def test_four_processes_come_to_the_serial_result(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], BaseStorage],
    sampler: Callable[..., SearchSampler],
    inherit: str,
) -> None:
    monkeypatch.setattr(_base, "WAIT_S", 1.0)
    optuna.create_study(study_name="shared", storage=make(tmp_path))
    processes = [
        FORK.Process(target=_work, args=(tmp_path, make, sampler(choices(4), inherit=inherit), seed)) for seed in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    study = optuna.load_study(study_name="shared", storage=make(tmp_path))
    serial, made = sampler(choices(4), inherit=inherit), sampler(choices(4), inherit=inherit)
    expected, found = ended(run(serial, planted)), ended(study)
    assert set(found.values()) == {1}
    assert expected.keys() <= found.keys()
    assert [points(c) for c in made.path(study)] == PATHS[sampler]
    assert len(made.state(study).used) == len(expected)


# --- deaths ---


def _search_until_killed(
    folder: Path, make: Callable[[Path], BaseStorage], sampler: SearchSampler, place: str, at: int
) -> None:
    study = optuna.load_study(study_name="shared", storage=make(folder), sampler=sampler)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def objective(trial: optuna.Trial) -> float:
        if place == "before suggesting" and trial.number == at:
            die()
        value = planted(trial)
        if place == "in training" and trial.number == at:
            die()
        return value

    def callback(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if place == "between trials" and trial.number == at:
            die()

    if place == "before the claim":
        write = history.write_claim
        history.write_claim = lambda s, t, c: die() if t.number == at else write(s, t, c)  # type: ignore[assignment]
    study.optimize(objective, callbacks=[callback])


@pytest.mark.parametrize("place", ["before the claim", "before suggesting", "in training", "between trials"])
@pytest.mark.parametrize(("make", "sampler"), [(sqlite, SFSASampler), (journal, BeamSampler), (journal, ExhaustiveSampler)])
def test_killed_and_started_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], BaseStorage],
    sampler: Callable[..., SearchSampler],
    place: str,
) -> None:
    monkeypatch.setattr(ledger, "UNCLAIMED_S", 0.2)
    optuna.create_study(study_name="shared", storage=make(tmp_path))
    for at in (0, 5):  # a killed trial leaves its number behind
        process = FORK.Process(target=_search_until_killed, args=(tmp_path, make, sampler(choices(4)), place, at))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    made = sampler(choices(4), inherit="none")
    study = optuna.load_study(study_name="shared", storage=make(tmp_path), sampler=made)
    failed = history.fail_dead_trials(study)
    assert failed == ([0, 5] if place in ("before suggesting", "in training") else [])
    assert history.fail_dead_trials(study) == []
    study.optimize(planted)
    assert [points(c) for c in made.path(study)] == PATHS[sampler]
    assert ended(study) == ended(run(sampler(choices(4)), planted))
    assert made.state(study).skipped == ()


@pytest.mark.parametrize("sampler", UPWARDS)
def test_a_dead_claim_is_free_at_once_without_being_failed(tmp_path: Path, sampler: Callable[..., SearchSampler]) -> None:
    optuna.create_study(study_name="shared", storage=sqlite(tmp_path))
    args = (tmp_path, sqlite, sampler(choices(4)), "in training", 0)
    process = FORK.Process(target=_search_until_killed, args=args)
    process.start()
    while process.is_alive():  # not joined: a zombie, too, is dead
        time.sleep(0.01)
    study = optuna.load_study(study_name="shared", storage=sqlite(tmp_path), sampler=sampler(choices(4)))
    started = time.monotonic()
    assert claimed(study.ask()) == ()
    assert time.monotonic() - started < 2


def test_a_claim_of_another_host_counts_until_the_trial_is_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(sampler=SFSASampler(choices(4)))
    far = Process("elsewhere", 1, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Process, "current", classmethod(lambda cls: far))
        assert claimed(study.ask()) == ()
    assert claimed(study.ask()) == (1,)
    assert history.fail_dead_trials(study) == []
    study.tell(0, state=TrialState.FAIL)
    assert claimed(study.ask()) == ()


def test_who_was_only_thought_dead_can_tell_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(sampler=SFSASampler(choices(4)))
    with monkeypatch.context() as patch:
        ended_process = Process(Process.current().host, 2**22 + 1, 1)
        patch.setattr(Process, "current", classmethod(lambda cls: ended_process))
        late = study.ask()
    assert history.fail_dead_trials(study) == [0]
    assert study.tell(late, 0.1, skip_if_finished=True).state == TrialState.FAIL
    assert claimed(study.ask()) == ()


def test_a_retried_trial_keeps_its_parent() -> None:
    sampler = SFSASampler(choices(4), inherit="parent")
    study = optuna.create_study(sampler=sampler)
    for _ in range(5):
        trial = study.ask()
        study.tell(trial, planted(trial))
    trial = study.ask()
    planted(trial)
    study.tell(trial, state=TrialState.FAIL)
    failed = study.trials[-1]
    study.add_trial(  # as `RetryFailedTrialCallback` does
        optuna.create_trial(
            state=TrialState.WAITING,
            params=failed.params,
            distributions=failed.distributions,
            user_attrs=failed.user_attrs,
            system_attrs={"failed_trial": failed.number, "retry_history": [failed.number]},
        )
    )
    assert sampler.outlook(study) == "open"
    retried, next_one = study.ask(), study.ask()
    assert (retried.number, claimed(retried), claimed(next_one)) == (6, (1, 2), (2, 3))
    assert history.lineage_of(retried) == (SPACE.baseline, SPACE.complete({"layer2": "mmtm"}))
    assert history.is_own_claim(study.trials[6])
