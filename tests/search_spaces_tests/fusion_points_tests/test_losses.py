from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from nas_fusion import EvaluationWorker
from search_spaces.fusion_points import FusionPointSpace
from search_spaces.fusion_points.losses import fusion_loss

from .tables import crossed_tables

COHORT = crossed_tables("a", "b", meet=("a", "b"), train=24, validation=16)


def test_the_value_is_the_tasks_cross_entropy_whatever_modules_add_to_the_loss() -> None:
    space = FusionPointSpace("layer1,layer2", "channel_exchange", epochs=2, sparsity=1.0)
    worker = EvaluationWorker(space, COHORT, inherit="none")
    evaluation = worker.evaluate(space.complete({"layer1": "channel_exchange"}))
    (said,) = worker.store.details(evaluation.key)["folds"]
    assert set(said["terms"]) == {"task", "penalty"} and min(said["terms"]["penalty"]) > 1
    predictions = worker.store.predictions(evaluation.key)
    chosen = predictions.probabilities[np.arange(16), predictions.labels]
    assert evaluation.value == pytest.approx(-np.log(chosen).mean(), rel=1e-6) and evaluation.value < 2


def test_a_penalty_is_minimised_in_training() -> None:
    how = {"epochs": 5, "batch_size": 4, "learning_rate": 0.02, "schedule": "constant"}
    space = FusionPointSpace("layer1", "channel_exchange", sparsity=1.0, **how)
    worker = EvaluationWorker(space, COHORT, inherit="none")
    key = worker.evaluate(space.complete({"layer1": "channel_exchange"})).key
    penalty = worker.store.details(key)["folds"][0]["terms"]["penalty"]
    assert all(after < before for before, after in pairwise(penalty))
    assert penalty[-1] < 0.6 * penalty[0] < 0.6 * 32


def test_terms_are_the_tasks_and_the_networks_own() -> None:
    space = FusionPointSpace(modules=["mmtm", "channel_exchange"])
    batch = COHORT.batch(torch.arange(8))
    for choice in ("mmtm", "channel_exchange"):
        torch.manual_seed(0)
        model = space.build(space.complete({"layer2": choice}), COHORT.inputs).eval()
        found, task = fusion_loss(model, batch), cross_entropy(model(batch.inputs, batch.present), batch.labels)
        if isinstance(found, torch.Tensor):
            assert choice == "mmtm" and torch.equal(found, task)
        else:
            assert choice == "channel_exchange" and torch.equal(found["task"], task)
            expected = next(iter(model.fusion.values())).penalty()
            assert expected is not None and torch.equal(found["penalty"], expected)


def test_the_supernet_is_trained_with_the_same_loss() -> None:
    space = FusionPointSpace(modules=["mmtm", "channel_exchange"])
    assert space.supernet(COHORT.inputs).loss is fusion_loss
    assert space.stages(space.baseline, COHORT.inputs)[0].loss is fusion_loss
