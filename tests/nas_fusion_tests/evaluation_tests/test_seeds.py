"""Several training seeds a fold, and the null move: what they train, inherit, keep, report and cost."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from nas_fusion import Configuration, EvaluationWorker, SearchSpace, history
from nas_fusion.evaluation.prediction import cross_entropy_of, predict_logits
from nas_fusion.evaluation.stage import cross_entropy
from nas_fusion.samplers.ledger import Ledger
from tests.nas_fusion_tests.evaluation_tests.test_stages import TwoStages
from tests.nas_fusion_tests.evaluation_tests.tiny import FIRST, OFF, SECOND, TinySpace, tiny_cohort

COHORT = tiny_cohort()
FOLDED = tiny_cohort(folds=2)


def worker(space: SearchSpace | None = None, cohort: Any = FOLDED, seeds: int = 2, **options: Any) -> EvaluationWorker:
    return EvaluationWorker(space or TinySpace(), cohort, device="cpu", seeds=seeds, **options)


# --- training seeds ---


def test_one_seed_is_what_it_was_before_there_were_several() -> None:
    # The key of this recipe before training seeds existed: what earlier versions stored is still found.
    assert worker(seeds=1).key(FIRST, lineage=(OFF,)) == "b5d3e2b3bc08ba15ec532064639bc27a"
    assert worker(seeds=2).key(OFF) != worker(seeds=1).key(OFF) != worker(seeds=3).key(OFF)


def test_the_first_seed_trains_what_one_seed_trains_and_the_second_something_else() -> None:
    one, two = worker(seeds=1), worker()
    for configuration, lineage in ((OFF, ()), (FIRST, (OFF,))):
        single, several = one.evaluate(configuration, lineage=lineage), two.evaluate(configuration, lineage=lineage)
        assert several.curves[::2] == single.curves and several.epochs[::2] == single.epochs
        assert not set(several.curves[1::2]) & set(single.curves)
    assert len(set(several.curves)) == 4


def test_the_value_is_the_mean_over_folds_and_seeds() -> None:
    ours = worker()
    evaluation = ours.evaluate(FIRST, lineage=(OFF,))
    of_training = [min(curve) for curve in evaluation.curves]
    assert evaluation.seeds == 2 and len(of_training) == len(evaluation.epochs) == 4
    assert evaluation.fold_losses == pytest.approx([np.mean(of_training[:2]), np.mean(of_training[2:])])
    assert evaluation.losses == evaluation.fold_losses and evaluation.value == pytest.approx(np.mean(of_training))
    assert evaluation.standard_error == pytest.approx(abs(np.diff(evaluation.fold_losses)[0]) / 2)
    predictions = ours.store.predictions(evaluation.key)
    assert predictions.seed is not None and len(predictions.subjects) == 2 * 45
    for number, loss in enumerate(of_training):
        rows = (predictions.fold == number // 2) & (predictions.seed == number % 2)
        assert predictions.losses[rows].mean() == pytest.approx(loss)
    accuracy = (predictions.probabilities.argmax(axis=1) == predictions.labels).astype(float)
    for fold in range(2):
        assert evaluation.metrics["accuracy"][fold] == pytest.approx(accuracy[predictions.fold == fold].mean())
    assert evaluation.cost["epochs"] == 4 * 4 and evaluation.cost["lineage_epochs"] == 2 * 4 * 4
    assert ours.store.get(evaluation.key) == replace(evaluation, trained=False)


def test_where_there_is_one_fold_the_losses_are_those_of_the_seeds() -> None:
    evaluation = worker(cohort=COHORT, seeds=3).evaluate(OFF)
    losses = [min(curve) for curve in evaluation.curves]
    assert evaluation.losses == tuple(losses) and len(evaluation.fold_losses) == 1
    assert evaluation.standard_error == pytest.approx(np.std(losses, ddof=1) / math.sqrt(3))
    assert math.isnan(worker(cohort=COHORT, seeds=1).evaluate(OFF).standard_error)


def test_a_child_inherits_from_its_parents_training_on_the_same_fold_and_seed() -> None:
    ours = worker()
    parent = ours.evaluate(OFF)
    recipe = ours._book.of(FIRST, (OFF,))
    for number in range(4):
        fold, seed = divmod(number, 2)
        model, taken = ours._trainer.build(
            recipe, recipe.stages[0], ours._trainer.offered(recipe, recipe.stages[0], {}, (fold, seed)), seed
        )
        data = ours._trainer.folds[fold]
        logits = predict_logits(model, data.cohort, data.validation, ours._placement)
        loss = cross_entropy_of(logits, data.cohort.labels[data.validation])
        assert loss == parent.curves[number][parent.epochs[number] - 1]
        assert not taken.unused


def test_predictions_average_over_folds_and_seeds() -> None:
    ours, test = worker(), FOLDED.subset(FOLDED.splits.test)  # type: ignore[union-attr]
    key = ours.evaluate(FIRST).key
    each = []
    for fold, seed in ((0, 0), (0, 1), (1, 0), (1, 1)):
        model = ours.space.build(Configuration(FIRST), FOLDED.inputs)
        model.load_state_dict(ours.store.weights(key, fold, seed))
        with torch.no_grad():
            each.append(model.eval()(test.modalities).softmax(dim=1).double().numpy())
    said = ours.predict([key], test)
    assert said.subjects == test.subjects and said.seed is None
    assert np.allclose(said.probabilities, np.mean(each, axis=0), atol=1e-6)
    assert len({probabilities.tobytes() for probabilities in each}) == 4


def test_an_ensemble_averages_seed_by_seed() -> None:
    ours = worker()
    evaluation = ours.evaluate_reference("ensemble_of_placements")
    said = [ours.store.predictions(key) for key in ours.members("ensemble_of_placements")]
    mean = ours.store.predictions(evaluation.key)
    assert np.allclose(mean.probabilities, (said[0].probabilities + said[1].probabilities) / 2)
    assert evaluation.value == pytest.approx(np.mean([mean.losses[mean.fold == fold].mean() for fold in range(2)]))


def test_stages_are_shared_seed_by_seed() -> None:
    space = TwoStages()
    ours = worker(space)
    one = ours.evaluate(FIRST)
    space.trained.clear()
    shared = ours.evaluate(SECOND)
    assert set(space.trained) == {"fusion"} and one.cost["epochs"] == 4 * 6 and shared.cost["epochs"] == 4 * 2
    recipe = ours._book.of(FIRST)
    streams = [ours.store.weights(ours._book.stage_key(recipe, 0, 0, seed))["heads.0.weight"] for seed in (0, 1)]
    assert not torch.equal(*streams)
    again = worker(space, seeds=1, store=ours.store).evaluate(FIRST)  # the first seed's streams are those of one seed
    assert again.cost["epochs"] == 2 * 2 and again.curves == one.curves[::2]


def test_seeds_must_be_at_least_one() -> None:
    with pytest.raises(ValueError, match="`seeds` must be at least 1, but got 0"):
        worker(seeds=0)


# --- what is written on a trial ---


@pytest.mark.parametrize(("cohort", "seeds"), [(FOLDED, 2), (COHORT, 3)], ids=["folds", "one fold"])
def test_losses_are_written_as_they_come_and_reported(cohort: Any, seeds: int) -> None:
    written: list[tuple[float, ...]] = []

    class Looking(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            written.append(history.losses_of(study._storage.get_trial(trial._trial_id)))
            return False

    ours, study = worker(cohort=cohort, seeds=seeds), optuna.create_study(pruner=Looking())
    study.enqueue_trial(FIRST)
    study.optimize(ours, n_trials=1)
    evaluation = history.read_evaluation(study.trials[0], ours.space)
    assert evaluation is not None
    losses = history.losses_of(study.trials[0])
    assert losses == evaluation.losses and len(losses) == (2 if cohort is FOLDED else 3)
    assert written == [pytest.approx(losses[:n]) for n in range(1, len(losses) + 1)]
    means = {n: np.mean(losses[: n + 1]) for n in range(len(losses))}
    assert study.trials[0].intermediate_values == pytest.approx(means)


def test_what_a_pruned_training_cost_is_written() -> None:
    class AfterTheFirst(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return True

    ours, study = worker(), optuna.create_study(pruner=AfterTheFirst())
    study.enqueue_trial(OFF)
    study.optimize(ours, n_trials=1)
    assert history.spent_of(study.trials[0]) == {"epochs": 2 * 4, "samples": 2 * 4 * 22}
    assert len(history.losses_of(study.trials[0])) == 1
    single = worker(TwoStages(), cohort=COHORT, seeds=1)
    study = optuna.create_study(pruner=AfterTheFirst())
    study.enqueue_trial(FIRST)
    study.optimize(single, n_trials=1)
    assert history.spent_of(study.trials[0]) == {"epochs": 5, "samples": 5 * 33}  # four of the first stage, one of the last


def test_what_trainings_cost_that_fail_or_are_not_finite_is_written() -> None:
    def broken(factor: float, error: bool) -> TinySpace:
        def loss(model: Any, batch: Any) -> torch.Tensor:
            if error:
                raise RuntimeError("broken")
            return cross_entropy(model, batch) * factor

        return TinySpace(edit=lambda stages: [replace(stages[0], loss=loss)])

    study = optuna.create_study()
    for space, expected in ((broken(math.nan, False), 1), (broken(1.0, True), 0)):
        study.enqueue_trial(OFF)
        study.optimize(worker(space), n_trials=1, catch=RuntimeError)
        assert history.spent_of(study.trials[-1])["epochs"] == expected
    assert history.spent_of(optuna.create_study().ask()._get_latest_trial()) == {}


# --- the null move ---


def test_a_control_trains_its_configuration_on_from_its_own_weights() -> None:
    ours = worker()
    parent, control = ours.evaluate(FIRST, lineage=(OFF,)), ours.evaluate(FIRST, lineage=(OFF, FIRST))
    assert control.key != parent.key and control.is_control and not parent.is_control
    assert control.configuration == FIRST and control.lineage == (Configuration(OFF), Configuration(FIRST))
    for number, details in enumerate(ours.store.details(control.key)["folds"]):
        taken = details["inherited"]["train"]
        assert taken["fresh"] == taken["unused"] == []
        before, after = (ours.store.weights(e.key, *divmod(number, 2)) for e in (parent, control))
        assert before.keys() == after.keys() == set(taken["taken"])
    assert control.cost["epochs"] == 16 and control.cost["lineage_epochs"] == 3 * 16
    assert control.cost["inherited_parameters"] == control.cost["parameters"]


def test_a_control_starts_from_exactly_its_parents_loss_and_sees_its_rivals_batches() -> None:
    ours = worker(plan={"learning_rate": 0.0, "weight_decay": 0.0}, cohort=COHORT, seeds=1)
    book = ours._book
    control, rival = book.of(OFF, (OFF,)), book.of(FIRST, (OFF,))
    (stage,) = control.stages
    assert book.order_seed(control, stage, 0) == book.order_seed(rival, rival.stages[0], 0)
    parameters = dict(ours.space.build(Configuration(OFF), COHORT.inputs).named_parameters())
    one, other = ours.store.weights(ours.evaluate(OFF).key), ours.store.weights(ours.evaluate(OFF, lineage=(OFF,)).key)
    assert all(torch.equal(one[name], other[name]) for name in parameters)  # nothing is learnt: A's weights, not fresh ones


def test_a_control_is_the_inherited_node_of_its_claim() -> None:
    space, study, first = TinySpace(), optuna.create_study(), Configuration(FIRST)
    study.enqueue_trial(FIRST)
    trial = study.ask()
    history.write_claim(
        study, study._storage.get_trial(trial._trial_id), history.Claim(first, first, (space.baseline, first), 2)
    )
    ours = worker(space, cohort=COHORT, seeds=1)
    value = ours(trial)
    study.tell(trial, value)
    evaluation = history.read_evaluation(study.trials[0], space)
    assert evaluation is not None and evaluation.is_control and evaluation.value == value
    ledger = Ledger(space, inherit="parent", max_retries=0, direction=study.direction)
    ledger.read(study._storage, study._study_id)
    (key,) = ledger.settled()
    assert key.configuration == key.parent == space.index(first)
