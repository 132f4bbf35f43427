"""Claims: what several asks do to one study."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from nas_fusion import history
from nas_fusion.samplers import BeamSampler, SearchSampler, SFSASampler, _base, ledger
from tests.nas_fusion_tests.samplers_tests.landscapes import UPWARDS, choices, planted, points
from tests.nas_fusion_tests.samplers_tests.studies import SPACE, claimed, sqlite, tell

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base, "WAIT_S", 0.1)


def test_several_asks_get_different_configurations() -> None:
    study = optuna.create_study(sampler=SFSASampler(choices(4)))
    trials = [study.ask() for _ in range(7)]
    # Round 1 is certain, so it may begin before the baseline has ended; what follows depends on it.
    assert [claimed(trial) for trial in trials] == [(), (1,), (2,), (3,), (4,), "waiting", "waiting"]
    assert [history.surplus_reason(trial) for trial in trials[5:]] == ["waiting"] * 2
    with pytest.raises(optuna.TrialPruned, match="being evaluated by others"):
        SPACE.suggest(trials[5])


@pytest.mark.parametrize("inherit", ["parent", "baseline"])
@pytest.mark.parametrize("sampler", UPWARDS)
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
