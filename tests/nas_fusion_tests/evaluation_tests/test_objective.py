"""The worker as an objective of Optuna: what is written on trials, pruners, threads."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from nas_fusion import Configuration, EvaluationWorker, SearchSpace, Stage, history
from nas_fusion.evaluation import Store
from nas_fusion.evaluation.stage import cross_entropy
from tests.nas_fusion_tests.evaluation_tests.tiny import BOTH, FIRST, OFF, SECOND, TinySpace, tiny_cohort

COHORT = tiny_cohort()
FOLDED = tiny_cohort(folds=3)


def worker(space: SearchSpace | None = None, cohort: Any = COHORT, **options: Any) -> EvaluationWorker:
    return EvaluationWorker(space or TinySpace(), cohort, device="cpu", **options)


def test_an_evaluation_is_written_on_its_trial() -> None:
    ours = worker()
    study = optuna.create_study()
    study.enqueue_trial(FIRST)
    study.optimize(ours, n_trials=1)
    written = history.read_evaluation(study.trials[0], ours.space)
    stored = ours.store.get(ours.key(FIRST, lineage=(OFF,)))
    assert written is not None and stored is not None
    assert replace(written, trained=False) == stored
    assert study.best_value == stored.value
    assert list(study.trials[0].intermediate_values.values()) == list(stored.curves[0])
    assert list(study.trials[0].intermediate_values) == [1, 2, 3, 4]
    metas = optuna.artifacts.get_all_artifact_meta(study_or_trial=study.trials[0], storage=study._storage)
    assert {meta.filename for meta in metas} == set(ours.store.names(stored.key))


def test_the_lineage_that_a_sampler_wrote_decides() -> None:
    from nas_fusion import SFSASampler

    ours = worker()
    study = optuna.create_study(sampler=SFSASampler(ours.space, patience=2))
    study.optimize(ours)
    for trial in study.trials:
        evaluation = history.read_evaluation(trial, ours.space)
        assert evaluation is not None and evaluation.lineage == history.lineage_of(trial)
    assert [len(history.lineage_of(trial) or ()) for trial in study.trials] == [0, 1, 1, 2]


def test_folds_are_the_steps_of_a_trial_with_folds() -> None:
    ours = worker(cohort=FOLDED)
    trial = optuna.create_study().ask()
    ours(trial)
    evaluation = ours.store.get(ours.key(ours.space.suggest(trial), lineage=ours.lineage(ours.space.suggest(trial))))
    assert evaluation is not None
    reported = trial.storage.get_trial(trial._trial_id).intermediate_values
    means = [np.mean(evaluation.fold_losses[: fold + 1]) for fold in range(3)]
    assert reported == pytest.approx(dict(enumerate(means)))


@pytest.mark.parametrize("cohort", [COHORT, FOLDED], ids=["split", "folds"])
def test_pruners_work_and_prune_the_same_when_the_store_answers(cohort: Any) -> None:
    def run(store: Store) -> list[tuple[str, dict[int, float]]]:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=0)
        study = optuna.create_study(pruner=pruner)
        for configuration in (BOTH, OFF, FIRST, SECOND):
            study.enqueue_trial(configuration)
        study.optimize(worker(cohort=cohort, store=store), n_trials=4)
        return [(trial.state.name, trial.intermediate_values) for trial in study.trials]

    store = Store()
    first = run(store)
    assert {"COMPLETE", "PRUNED"} == {state for state, _ in first}
    full = worker(cohort=cohort, store=store)
    for configuration in (BOTH, OFF, FIRST, SECOND):
        full.evaluate(configuration, lineage=full.lineage(configuration))
    assert run(store) == first


def test_what_is_pruned_is_not_stored() -> None:
    class Never(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return True

    ours = worker()
    study = optuna.create_study(pruner=Never())
    study.enqueue_trial(OFF)
    study.optimize(ours, n_trials=1)
    assert study.trials[0].state.name == "PRUNED"
    assert not ours.store.has(ours.key(OFF))


def test_a_loss_that_is_not_finite_is_marked() -> None:
    def broken(stages: list[Stage]) -> list[Stage]:
        return [replace(stages[0], loss=lambda model, batch: cross_entropy(model, batch) * math.nan)]

    ours = worker(TinySpace(edit=broken))
    study = optuna.create_study()
    study.enqueue_trial(OFF)
    study.optimize(ours, n_trials=1)
    assert study.trials[0].state.name == "FAIL" and history.is_non_finite(study.trials[0])
    assert not ours.store.has(ours.key(OFF)) and math.isnan(ours.evaluate(OFF).value)
    with pytest.raises(ValueError, match="`lineage` must have finite losses, but that of Configuration"):
        ours.evaluate(FIRST, lineage=(OFF,))


def test_threads_take_turns_and_change_nothing() -> None:
    expected = {}
    for configuration in (OFF, FIRST, SECOND, BOTH):
        alone = worker()
        expected[Configuration(configuration)] = alone.evaluate(configuration, lineage=alone.lineage(configuration)).value
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    ours, study = worker(), optuna.create_study()
    study.optimize(ours, n_trials=12, n_jobs=2)
    assert {Configuration(trial.params): trial.value for trial in study.trials}.items() <= expected.items()
    written = [history.read_evaluation(trial, ours.space) for trial in study.trials]
    trained = [evaluation.configuration for evaluation in written if evaluation is not None and evaluation.trained]
    assert len(trained) == len(set(trained))
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)


def test_numbers_do_not_depend_on_torchs_generator_or_threads() -> None:
    first = worker().evaluate(FIRST, lineage=(OFF,))
    results = []

    def in_another_thread() -> None:
        torch.set_num_threads(2)
        results.append(worker().evaluate(FIRST, lineage=(OFF,)))

    with torch.random.fork_rng([]):
        torch.manual_seed(99)
        thread = threading.Thread(target=in_another_thread)
        thread.start()
        thread.join()
    assert results[0].curves == first.curves
