"""Claims: what several asks, threads and processes do to one study."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from nas_fusion import history
from nas_fusion.process import Process
from nas_fusion.samplers import BeamSampler, ExhaustiveSampler, SearchSampler, SFSASampler, _base, ledger
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, planted, points, run

optuna.logging.set_verbosity(optuna.logging.WARNING)
FORK = multiprocessing.get_context("fork")
SAMPLERS: list[Callable[..., SearchSampler]] = [SFSASampler, BeamSampler, ExhaustiveSampler]
PATHS = {SFSASampler: [(), (2,)], BeamSampler: [(), (1,), (1, 3)], ExhaustiveSampler: [(), (1, 3)]}
SPACE = SearchSpace(choices(4))


def sqlite(folder: Path) -> BaseStorage:
    return RDBStorage(f"sqlite:///{folder / 'study.db'}", engine_kwargs={"connect_args": {"timeout": 60}})


def journal(folder: Path) -> BaseStorage:
    return JournalStorage(JournalFileBackend(str(folder / "study.log")))


def claimed(trial: optuna.Trial) -> tuple[int, ...] | str:
    """What a trial was asked for: points, or why there was nothing."""
    claim = history.claim_of(trial)
    assert claim is not None
    return claim.surplus or "" if claim.configuration is None else points(claim.configuration)


def tell(study: optuna.Study, trial: optuna.Trial, value: float) -> None:
    SPACE.suggest(trial)
    study.tell(trial, value)


def ended(study: optuna.Study) -> Counter[tuple[object, ...]]:
    """How often each configuration was evaluated from each lineage of weights."""
    trials = [t for t in study.trials if t.state == TrialState.COMPLETE]
    return Counter((points(t.params), *map(points, history.lineage_of(t) or ())) for t in trials)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base, "WAIT_S", 0.1)


# --- several asks ---


def test_several_asks_get_different_configurations() -> None:
    study = optuna.create_study(sampler=SFSASampler(choices(4)))
    trials = [study.ask() for _ in range(7)]
    # Round 1 is certain, so it may begin before the baseline has ended; what follows depends on it.
    assert [claimed(trial) for trial in trials] == [(), (1,), (2,), (3,), (4,), "waiting", "waiting"]
    assert [history.surplus_reason(trial) for trial in trials[5:]] == ["waiting"] * 2
    with pytest.raises(optuna.TrialPruned, match="being evaluated by others"):
        SPACE.suggest(trials[5])


@pytest.mark.parametrize("inherit", ["parent", "baseline"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_nothing_inherits_from_what_is_not_trained(sampler: Callable[..., SearchSampler], inherit: str) -> None:
    study = optuna.create_study(sampler=sampler(choices(4), inherit=inherit))
    first, second = study.ask(), study.ask()
    assert [claimed(first), claimed(second)] == [(), "waiting"]
    tell(study, first, planted(first))
    assert claimed(study.ask()) == (1,)


def test_speculation_grows_the_best_known_candidate() -> None:
    sampler = SFSASampler(choices(4))
    study = optuna.create_study(sampler=sampler)
    trials = [study.ask() for _ in range(5)]
    for trial in trials[:3]:  # the baseline, {1} .61, {2} .52
        tell(study, trial, planted(trial))
    guesses = [study.ask() for _ in range(4)]
    assert [claimed(trial) for trial in guesses] == [(1, 2), (2, 3), (2, 4), "waiting"]
    tell(study, guesses[0], planted(guesses[0]))
    tell(study, trials[3], 0.1)  # {3} turns out better: what grew from {2} was in vain
    tell(study, trials[4], planted(trials[4]))
    assert [claimed(study.ask()) for _ in range(2)] == [(1, 3), (3, 4)]  # {2, 3} is being evaluated
    state = sampler.state(study)
    assert [points(c) for c in state.path] == [(), (3,)]
    assert (state.used, state.in_vain, state.surplus) == ((0, 1, 2, 3, 4), (5,), (8,))


def test_speculation_from_a_parent_that_lost_is_evaluated_again_where_weights_are_inherited() -> None:
    study = optuna.create_study(sampler=SFSASampler(choices(3), inherit="parent"))
    trials = [study.ask()]
    tell(study, trials[0], 0.9)
    trials += [study.ask() for _ in range(3)]
    tell(study, trials[1], 0.5)
    guess = study.ask()
    assert (claimed(guess), points(history.parent_of(guess) or {})) == ((1, 2), (1,))
    tell(study, guess, 0.4)
    tell(study, trials[2], 0.3)
    tell(study, trials[3], 0.8)
    again = study.ask()
    assert (claimed(again), points(history.parent_of(again) or {})) == ((1, 2), (2,))


def test_no_speculation_where_it_cannot_be_right() -> None:
    study = optuna.create_study(sampler=SFSASampler(choices(4)))
    trials = [study.ask() for _ in range(5)]
    tell(study, trials[0], 0.1)
    tell(study, trials[1], 0.5)  # worse than the baseline: if the search goes on, then not from here
    assert claimed(study.ask()) == "waiting"
    beam = optuna.create_study(sampler=BeamSampler(choices(4), width=2))
    trials = [beam.ask() for _ in range(5)]
    tell(beam, trials[0], 0.1)
    tell(beam, trials[1], 0.5)  # but it may be the second of a round that goes on
    assert claimed(beam.ask()) == (1, 2)


def test_speculation_can_be_switched_off() -> None:
    sampler = SFSASampler(choices(4), speculate=False)
    study = optuna.create_study(sampler=sampler)
    first = study.ask()
    assert sampler.outlook(study) == "waiting"
    assert claimed(study.ask()) == "waiting"
    tell(study, first, planted(first))
    assert [claimed(study.ask()) for _ in range(5)] == [(1,), (2,), (3,), (4,), "waiting"]


def test_an_ask_waits_for_a_result_of_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base, "WAIT_S", 30.0)
    study = optuna.create_study(sampler=SFSASampler(choices(4), inherit="parent"))
    first = study.ask()
    timer = threading.Timer(0.2, lambda: tell(study, first, 0.9))
    timer.start()
    assert claimed(study.ask()) == (1,)
    timer.join()


def test_decisions_are_made_in_the_order_of_trial_numbers() -> None:
    study = optuna.create_study(sampler=SFSASampler(choices(4)))
    first_id = study._storage.create_new_trial(study._study_id)  # has its number, not yet its claim
    second: list[optuna.Trial] = []
    thread = threading.Thread(target=lambda: second.append(study.ask()))
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive()
    first = optuna.Trial(study, first_id)
    thread.join()
    assert [claimed(first), claimed(second[0])] == [(), (1,)]


def test_a_silent_trial_is_taken_for_foreign_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "UNCLAIMED_S", 0.3)
    study = optuna.create_study(sampler=SFSASampler(choices(4)))
    study._storage.create_new_trial(study._study_id)
    started = time.monotonic()
    assert claimed(study.ask()) == ()
    assert 0.3 <= time.monotonic() - started < 5
    started = time.monotonic()
    assert claimed(study.ask()) == (1,)
    assert time.monotonic() - started < 0.3


def test_who_was_taken_for_dead_decides_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "UNCLAIMED_S", 0.2)
    monkeypatch.setattr(_base, "_SLOW_S", 0.0)
    study = optuna.create_study(sampler=SFSASampler(choices(4)))
    slow_id = study._storage.create_new_trial(study._study_id)
    sampler = SFSASampler(choices(4))
    other = optuna.load_study(study_name=study.study_name, storage=study._storage, sampler=sampler)
    write, asked = history.write_claim, []

    def stalled(study: optuna.Study, trial: optuna.trial.FrozenTrial, claim: history.Claim) -> None:
        if not asked:  # between the slow trial's decision and its claim, another one decides
            asked.append(None)
            asked.append(other.ask())
        write(study, trial, claim)

    monkeypatch.setattr(history, "write_claim", stalled)
    slow = optuna.Trial(study, slow_id)
    assert [claimed(asked[1]), claimed(slow)] == [(), (1,)]  # type: ignore[arg-type]


def test_a_torn_read_does_not_hide_a_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(storage=sqlite(tmp_path), sampler=SFSASampler(choices(4)), study_name="shared")
    SPACE.suggest(study.ask())

    def torn(*args: object, **options: object) -> list[optuna.trial.FrozenTrial]:
        trials = read(*args, **options)  # type: ignore[arg-type]
        # Attributes were read first, then the claim and the parameters were written, then parameters were read.
        torn_ones = [copy.copy(trial) for trial in trials]
        for trial in torn_ones:
            trial.user_attrs = {}
        return torn_ones

    other = optuna.load_study(study_name="shared", storage=sqlite(tmp_path), sampler=SFSASampler(choices(4)))
    read = other._storage.get_all_trials
    monkeypatch.setattr(other._storage, "get_all_trials", torn)
    assert claimed(other.ask()) == (1,)


def test_a_trial_object_made_anew_keeps_its_claim() -> None:
    study = optuna.create_study(sampler=SFSASampler(choices(4)))
    trial = study.ask()
    study.ask()
    again = optuna.Trial(study, trial._trial_id)
    assert claimed(again) == ()
    assert points(SPACE.suggest(again)) == ()


# --- threads and processes ---


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
@pytest.mark.parametrize("sampler", SAMPLERS)
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


@pytest.mark.parametrize("sampler", SAMPLERS)
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
