"""The supernet: what it learns, from whom, and that it does so again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from nas_fusion import Batch, Cohort, Stage, TrainingPlan
from nas_fusion.evaluation.device import place
from nas_fusion.evaluation.supernet import SupernetPlan, TrainedSupernet, train_supernet
from nas_fusion.evaluation.training import FoldData
from search_spaces.fusion_points import FusionPointSpace
from tests.nas_fusion_tests.evaluation_tests.products import PLAN, GatedProducts, ProductSpace, product_cohort

CPU = place("cpu")


def fold_of(cohort: Cohort) -> FoldData:
    assert cohort.splits is not None
    fold = cohort.splits.folds[0]
    return FoldData(cohort, cohort.positions(fold.train), cohort.positions(fold.validation))


def trained(
    stage: Stage, data: FoldData, *, plan: SupernetPlan | None = None, seed: int = 0, **options: Any
) -> TrainedSupernet:
    def build() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return stage.model()

    return train_supernet(stage, build, data, CPU, plan=plan or SupernetPlan(), seed=seed, **options)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return product_cohort()


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_one_point_with_an_effect(seed: int) -> None:
    data = fold_of(product_cohort(seed=seed, train=192))
    found = trained(ProductSpace().supernet(data.cohort.inputs), data, seed=seed)
    on = {point: probabilities[1] for point, probabilities in found.probabilities.items()}
    assert on["p0"] > 0.85 and max(on["p1"], on["p2"]) < 0.7
    assert all(sum(probabilities) == pytest.approx(1) for probabilities in found.probabilities.values())


def test_same_seed_same_numbers_whatever_the_global_generator(cohort: Cohort) -> None:
    data, stage = fold_of(cohort), ProductSpace().supernet(cohort.inputs)
    torch.manual_seed(1)
    first = trained(stage, data)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert trained(stage, data) == first
    assert torch.equal(torch.random.get_rng_state(), before)
    assert trained(stage, data, seed=1) != first


def test_cost_is_what_was_seen(cohort: Cohort) -> None:
    data, stage = fold_of(cohort), ProductSpace().supernet(cohort.inputs)
    told: list[tuple[int, float]] = []
    plan = SupernetPlan(length=0.5, warm_up=0.5, held_out=0.25)
    found = trained(stage, data, plan=plan, on_epoch=lambda epoch, loss: told.append((epoch, loss)))
    assert found.epochs == 4 == len(told) and [epoch for epoch, _ in told] == [1, 2, 3, 4]
    assert all(math.isfinite(loss) for _, loss in told)
    # 72 subjects teach the weights in 5 steps an epoch; in two of the epochs the architecture takes as many, of 16, 8, 16, ...
    assert found.samples == 4 * 72 + 5 * (16 + 8)
    assert found.parameters == 2 * (4 * 2 + 2) + 3 * 2 + 3 * 2


class Recorder:
    """A loss that remembers whose gradients were asked for on which subjects."""

    def __init__(self) -> None:
        self.seen: list[set[int]] = []

    def __call__(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        self.seen.append(set(batch.index.tolist()))
        return nn.functional.cross_entropy(model(batch.inputs, batch.present), batch.labels)


def test_weights_and_architecture_learn_from_different_training_subjects(cohort: Cohort) -> None:
    data, recorder = fold_of(cohort), Recorder()
    stage = replace(ProductSpace().supernet(cohort.inputs), loss=recorder)
    trained(stage, data, plan=SupernetPlan(length=0.5, warm_up=0.5, held_out=0.25))
    warm_up = set().union(*recorder.seen[: 2 * 5])
    weights, architecture = set().union(*recorder.seen[10::2]), set().union(*recorder.seen[11::2])
    assert warm_up == weights and not weights & architecture
    assert weights | architecture == set(data.train.tolist())
    assert (len(weights), len(architecture)) == (72, 24)
    labels = cohort.labels[torch.tensor(sorted(architecture))]
    assert abs(float(labels.float().mean()) - float(cohort.labels[data.train].float().mean())) < 0.05


def test_subjects_of_a_group_learn_together() -> None:
    base = product_cohort()
    cohort = replace(base, groups=tuple(f"family-{i // 4}" for i in range(len(base))))
    assert cohort.groups is not None
    data, recorder = fold_of(cohort), Recorder()
    trained(replace(ProductSpace().supernet(cohort.inputs), loss=recorder), data, plan=SupernetPlan(length=0.25, warm_up=0))
    weights, architecture = ({cohort.groups[i] for seen in recorder.seen[start::2] for i in seen} for start in (0, 1))
    assert not weights & architecture


def test_warm_up_leaves_the_architecture_alone(cohort: Cohort) -> None:
    data, model = fold_of(cohort), GatedProducts(cohort.inputs, ("p0", "p1"))
    at_epoch: list[list[float]] = []
    stage = replace(ProductSpace().supernet(cohort.inputs), model=lambda: model)

    def look(epoch: int, loss: float) -> None:
        at_epoch.append([float(logits.detach().abs().sum()) for logits in model.architecture.values()])

    train_supernet(stage, lambda: model, data, CPU, plan=SupernetPlan(length=1, warm_up=0.5), seed=0, on_epoch=look)
    assert at_epoch[3] == [0.0, 0.0]
    assert all(moved > 0 for moved in at_epoch[4])


def test_entropy_makes_the_gates_decide(cohort: Cohort) -> None:
    data, stage = fold_of(cohort), ProductSpace().supernet(cohort.inputs)

    def undecided(entropy: float) -> float:
        found = trained(stage, data, plan=SupernetPlan(entropy=entropy))
        return sum(-p * math.log(p) for probabilities in found.probabilities.values() for p in probabilities)

    assert undecided(1.0) < undecided(0.0)


def test_price_closes_what_saves_less(cohort: Cohort) -> None:
    data, stage = fold_of(cohort), ProductSpace().supernet(cohort.inputs)
    found = trained(stage, data, plan=SupernetPlan(price=2.0))
    assert all(off > 0.9 for off, _ in found.probabilities.values())


def test_temperature_falls_exponentially() -> None:
    plan = SupernetPlan(hot=2.0, cold=0.5)
    assert [plan.temperature(progress) for progress in (-1, 0, 0.5, 1, 2)] == pytest.approx([2.0, 2.0, 1.0, 0.5, 0.5])


@pytest.mark.parametrize(("length", "epochs"), [(0.01, 2), (0.5, 4), (1.0, 8), (2.5, 20)])
def test_length_is_a_multiple_of_the_plans_epochs(length: float, epochs: int, cohort: Cohort) -> None:
    assert SupernetPlan(length=length).epochs(ProductSpace().supernet(cohort.inputs)) == epochs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "`length` must be a finite number above 0, but got 0"),
        ({"length": math.inf}, "`length` must be a finite number above 0, but got inf"),
        ({"warm_up": 1}, "`warm_up` must be a finite number at least 0 and below 1, but got 1"),
        ({"held_out": 0.0}, "`held_out` must be a finite number above 0 and below 1, but got 0.0"),
        ({"cold": -1.0}, "`cold` must be a finite number above 0, but got -1.0"),
        ({"entropy": -0.1}, "`entropy` must be a finite number at least 0, but got -0.1"),
        ({"price": -0.1}, "`price` must be a finite number at least 0, but got -0.1"),
        ({"gain": "high"}, "`gain` must be a finite number above 0, but got 'high'"),
    ],
)
def test_plans_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SupernetPlan(**options)


def test_loss_that_is_not_finite(cohort: Cohort) -> None:
    stage = replace(ProductSpace().supernet(cohort.inputs), plan=replace(PLAN, learning_rate=1e30, optimiser="sgd"))
    with pytest.raises(FloatingPointError, match=r"The loss of the supernet is (nan|inf) in epoch"):
        trained(stage, fold_of(cohort))


def test_model_without_gates(cohort: Cohort) -> None:
    space = ProductSpace()
    stage = space.stages(space.baseline, cohort.inputs)[0]
    with pytest.raises(TypeError, match="`supernet` must build a model with `architecture` and `draw`, but got Products"):
        trained(stage, fold_of(cohort))


class Cramped(GatedProducts):
    """Has no memory for more than 8 subjects."""

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        if len(inputs["a"]) > 8:
            raise torch.OutOfMemoryError
        return super().forward(inputs, present)


def test_what_does_not_fit_is_trained_in_parts_with_the_same_result(cohort: Cohort) -> None:
    data, stage = fold_of(cohort), ProductSpace().supernet(cohort.inputs)
    whole = trained(stage, data)
    parts = trained(replace(stage, model=lambda: Cramped(cohort.inputs, ("p0", "p1", "p2"))), data)
    assert parts.samples == whole.samples
    for point, probabilities in whole.probabilities.items():
        assert parts.probabilities[point] == pytest.approx(probabilities, abs=1e-3)


def test_points_of_networks(cohort: Cohort) -> None:
    """The space of fusion points on vectors: every point can compute the product, so that fusion is found somewhere."""
    space = FusionPointSpace(points=("layer1", "layer3"), modules=("mmtm", "concat_conv"), hidden=8, epochs=8, flips=[])
    data = fold_of(cohort)
    stage = space.supernet(cohort.inputs)
    assert stage.plan == TrainingPlan(epochs=8, batch_size=16, learning_rate=5e-3, weight_decay=1e-3)
    found = trained(stage, data)
    assert {point: len(probabilities) for point, probabilities in found.probabilities.items()} == {"layer1": 3, "layer3": 3}
