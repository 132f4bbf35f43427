"""The worker with the space of fusion points on a few small simulated brains."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_fusion import Cohort, EvaluationWorker, load_cohort, load_space
from nas_fusion.evaluation.prediction import cross_entropy_of, predict_logits


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return load_cohort("simulated-mri", shape=16, train=17, validation=8, test=6)


@pytest.fixture(scope="module")
def worker(cohort: Cohort) -> EvaluationWorker:
    return EvaluationWorker(load_space("fusion-points", epochs=2, batch_size=8), cohort, device="cpu")


@pytest.mark.parametrize("points", [["layer1"], ["layer3"], ["layer1", "layer2", "layer3", "layer4"]])
def test_a_network_with_new_modules_starts_with_exactly_its_parents_loss(points: list[str], worker: EvaluationWorker) -> None:
    baseline = worker.space.baseline
    parent = worker.evaluate(baseline)
    recipe = worker._book.of(worker.space.complete(dict.fromkeys(points, "mmtm")), (baseline,))
    model, _ = worker._trainer.build(recipe, recipe.stages[0], worker.store.weights(parent.key))
    (data,) = worker._trainer.folds
    logits = predict_logits(
        worker._placement.lay_out(model, data.cohort), data.cohort, data.validation, worker._placement, batch_size=32
    )
    assert cross_entropy_of(logits, data.cohort.labels[data.validation]) == parent.value


def test_the_same_numbers_each_time(cohort: Cohort, worker: EvaluationWorker) -> None:
    point, baseline = worker.space.complete({"layer2": "mmtm"}), worker.space.baseline
    again = EvaluationWorker(load_space("fusion-points", epochs=2, batch_size=8), cohort, device="cpu")
    found = [each.evaluate(point, lineage=(baseline,)) for each in (worker, again)]
    assert found[0].curves == found[1].curves and found[0].key == found[1].key
    weights = [each.store.weights(found[0].key) for each in (worker, again)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_every_reference_is_evaluated_and_predicts_test_subjects(cohort: Cohort, worker: EvaluationWorker) -> None:
    assert cohort.splits is not None
    test = cohort.subset(cohort.splits.test)
    for name in worker.space.references(cohort.inputs):
        evaluation = worker.evaluate_reference(name)
        predictions = worker.predict([evaluation.key], test)
        members = worker.predict(worker.members(name), test)
        assert np.allclose(predictions.probabilities.sum(axis=1), 1)
        assert np.allclose(predictions.probabilities, members.probabilities)
        assert evaluation.value == pytest.approx(worker.store.predictions(evaluation.key).losses.mean())
