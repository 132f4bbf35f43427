"""What a stage may do beside its loss: prepare, precompute, observe, name its terms, keep modules at rest, share its result."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import optuna
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from nas_fusion import Batch, Configuration, EvaluationWorker, ExhaustiveSampler, Reference, Stage, TrainingPlan
from nas_fusion.evaluation.device import place
from nas_fusion.evaluation.stage import State, cross_entropy, total
from nas_fusion.evaluation.training import FoldData, Trained, train_stage
from tests.nas_fusion_tests.evaluation_tests.tiny import BOTH, FIRST, OFF, PLAN, SECOND, Alone, Net, TinySpace, tiny_cohort

COHORT = tiny_cohort(folds=2)
DATA = FoldData(tiny_cohort().development(), torch.arange(33), torch.arange(33, 45))
CPU = place("cpu")


def net() -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        return Net(BOTH, DATA.cohort.inputs)


def train(build: Any = net, **options: Any) -> Trained:
    return train_stage(Stage("train", PLAN, build, Configuration(BOTH), **options), build, DATA, CPU, seed=3)


# --- prepare ---


class Standardised(nn.Module):
    """A linear model of one vector, standardised by buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(5))
        self.head = nn.Linear(5, 2)

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        logits: torch.Tensor = self.head(inputs["a"] - self.get_buffer("mean"))
        return logits


def centre(model: nn.Module, batch: Batch) -> None:
    model.get_buffer("mean").copy_(batch.inputs["a"].mean(dim=0))


def test_prepare_sees_the_training_subjects_and_nobody_else() -> None:
    trained = train(Standardised, prepare=centre)
    torch.testing.assert_close(trained.state["mean"], DATA.cohort.modalities["a"][:33].mean(dim=0))
    assert not torch.allclose(trained.state["mean"], DATA.cohort.modalities["a"].mean(dim=0))


def fit(model: nn.Module, batch: Batch) -> None:
    found = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(batch.inputs["a"].numpy(), batch.labels.numpy())
    model.get_parameter("head.weight").copy_(torch.tensor(np.concatenate([0 * found.coef_, found.coef_])))
    model.get_parameter("head.bias").copy_(torch.tensor(np.concatenate([0 * found.intercept_, found.intercept_])))


def test_a_stage_that_is_prepared_may_train_nothing_and_is_validated_once() -> None:
    trained = train(lambda: Alone("a", DATA.cohort.inputs), prepare=fit, trains=lambda name: False)
    values = DATA.cohort.modalities["a"].numpy()
    labels = DATA.cohort.labels.numpy()
    model = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(values[:33], labels[:33])
    expected = -np.log(model.predict_proba(values[33:])[np.arange(12), labels[33:]]).mean()
    assert trained.losses == (pytest.approx(expected, rel=1e-5),)
    assert (trained.epoch, trained.terms) == (1, {})


def test_what_trains_nothing_and_prepares_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="`trains` must leave a parameter to train, but the stage 'train' trains none"):
        train(trains=lambda name: False)


# --- terms and observations ---


def test_the_sum_of_named_terms_is_minimised_and_each_is_logged() -> None:
    def terms(model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        return {"task": cross_entropy(model, batch), "constant": torch.tensor(0.25)}

    named, plain = train(loss=terms), train()
    assert named.losses == plain.losses
    assert named.terms["constant"] == (0.25,) * 4
    assert len(named.terms["task"]) == 4 and named.terms["task"][-1] < named.terms["task"][0]
    assert plain.terms == {}
    assert float(total({"a": torch.tensor(1.5), "b": torch.tensor(2.0)})) == 3.5


def test_observations_are_means_over_the_validation_subjects() -> None:
    def observe(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return model(batch.inputs, batch.present), {"first": batch.inputs["a"][:, :2], "one": torch.ones(len(batch.labels))}

    trained = train(observe=observe)
    expected = DATA.cohort.modalities["a"][33:, :2].double().mean(dim=0).tolist()
    assert trained.observed["one"] == (1.0,) * 4
    assert all(epoch == pytest.approx(expected) for epoch in trained.observed["first"])
    assert trained.losses == train().losses


# --- precompute ---


@dataclass(frozen=True)
class Squares:
    """Counts how many subjects it is asked for."""

    asked: tuple[list[int], ...] = ()

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for count in self.asked:
            count.append(len(inputs["a"]))
        return {"a:squares": inputs["a"] ** 2}

    def __hash__(self) -> int:
        return hash("squares")


class OfSquares(nn.Module):
    """A linear model of squares that computes them where nobody has."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 2)

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        squares = inputs["a:squares"] if "a:squares" in inputs else Squares()(inputs)["a:squares"]
        logits: torch.Tensor = self.head(squares)
        return logits


class SquareSpace(TinySpace):
    """Two configurations that are the same model, to see what is computed twice."""

    name = "squares"

    def __init__(self, precompute: Squares | None) -> None:
        super().__init__()
        self.precompute = precompute

    def stages(self, configuration: Mapping[str, str], inputs: Any) -> list[Stage]:
        return [Stage("train", PLAN, OfSquares, Configuration(configuration), precompute=self.precompute)]


def test_what_is_precomputed_is_computed_once_and_changes_nothing() -> None:
    asked: list[int] = []
    quick = EvaluationWorker(SquareSpace(Squares((asked,))), COHORT, device="cpu")
    slow = EvaluationWorker(SquareSpace(None), COHORT, device="cpu")
    evaluations = [quick.evaluate(OFF), quick.evaluate(FIRST)]
    assert sum(asked) == len(COHORT) - 9
    assert [e.curves for e in evaluations] == [slow.evaluate(c).curves for c in (OFF, FIRST)]
    test = COHORT.subset(COHORT.splits.test if COHORT.splits else ())
    ours, theirs = (worker.predict([evaluations[0].key], test).probabilities for worker in (quick, slow))
    np.testing.assert_array_equal(ours, theirs)


# --- modules at rest ---


def test_a_module_whose_parameters_are_all_frozen_is_at_rest() -> None:
    begun = net().state_dict()
    trained = train(trains=lambda name: not name.startswith("first"))
    for name, tensor in trained.state.items():
        assert torch.equal(tensor, begun[name]) == name.startswith("first"), name
    assert any("running_mean" in name for name in begun if name.startswith("first"))


def test_a_loss_that_moves_the_statistics_of_a_frozen_module_is_caught() -> None:
    def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
        model.get_buffer("first.0.1.running_mean").add_(1)
        return cross_entropy(model, batch)

    with pytest.raises(AssertionError, match=r"The frozen first\.0\.1\.running_mean changed in stage train"):
        train(trains=lambda name: not name.startswith("first"), loss=loss)


# --- shared stages ---


class Shared(TinySpace):
    """Streams that no parent's weights reach, then exchanges on top that take the parent's."""

    name = "shared"

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[str] = []

    def stages(self, configuration: Mapping[str, str], inputs: Any) -> list[Stage]:
        chosen = Configuration(configuration)

        def streams() -> nn.Module:
            self.trained.append("streams")
            return Net(OFF, inputs)

        def start(states: Mapping[str, State]) -> State:
            return states["streams"]

        first = Stage("streams", PLAN, streams, self.baseline, inherits=False)
        last = Stage("fusion", replace(PLAN, epochs=2, inherited_epochs=1), lambda: Net(chosen, inputs), chosen, start=start)
        return [first, replace(last, inherits=True)]


def test_a_stage_that_inherits_nothing_is_shared_by_the_children_of_all_parents() -> None:
    space = Shared()
    worker = EvaluationWorker(space, tiny_cohort(), device="cpu")
    root = worker.evaluate(OFF)
    child = worker.evaluate(FIRST, lineage=[OFF])
    grandchild = worker.evaluate(BOTH, lineage=[OFF, FIRST])
    assert space.trained.count("streams") == 1
    assert [e.cost["epochs"] for e in (root, child, grandchild)] == [4 + 2, 1, 1]
    assert [e.cost["shared_epochs"] for e in (root, child, grandchild)] == [0, 4, 4]
    assert [e.cost["lineage_epochs"] for e in (root, child, grandchild)] == [6, 7, 8]
    inherited = worker.store.details(child.key)["folds"][0]["inherited"]["fusion"]
    assert inherited["fresh"] == ["exchanges.layer1.mix.weight"]
    stages = worker.store.details(child.key)["folds"][0]["stages"]
    assert [stages[name]["shared"] for name in ("streams", "fusion")] == [True, False]
    assert stages["streams"]["epochs"] == 4 and stages["streams"]["seconds"] > 0


def test_the_parents_weights_go_before_those_of_earlier_stages() -> None:
    space = Shared()
    worker = EvaluationWorker(space, tiny_cohort(), device="cpu")
    root = worker.evaluate(OFF)
    recipe = worker._book.of(FIRST, (OFF,))
    streams = worker.store.weights(worker._book.stage_key(recipe, 0, 0))
    offered = worker._trainer.offered(recipe, recipe.stages[1], {"streams": streams}, (0, 0))
    parent = worker.store.weights(root.key)
    assert all(torch.equal(offered[name], parent[name]) for name in parent)
    assert not torch.equal(parent["heads.0.weight"], streams["heads.0.weight"])


def test_two_workers_train_a_shared_stage_once() -> None:
    study = optuna.create_study(sampler=ExhaustiveSampler(Shared(), inherit="none"))
    spaces = [Shared(), Shared()]
    store = EvaluationWorker(spaces[0], tiny_cohort(), device="cpu").store
    workers = [EvaluationWorker(space, tiny_cohort(), store=store, device="cpu", inherit="none") for space in spaces]
    threads = [threading.Thread(target=lambda w=worker: study.optimize(w)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(space.trained.count("streams") for space in spaces) == 1
    trained = [e for e in map(store.get, (workers[0].key(c) for c in (OFF, FIRST, SECOND, BOTH))) if e is not None]
    assert sorted(e.cost["shared_epochs"] for e in trained) == [0, 4, 4, 4]


def test_plans_of_shared_stages_are_not_shortened_by_inheritance() -> None:
    recipe = EvaluationWorker(Shared(), tiny_cohort(), device="cpu")._book.of(FIRST, (OFF,))
    assert [stage.plan.epochs for stage in recipe.stages] == [4, 1]
    assert TrainingPlan().inherited_epochs is None


class SharedReference(Shared):
    """The same, with a reference that differs in its last stage only."""

    def references(self, inputs: Any) -> dict[str, Reference]:
        first, last = self.stages(OFF, inputs)
        return {"other": Reference("another end", (first, replace(last, model=lambda: Net(BOTH, inputs))))}


def test_a_reference_shares_the_stages_before_its_last() -> None:
    space = SharedReference()
    worker = EvaluationWorker(space, tiny_cohort(), device="cpu")
    configuration, reference = worker.evaluate(OFF), worker.evaluate_reference("other")
    assert space.trained.count("streams") == 1
    assert (configuration.cost["shared_epochs"], reference.cost["shared_epochs"]) == (0, 4)
    assert configuration.key != reference.key and configuration.curves != reference.curves


def test_an_override_of_epochs_counts_for_each_stage_that_a_reference_stands_for() -> None:
    class Spanning(SharedReference):
        def references(self, inputs: Any) -> dict[str, Reference]:
            stage = Stage("alone", PLAN, lambda: Alone("a", inputs), self.baseline, spans=2)
            return {"alone": Reference("a alone", (stage,)), "short": Reference("a", (replace(stage, spans=1),))}

    book = EvaluationWorker(Spanning(), tiny_cohort(), device="cpu", plan={"epochs": 3})._book
    assert [book.of_reference(name).stages[0].plan.epochs for name in ("alone", "short")] == [6, 3]
    plain = EvaluationWorker(Spanning(), tiny_cohort(), device="cpu")._book
    assert [plain.of_reference(name).stages[0].plan.epochs for name in ("alone", "short")] == [4, 4]


def test_a_stage_is_told_the_parents_weights() -> None:
    class Told(Shared):
        known: ClassVar[list[list[str]]] = []

        def stages(self, configuration: Mapping[str, str], inputs: Any) -> list[Stage]:
            def start(states: Mapping[str, State]) -> State:
                self.known.append(list(states))
                return states["streams"]

            first, last = super().stages(configuration, inputs)
            return [first, replace(last, start=start)]

    worker = EvaluationWorker(Told(), tiny_cohort(), device="cpu")
    worker.evaluate(OFF)
    worker.evaluate(FIRST, lineage=[OFF])
    assert Told.known == [["streams"], ["streams", "parent"]]


def test_what_options_mean_is_part_of_the_key() -> None:
    class Meant(TinySpace):
        width_of_preset = 8

        def meaning(self) -> dict[str, Any]:
            return {"width": self.width_of_preset}

    class Changed(Meant):
        width_of_preset = 16

    plain, meant, changed = (EvaluationWorker(kind(), COHORT, device="cpu").key(OFF) for kind in (TinySpace, Meant, Changed))
    assert len({plain, meant, changed}) == 3
