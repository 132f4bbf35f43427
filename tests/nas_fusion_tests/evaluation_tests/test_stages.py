"""Several stages: what they start from, what they share, and what the worker reports of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna
import pytest
import torch

from nas_fusion import Configuration, EvaluationWorker, Stage
from nas_fusion.evaluation.stage import State, cross_entropy
from tests.nas_fusion_tests.evaluation_tests.tiny import BOTH, FIRST, OFF, SECOND, Net, TinySpace, tiny_cohort

COHORT = tiny_cohort(folds=2)


class TwoStages(TinySpace):
    """First the streams without any exchange, whatever the configuration; then the exchanges and heads on frozen streams."""

    name = "two stages"

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[str] = []

    def stages(self, configuration: Mapping[str, str], inputs: Any) -> list[Stage]:
        chosen = Configuration(configuration)

        def loss_of(name: str) -> Any:
            def loss(model: Any, batch: Any) -> torch.Tensor:
                self.trained.append(name)
                return cross_entropy(model, batch)

            return loss

        def start(states: Mapping[str, State]) -> State:
            assert list(states) == ["streams"]
            return states["streams"]

        streams = Stage("streams", self.plan, lambda: Net(OFF, inputs), self.baseline, loss=loss_of("streams"))
        fusion = Stage(
            "fusion",
            replace(self.plan, epochs=2),
            lambda: Net(chosen, inputs),
            chosen,
            loss=loss_of("fusion"),
            trains=lambda name: name.startswith(("exchanges", "heads")),
            start=start,
        )
        return [streams, fusion]


def test_a_stage_starts_from_an_earlier_one_and_leaves_alone_what_it_freezes() -> None:
    space = TwoStages()
    worker = EvaluationWorker(space, COHORT, device="cpu")
    evaluation = worker.evaluate(FIRST)
    recipe = worker._book.of(FIRST)
    for fold in range(2):
        streams = worker.store.weights(worker._book.stage_key(recipe, 0, fold))
        fused = worker.store.weights(evaluation.key, fold)
        for name, tensor in streams.items():
            frozen_parameter = not name.startswith("heads") and "running" not in name and "num_batches" not in name
            assert not frozen_parameter or torch.equal(tensor, fused[name]), name
        assert not torch.equal(streams["heads.0.weight"], fused["heads.0.weight"])
        assert bool(fused["exchanges.layer1.mix.weight"].any())
    assert [len(curve) for curve in evaluation.curves] == [2, 2]
    assert evaluation.cost["epochs"] == 2 * (4 + 2)
    inherited = worker.store.details(evaluation.key)["folds"][0]["inherited"]
    assert inherited["streams"]["taken"] == [] and inherited["fusion"]["fresh"] == ["exchanges.layer1.mix.weight"]


def test_configurations_that_agree_in_what_a_stage_depends_on_share_it() -> None:
    space = TwoStages()
    worker = EvaluationWorker(space, COHORT, device="cpu")
    worker.evaluate(FIRST)
    space.trained.clear()
    shared = worker.evaluate(SECOND)
    assert set(space.trained) == {"fusion"}
    assert shared.cost["epochs"] == 2 * 2
    alone = EvaluationWorker(TwoStages(), COHORT, device="cpu").evaluate(SECOND)
    assert (shared.curves, shared.key) == (alone.curves, alone.key)


def test_only_the_last_stage_is_reported() -> None:
    told: list[tuple[int, int]] = []
    worker = EvaluationWorker(TwoStages(), tiny_cohort(), device="cpu")
    study = optuna.create_study()
    study.enqueue_trial(BOTH)
    study.optimize(lambda trial: worker(trial, on_epoch=lambda fold, epoch, loss: told.append((fold, epoch))), n_trials=1)
    assert told == [(0, 1), (0, 2)]
    assert list(study.trials[0].intermediate_values) == [1, 2]


@pytest.mark.parametrize("edit", [lambda stages: [], lambda stages: [*stages, *stages]], ids=["none", "twice"])
def test_stages_need_names_of_their_own(edit: Any) -> None:
    worker = EvaluationWorker(TinySpace(edit=edit), COHORT, device="cpu")
    with pytest.raises(ValueError, match="`stages` must be at least one with unique names, but got"):
        worker.evaluate(OFF)
