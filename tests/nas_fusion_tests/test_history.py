from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from nas_fusion import history
from nas_fusion.process import Process
from nas_fusion.record import Evaluation
from nas_fusion.space import Configuration, SearchSpace

SPACE = SearchSpace({"layer1": ["none", "mmtm"], "layer2": ["none", "mmtm"]})
FIRST, BOTH = SPACE.complete({"layer1": "mmtm"}), SPACE.complete({"layer1": "mmtm", "layer2": "mmtm"})
EVALUATION = Evaluation(
    key="abc",
    value=0.25,
    fold_losses=(0.2, 0.3),
    metrics={"accuracy": (0.9, 0.8), "auc": (1.0, 0.5)},
    cost={"parameters": 10.0, "seconds": 1.5},
    configuration=BOTH,
    lineage=(SPACE.baseline, FIRST),
    epochs=(3, 7),
    curves=((0.5, 0.2), (0.6, 0.3, 0.31)),
    device="cuda:0",
    versions={"torch": "2.8"},
    trained=False,
)


@pytest.fixture(params=["memory", "sqlite", "journal"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    """A study whose sampler writes nothing, on each kind of storage."""
    storage: str | optuna.storages.BaseStorage | None = None
    if request.param == "sqlite":
        storage = f"sqlite:///{tmp_path / 'study.db'}"
    elif request.param == "journal":
        backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
        storage = optuna.storages.JournalStorage(backend)
    return optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))


def asked(study: optuna.Study, claim: history.Claim | None) -> optuna.Trial:
    trial = study.ask()
    if claim is not None:
        history.write_claim(study, study._storage.get_trial(trial._trial_id), claim)
    return trial


@pytest.mark.parametrize(
    "claim",
    [
        history.Claim(SPACE.baseline, None, (), 0),
        history.Claim(BOTH, FIRST, (SPACE.baseline, FIRST), 2),
        history.Claim(BOTH, SPACE.baseline),
        history.Claim(surplus="waiting"),
        history.Claim(),
    ],
)
def test_claims_come_back_from_the_storage(study: optuna.Study, claim: history.Claim) -> None:
    trial = asked(study, claim)
    for read in (trial, study.trials[0]):
        assert history.claim_of(read) == claim
        assert history.parent_of(read) == claim.parent
        assert history.lineage_of(read) == (None if claim.configuration is None else claim.lineage)
        assert history.surplus_reason(read) == claim.surplus
        assert history.is_surplus(read) == (claim.surplus is not None)
        assert history.is_own_claim(read)


def test_nothing_is_written_on_trials_of_others(study: optuna.Study) -> None:
    trial = asked(study, None)
    for read in (trial, study.trials[0], optuna.trial.FixedTrial({"layer1": "mmtm"})):
        assert history.claim_of(read) is None
        assert history.parent_of(read) is None
        assert history.lineage_of(read) is None
        assert not history.is_surplus(read)
    assert not history.is_dead(study.trials[0])


def test_a_copied_claim_is_not_the_trials_own(study: optuna.Study) -> None:
    asked(study, history.Claim(surplus="complete"))
    asked(study, history.Claim(BOTH, FIRST))
    for original in study.trials[:2]:
        study.add_trial(optuna.create_trial(state=TrialState.WAITING, user_attrs=original.user_attrs))
    surplus, copied = study.trials[2:]
    assert not history.is_surplus(surplus)
    assert not history.is_own_claim(copied)
    assert history.parent_of(copied) == FIRST


def test_evaluations_come_back_from_the_storage(study: optuna.Study) -> None:
    trial = study.ask()
    SPACE.suggest(trial)
    history.write_evaluation(trial, EVALUATION)
    assert history.read_evaluation(study.trials[0], SPACE) is None  # not told yet
    study.tell(trial, EVALUATION.value)
    read = history.read_evaluation(study.trials[0], SPACE)
    assert read is not None
    expected = {**EVALUATION.__dict__, "configuration": SPACE.canonical(study.trials[0].params)}
    assert read.__dict__ == expected


def test_no_evaluation_was_written(study: optuna.Study) -> None:
    study.optimize(lambda trial: float(len(SPACE.suggest(trial))), n_trials=1)
    assert history.read_evaluation(study.trials[0], SPACE) is None


def test_losses_come_back_from_the_storage(study: optuna.Study) -> None:
    trial = study.ask()
    assert history.losses_of(study.trials[0]) == ()
    history.write_losses(trial, [0.25, 0.5])
    assert history.losses_of(study.trials[0]) == (0.25, 0.5)
    for wrong in ([], [float("nan"), 0.5]):
        with pytest.raises(ValueError, match=r"`losses` must be finite numbers, at least one, but got \["):
            history.write_losses(trial, wrong)


def test_a_ranking_comes_back_from_the_storage(study: optuna.Study) -> None:
    assert history.ranking_of(study) is None
    history.write_ranking(study, {"configurations": [({"layer1": "mmtm"}, 0.75)], "cost": {"epochs": 3}, "key": "abc"})
    expected = {"configurations": [[{"layer1": "mmtm"}, 0.75]], "cost": {"epochs": 3}, "key": "abc"}
    assert history.ranking_of(study) == expected


def test_all_attributes_have_the_prefix(study: optuna.Study) -> None:
    trial = asked(study, history.Claim(SPACE.baseline))
    history.write_evaluation(trial, EVALUATION)
    history.mark_non_finite(trial, float("nan"))
    names = study.trials[0].user_attrs
    assert all(name.startswith("nas_fusion:") for name in names)
    assert {"nas_fusion:key", "nas_fusion:fold_losses", "nas_fusion:metrics", "nas_fusion:cost"} <= names.keys()


def test_non_finite_marks(study: optuna.Study) -> None:
    trial = study.ask()
    assert not history.is_non_finite(study.trials[0])
    history.mark_non_finite(trial, float("-inf"))
    assert history.is_non_finite(study.trials[0])


def test_dead_trials_are_failed_and_others_left_alone(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign, mine = asked(study, None), asked(study, history.Claim(FIRST))
    here = Process.current().host
    for process in (Process(here, 2**22 + 1, 1), Process("elsewhere", 2**22 + 1, 1)):
        with monkeypatch.context() as patch:
            patch.setattr(Process, "current", classmethod(lambda cls, process=process: process))
            asked(study, history.Claim(BOTH))
    assert history.fail_dead_trials(study) == [2]
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING] * 2 + [TrialState.FAIL, TrialState.RUNNING]
    assert [history.is_abandoned(trial) for trial in study.trials] == [False, False, True, False]
    study.tell(mine, 0.5)
    assert not history.abandon(study, mine)
    assert history.abandon(study, foreign)
    assert history.is_abandoned(study.trials[0])


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"layer1": "mmtm", "layer2": "none"}, FIRST),
        ({"layer2": "none", "layer1": "mmtm", "learning_rate": 0.1}, FIRST),
        ({"layer1": "mmtm"}, None),
        ({"layer1": "mmtm", "layer2": "sum"}, None),
        ({}, None),
    ],
)
def test_configuration_of_parameters(parameters: dict[str, object], found: Configuration | None) -> None:
    assert history.configuration_of(parameters, SPACE) == found


def test_a_study_is_described_once(study: optuna.Study) -> None:
    assert history.description(study) is None
    history.describe(study, {"seed": 0, "shape": (32, 32), "plan": {"epochs": 5}})
    stored = {"seed": 0, "shape": [32, 32], "plan": {"epochs": 5}}
    assert history.description(study) == stored
    history.describe(study, stored)
    with pytest.raises(ValueError, match="`study` must be resumed as it was made: the study was made with seed=0, but seed=1"):
        history.describe(study, {**stored, "seed": 1})
    assert history.description(study) == stored
