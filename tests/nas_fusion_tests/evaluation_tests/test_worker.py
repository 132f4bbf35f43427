"""The worker as a whole: values, inheritance, batches, costs, references and predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from torch import nn

from nas_fusion import Batch, Configuration, EvaluationWorker, SearchSpace, Stage, TrainingPlan
from nas_fusion.cohorts import Fold, Splits
from nas_fusion.evaluation.prediction import cross_entropy_of, predict_logits
from nas_fusion.evaluation.stage import cross_entropy
from tests.nas_fusion_tests.evaluation_tests.tiny import BOTH, FIRST, OFF, PLAN, SECOND, Net, TinySpace, tiny_cohort

COHORT = tiny_cohort()
FOLDED = tiny_cohort(folds=3)


def worker(space: SearchSpace | None = None, cohort: Any = COHORT, **options: Any) -> EvaluationWorker:
    return EvaluationWorker(space or TinySpace(), cohort, device="cpu", **options)


# --- values ---


@pytest.mark.parametrize("cohort", [COHORT, FOLDED], ids=["split", "folds"])
def test_the_evaluation_agrees_with_its_predictions(cohort: Any) -> None:
    ours = worker(cohort=cohort)
    evaluation = ours.evaluate(FIRST, lineage=(OFF,))
    predictions = ours.store.predictions(evaluation.key)
    folds = len(cohort.splits.folds)
    assert len(evaluation.fold_losses) == len(evaluation.epochs) == len(evaluation.curves) == folds
    assert evaluation.value == pytest.approx(np.mean(evaluation.fold_losses))
    for fold, division in enumerate(cohort.splits.folds):
        rows = predictions.fold == fold
        assert tuple(np.array(predictions.subjects)[rows]) == division.validation
        assert evaluation.fold_losses[fold] == pytest.approx(predictions.losses[rows].mean())
        assert (
            evaluation.fold_losses[fold] == min(evaluation.curves[fold]) == evaluation.curves[fold][evaluation.epochs[fold] - 1]
        )
        accuracy = (predictions.probabilities[rows].argmax(axis=1) == predictions.labels[rows]).mean()
        assert evaluation.metrics["accuracy"][fold] == pytest.approx(accuracy)
    assert predictions.labels.tolist() == cohort.labels[cohort.positions(predictions.subjects)].tolist()
    assert evaluation.trained and evaluation.configuration == FIRST and evaluation.lineage == (Configuration(OFF),)
    assert evaluation.device == "cpu" and evaluation.versions["torch"] == torch.__version__


def test_a_known_key_is_answered_and_not_trained() -> None:
    epochs: list[int] = []
    ours = worker()
    first = ours.evaluate(FIRST, lineage=(OFF,), on_epoch=lambda fold, epoch, loss: epochs.append(epoch))
    assert epochs == [1, 2, 3, 4]
    again = worker(store=ours.store).evaluate(FIRST, lineage=(OFF,), on_epoch=lambda fold, epoch, loss: epochs.append(epoch))
    assert epochs == [1, 2, 3, 4]
    assert again == replace(first, trained=False)


def test_costs_count_the_lineage() -> None:
    evaluation = worker(plan={"inherited_epochs": 2}).evaluate(BOTH, lineage=(OFF, FIRST))
    model = Net(BOTH, COHORT.inputs)
    assert evaluation.cost["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert (evaluation.cost["epochs"], evaluation.cost["lineage_epochs"]) == (2, 4 + 2 + 2)
    assert (evaluation.cost["samples"], evaluation.cost["lineage_samples"]) == (2 * 33, 8 * 33)
    linear = 8 * 5 + 8 * 3 + 2 * 8 * 8 + 2 * 2 * 8 + 2 * 8 * 8
    assert evaluation.cost["flops"] == 2 * linear
    assert evaluation.cost["inherited_parameters"] == evaluation.cost["parameters"] - 8 * 8
    assert evaluation.cost["seconds"] > 0 and evaluation.cost["peak_memory"] > 1e6


# --- inheritance ---


def test_a_child_starts_with_exactly_its_parents_loss() -> None:
    ours = worker(cohort=FOLDED)
    parent = ours.evaluate(OFF)
    for child in (FIRST, SECOND):
        recipe = ours._book.of(child, (OFF,))
        for fold, data in enumerate(ours._trainer.folds):
            model, taken = ours._trainer.build(recipe, recipe.stages[0], ours.store.weights(parent.key, fold))
            logits = predict_logits(model, data.cohort, data.validation, ours._placement)
            assert cross_entropy_of(logits, data.cohort.labels[data.validation]) == parent.fold_losses[fold]
            assert all(name.startswith("exchanges") for name in taken.fresh) and not taken.unused


def test_what_was_inherited_is_recorded() -> None:
    ours = worker()
    evaluation = ours.evaluate(FIRST, lineage=(SECOND,))
    (fold,) = ours.store.details(evaluation.key)["folds"]
    inherited = fold["inherited"]["train"]
    assert inherited["fresh"] == ["exchanges.layer1.mix.weight"]
    assert inherited["unused"] == ["exchanges.layer2.mix.weight"]
    assert "first.0.1.running_mean" in inherited["taken"]
    assert ours.store.details(ours.key(SECOND))["folds"][0]["inherited"]["train"]["taken"] == []


def test_tensors_of_another_shape_are_not_inherited() -> None:
    class Growing(TinySpace):
        def stages(self, configuration: Any, inputs: Any) -> list[Stage]:
            chosen, width = Configuration(configuration), 8 if configuration["layer1"] == "none" else 9
            return [Stage("train", self.plan, lambda: Net(chosen, inputs, width), chosen)]

    ours = worker(Growing())
    inherited = ours.store.details(ours.evaluate(FIRST, lineage=(OFF,)).key)["folds"][0]["inherited"]["train"]
    assert sorted(inherited["taken"]) == sorted(
        ["heads.0.bias", "heads.1.bias", "first.0.1.num_batches_tracked", "first.1.1.num_batches_tracked"]
    )


def test_the_inherited_state_is_never_selected() -> None:
    ours = worker(TinySpace(edit=lambda stages: [replace(stages[0], loss=lambda model, batch: -cross_entropy(model, batch))]))
    parent, evaluation = ours.evaluate(OFF), ours.evaluate(FIRST, lineage=(OFF,))
    assert min(evaluation.curves[0]) > parent.value  # a loss that makes every epoch worse
    assert evaluation.epochs[0] >= 1 and evaluation.value == min(evaluation.curves[0])


def test_missing_ancestors_are_trained_first() -> None:
    ours = worker()
    ours.evaluate(BOTH, lineage=(OFF, FIRST))
    assert ours.store.has(ours.key(OFF)) and ours.store.has(ours.key(FIRST, lineage=(OFF,)))
    assert ours.evaluate(BOTH, lineage=(OFF, FIRST)).value != ours.evaluate(BOTH).value


# --- batches ---


class Spy:
    """A loss that writes down which subjects it is computed for."""

    def __init__(self, cohort: Any) -> None:
        self.subjects, self.batches = cohort.development().subjects, dict[int, list[tuple[str, ...]]]()

    def __call__(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        seen = tuple(self.subjects[i] for i in batch.index.tolist())
        self.batches.setdefault(id(model), []).append(seen)
        return cross_entropy(model, batch)

    def space(self) -> TinySpace:
        return TinySpace(edit=lambda stages: [replace(stages[0], loss=self)])


def batches_of(configuration: dict[str, str], *lineage: dict[str, str], **options: Any) -> list[tuple[str, ...]]:
    spy = Spy(COHORT)
    ours = worker(spy.space(), **options)
    if lineage:
        ours.evaluate(lineage[-1], lineage=lineage[:-1])
    spy.batches.clear()
    ours.evaluate(configuration, lineage=lineage)
    (batches,) = spy.batches.values()
    return batches


def test_candidates_of_one_round_see_the_same_batches() -> None:
    assert batches_of(FIRST, OFF) == batches_of(SECOND, OFF)
    assert batches_of(FIRST, OFF) != batches_of(FIRST)
    assert batches_of(BOTH, FIRST) != batches_of(BOTH, SECOND)
    assert batches_of(FIRST, OFF) != batches_of(FIRST, OFF, seed=1)


def test_each_epoch_sees_each_training_subject_once_and_nobody_else() -> None:
    batches = batches_of(FIRST)
    (fold,) = COHORT.splits.folds  # type: ignore[union-attr]
    assert len(batches) == 4 * 4
    for epoch in range(4):
        seen = [subject for batch in batches[4 * epoch : 4 * epoch + 4] for subject in batch]
        assert sorted(seen) == sorted(fold.train)


def test_no_model_ever_sees_a_test_subject() -> None:
    seen: list[torch.Tensor] = []

    class Watched(Net):
        def forward(self, inputs: Any, present: Any = None) -> torch.Tensor:
            seen.append(inputs["a"])
            return super().forward(inputs, present)

    class Space(TinySpace):
        def build(self, configuration: Any, inputs: Any) -> nn.Module:
            return Watched(configuration, inputs)

    cohort = tiny_cohort(folds=3)
    ours = worker(Space(), cohort=cohort)
    study = optuna.create_study()
    study.optimize(ours, n_trials=3)
    ours.estimate(BOTH)
    test = {tuple(row.tolist()) for row in cohort.modalities["a"][cohort.positions(cohort.splits.test)]}  # type: ignore[union-attr]
    rows = {tuple(row.tolist()) for batch in seen for row in batch}
    assert len(rows) == 45 and not rows & test
    assert len(ours.cohort) == 45 and ours.cohort.splits.test == ()  # type: ignore[union-attr]


# --- references and predictions ---


def test_an_ensemble_averages_probabilities_and_is_charged_with_its_members() -> None:
    ours = worker(cohort=FOLDED)
    evaluation = ours.evaluate_reference("ensemble_of_placements")
    members = [ours.store.get(key) for key in ours.members("ensemble_of_placements")]
    said = [ours.store.predictions(key).probabilities for key in ours.members("ensemble_of_placements")]
    predictions = ours.store.predictions(evaluation.key)
    assert np.allclose(predictions.probabilities, (said[0] + said[1]) / 2)
    assert evaluation.value == pytest.approx(np.mean([predictions.losses[predictions.fold == k].mean() for k in range(3)]))
    assert evaluation.cost["parameters"] == sum(member.cost["parameters"] for member in members if member)
    assert evaluation.cost["epochs"] == 2 * 3 * 4 and evaluation.cost["lineage_epochs"] == 3 * 3 * 4
    assert evaluation.reference == "ensemble_of_placements" and evaluation.configuration is None
    assert not ours.evaluate_reference("ensemble_of_placements").trained


def test_a_reference_is_trained_by_its_stages() -> None:
    ours = worker()
    evaluation = ours.evaluate_reference("alone:b")
    assert evaluation.key == ours.reference_key("alone:b") and evaluation.reference == "alone:b"
    assert evaluation.cost["parameters"] == 3 * 2 + 2
    late = ours.evaluate_reference("late_fusion")
    assert late.cost["epochs"] == 8 and late.cost["lineage_epochs"] == 8


def test_predictions_of_any_subjects() -> None:
    ours = worker(cohort=FOLDED)
    keys = [ours.evaluate(FIRST).key, ours.evaluate_reference("late_fusion").key]
    test = FOLDED.subset(FOLDED.splits.test)  # type: ignore[union-attr]
    together, each = ours.predict(keys, test), [ours.predict([key], test).probabilities for key in keys]
    assert together.subjects == test.subjects and together.labels.tolist() == test.labels.tolist()
    assert np.allclose(together.probabilities, (each[0] + each[1]) / 2)
    expected = []
    for fold in range(3):
        model = Net(FIRST, FOLDED.inputs)
        model.load_state_dict(ours.store.weights(keys[0], fold))
        with torch.no_grad():
            expected.append(model.eval()(test.modalities).softmax(dim=1).double().numpy())
    assert np.allclose(each[0], np.mean(expected, axis=0), atol=1e-6)


def test_predictions_of_validation_subjects_are_those_that_are_stored() -> None:
    ours = worker()
    key = ours.evaluate(FIRST, lineage=(OFF,)).key
    stored = ours.store.predictions(key)
    again = ours.predict([key], COHORT.subset(stored.subjects))
    assert np.array_equal(again.probabilities, stored.probabilities)


def test_predictions_need_known_keys_of_the_same_settings() -> None:
    ours = worker()
    key = ours.evaluate(OFF).key
    with pytest.raises(ValueError, match="`keys` must be in the store, but 'abc' is not"):
        ours.predict(["abc"], COHORT)
    with pytest.raises(ValueError, match="`keys` must be at least one, but got none"):
        ours.predict([], COHORT)
    with pytest.raises(ValueError, match="`keys` must be of this worker's settings, but"):
        worker(seed=1, store=ours.store).predict([key], COHORT)
    with pytest.raises(ValueError, match="`cohort` must have inputs"):
        ours.predict([key], tiny_cohort(classes=3))


def test_more_than_two_classes() -> None:
    evaluation = worker(cohort=tiny_cohort(classes=3)).evaluate(FIRST, lineage=(OFF,))
    assert 0.2 < evaluation.value < 2 and 0 <= evaluation.metrics["auc"][0] <= 1


# --- the rest ---


def test_an_estimate_keeps_nothing() -> None:
    ours = worker()
    estimate = ours.estimate(BOTH)
    assert 0 < estimate.seconds_per_epoch < 5 and estimate.peak_memory_bytes > 1e6
    assert estimate.parameters == sum(parameter.numel() for parameter in Net(BOTH, COHORT.inputs).parameters())
    assert not ours.store.has(ours.key(BOTH))


def test_the_description_is_json_compatible_and_names_what_decides() -> None:
    described = worker(plan={"epochs": 2, "flips": ()}, seed=4).description()
    assert (described["seed"], described["plan"], described["inherit"]) == (4, {"epochs": 2, "flips": []}, "parent")
    assert (described["precision"], described["device"], described["fingerprint"]) == ("fp32", "cpu", COHORT.fingerprint)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (
            Fold(("sub-000",), ("sub-001",)),
            "`splits` must give fold 0 two subjects to train and one to validate, but got 1 and 1",
        ),
        (
            Fold(("sub-000", "sub-001"), ()),
            "`splits` must give fold 0 two subjects to train and one to validate, but got 2 and 0",
        ),
        (Fold(("sub-000", "nobody"), ("sub-001",)), "`subjects` must be in the cohort 'tiny', but 'nobody' is not"),
    ],
)
def test_folds_that_cannot_be_trained_on_are_refused(fold: Fold, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        worker(cohort=replace(COHORT, splits=Splits((fold,))))


def test_a_cohort_without_splits_is_refused() -> None:
    with pytest.raises(ValueError, match="`splits` must be drawn before the cohort 'tiny' is searched"):
        worker(cohort=replace(COHORT, splits=None))


def test_early_stopping_with_folds_is_of_each_fold() -> None:
    plan = TrainingPlan(epochs=30, batch_size=8, learning_rate=0.1, patience=2)
    evaluation = worker(TinySpace(plan), cohort=FOLDED).evaluate(OFF)
    assert all(len(curve) == min(30, epoch + 2) for curve, epoch in zip(evaluation.curves, evaluation.epochs, strict=True))
    assert evaluation.cost["epochs"] == sum(len(curve) for curve in evaluation.curves)
    assert PLAN.patience is None
