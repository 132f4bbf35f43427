"""Training against a loop written by hand, freezing, early stopping, and what memory cannot hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from nas_fusion import Batch, Configuration, Stage, TrainingPlan
from nas_fusion.evaluation.device import place
from nas_fusion.evaluation.optimisation import build_optimiser, build_schedule
from nas_fusion.evaluation.prediction import predict_logits
from nas_fusion.evaluation.stage import cross_entropy
from nas_fusion.evaluation.training import FoldData, Trained, train_stage
from tests.nas_fusion_tests.evaluation_tests.tiny import BOTH, Net, tiny_cohort

COHORT = tiny_cohort().development()
DATA = FoldData(COHORT, torch.arange(33), torch.arange(33, 45))
CPU = place("cpu")


def build() -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        return Net(BOTH, COHORT.inputs)


def stage(plan: TrainingPlan, **options: object) -> Stage:
    return Stage("train", plan, build, Configuration(BOTH), **options)  # type: ignore[arg-type]


def train(plan: TrainingPlan, **options: object) -> Trained:
    return train_stage(stage(plan, **options), build, DATA, CPU, seed=3)


def by_hand(plan: TrainingPlan) -> list[float]:
    """Return the validation losses of a loop that knows nothing of the worker: AdamW, one-cycle, batches of 8, 8, 8 and 9."""
    model, generator, losses = build(), torch.Generator().manual_seed(3), []
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, total_steps=4 * plan.epochs, pct_start=0.2)
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        for _ in range(plan.epochs):
            model.train()
            order = torch.randperm(33, generator=generator)
            for rows in (order[:8], order[8:16], order[16:24], order[24:]):
                optimiser.zero_grad()
                logits = model({name: values[rows] for name, values in COHORT.modalities.items()})
                nn.functional.cross_entropy(logits, COHORT.labels[rows]).backward()
                optimiser.step()
                schedule.step()
            model.eval()
            with torch.no_grad():
                logits = model({name: values[33:] for name, values in COHORT.modalities.items()})
                losses.append(float(nn.functional.cross_entropy(logits, COHORT.labels[33:])))
    return losses


def test_losses_are_those_of_a_loop_written_by_hand() -> None:
    plan = TrainingPlan(epochs=6, batch_size=8, learning_rate=0.02)
    trained = train(plan)
    assert trained.losses == pytest.approx(by_hand(plan), abs=1e-6)
    assert trained.epoch == 1 + trained.losses.index(min(trained.losses))
    assert trained.samples == 6 * 33


def test_the_state_is_that_of_the_selected_epoch() -> None:
    trained = train(TrainingPlan(epochs=8, batch_size=8, learning_rate=0.05))
    model = build()
    model.load_state_dict(trained.state)
    logits = predict_logits(model, COHORT, DATA.validation, CPU)
    assert torch.equal(logits, trained.logits)
    assert float(nn.functional.cross_entropy(logits, COHORT.labels[33:])) == trained.loss == min(trained.losses)


def test_patience_ends_training() -> None:
    patient = train(TrainingPlan(epochs=60, batch_size=8, learning_rate=0.1, schedule="constant", patience=2))
    assert len(patient.losses) == patient.epoch + 2 < 60
    assert min(patient.losses) == patient.loss
    assert (
        patient.losses
        == train(TrainingPlan(epochs=60, batch_size=8, learning_rate=0.1, schedule="constant")).losses[: len(patient.losses)]
    )


def test_an_epoch_without_finite_loss_ends_training_and_is_not_selected() -> None:
    def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
        return cross_entropy(model, batch) * (math.nan if len(told) == 2 else 1)

    told: list[int] = []
    trained = train_stage(
        stage(TrainingPlan(epochs=6, batch_size=8), loss=loss),
        build,
        DATA,
        CPU,
        seed=3,
        on_epoch=lambda epoch, _: told.append(epoch),
    )
    assert told == [1, 2, 3] and math.isnan(trained.losses[2])
    assert trained.epoch in (1, 2) and all(torch.isfinite(tensor).all() for tensor in trained.state.values())


def test_frozen_parameters_do_not_change_and_the_others_do() -> None:
    def trains(name: str) -> bool:
        return name.startswith(("exchanges", "heads"))

    before, trained = build().state_dict(), train(TrainingPlan(epochs=2, batch_size=8), trains=trains)
    for name, parameter in build().named_parameters():
        assert torch.equal(trained.state[name], before[name]) is not trains(name), name
        assert parameter.requires_grad


def test_a_loss_that_changes_what_is_frozen_is_caught() -> None:
    def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            model.get_parameter("first.0.0.bias").add_(1)
        return cross_entropy(model, batch)

    with pytest.raises(AssertionError, match=r"The frozen first\.0\.0\.bias changed in stage train"):
        train(TrainingPlan(epochs=1, batch_size=8), trains=lambda name: name.startswith("heads"), loss=loss)


def test_a_stage_must_train_something() -> None:
    with pytest.raises(ValueError, match="`trains` must leave a parameter to train, but the stage 'train' trains none"):
        train(TrainingPlan(epochs=1), trains=lambda name: False)


@pytest.mark.parametrize("subjects", [2, 9, 17])
def test_a_last_batch_of_one_subject_does_not_stop_batch_normalisation(subjects: int) -> None:
    data = replace(DATA, train=torch.arange(subjects))
    trained = train_stage(stage(TrainingPlan(epochs=2, batch_size=8)), build, data, CPU, seed=0)
    assert math.isfinite(trained.loss) and trained.samples == 2 * subjects


class SmallMemory:
    """A loss that fails as a full device does for more than so many subjects."""

    def __init__(self, most: int) -> None:
        self.most, self.sizes = most, list[int]()

    def __call__(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        if len(batch.labels) > self.most:
            raise torch.OutOfMemoryError("full")
        self.sizes.append(len(batch.labels))
        return cross_entropy(model, batch)


def without_batch_norm() -> nn.Module:
    model = build()
    for stream in model.get_submodule("first"):  # type: ignore[union-attr]
        stream[1] = nn.Identity()
    for stream in model.get_submodule("second"):  # type: ignore[union-attr]
        stream[1] = nn.Identity()
    return model


def test_what_does_not_fit_is_trained_in_parts_with_the_same_result() -> None:
    plan = TrainingPlan(epochs=3, batch_size=8)
    whole = train_stage(stage(plan), without_batch_norm, DATA, CPU, seed=3)
    loss = SmallMemory(most=3)
    parts = train_stage(stage(plan, loss=loss), without_batch_norm, DATA, CPU, seed=3)
    assert (whole.micro_batches, parts.micro_batches) == (1, 4)
    assert set(loss.sizes) == {2, 3}
    assert parts.losses == pytest.approx(whole.losses, abs=1e-5)


def test_what_fits_in_no_way_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError, match="full"):
        train(TrainingPlan(epochs=1, batch_size=8), loss=SmallMemory(most=1))


def test_prediction_takes_as_many_subjects_as_fit() -> None:
    class Small(nn.Module):
        def forward(self, inputs: dict[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
            if len(inputs["a"]) > 3:
                raise torch.OutOfMemoryError("full")
            return inputs["a"][:, :2]

    logits = predict_logits(Small(), COHORT, DATA.validation, CPU, batch_size=64)
    assert torch.equal(logits, COHORT.modalities["a"][33:, :2].double())


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
def test_one_cycle_warms_up_over_a_fifth_and_falls_to_nothing(steps: int, optimiser: str) -> None:
    plan = TrainingPlan(epochs=1, learning_rate=0.1, optimiser=optimiser)
    rates = learning_rates(plan, steps)
    assert max(rates) == pytest.approx(0.1)
    if steps > 2:
        assert rates.index(max(rates)) == max(0.2 * steps, 2) - 1
        assert rates[-1] < 1e-5


@pytest.mark.parametrize(
    ("schedule", "rule"),
    [
        ("constant", lambda epoch: 1.0),
        ("step", lambda epoch: 0.8 ** (epoch // 50)),
        ("cosine", lambda epoch: (1 + math.cos(math.pi * epoch / 120)) / 2),
    ],
)
def test_learning_rates_follow_their_rule(schedule: str, rule: Callable[[int], float]) -> None:
    plan = TrainingPlan(epochs=120, learning_rate=0.1, schedule=schedule)
    assert learning_rates(plan, 2)[::2] == pytest.approx([0.1 * rule(epoch) for epoch in range(120)])


def learning_rates(plan: TrainingPlan, steps_per_epoch: int) -> list[float]:
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = build_optimiser([parameter], plan)
    schedule, rates = build_schedule(optimiser, plan, steps_per_epoch), []
    for _ in range(plan.epochs * steps_per_epoch):
        rates.append(optimiser.param_groups[0]["lr"])
        parameter.grad = torch.ones(1)
        optimiser.step()
        schedule.step()
    return rates
