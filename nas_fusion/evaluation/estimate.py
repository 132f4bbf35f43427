"""An estimate of time and memory from one measured step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from nas_fusion.evaluation.batches import sizes
from nas_fusion.evaluation.cost import parameters_of
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.optimisation import build_optimiser
from nas_fusion.evaluation.prediction import predict_logits
from nas_fusion.evaluation.stage import Stage, total
from nas_fusion.evaluation.training import FoldData, freeze

_MEASURED_S = 0.5


@dataclass(frozen=True)
class StepEstimate:
    """What training costs.

    Attributes:
        seconds_per_epoch: Training and validation of the first fold.
        peak_memory_bytes: Of the device, or on a CPU of this process so far.
        parameters: Of the model.
    """

    seconds_per_epoch: float
    peak_memory_bytes: int
    parameters: int


def measure_step(stage: Stage, model: nn.Module, data: FoldData, placement: Placement) -> StepEstimate:
    """Return the cost of an epoch from one step and one prediction, each the quickest of a few: the first ones prepare kernels.

    Args:
        stage: What is trained how.
        model: Freshly built; changed by the steps.
        data: The fold.
        placement: Device and precision.
    """
    with placement.repeatable(0):
        placement.reset_peak()
        model = placement.lay_out(model, data.cohort)
        parameters = list(freeze(model, stage))
        optimiser = build_optimiser(parameters, stage.plan) if parameters else None
        index = data.train[: stage.plan.batch_size].to(data.cohort.labels.device)
        batch = placement.move(data.cohort.batch(index))

        def step() -> None:
            if optimiser is None:
                return
            model.train()
            optimiser.zero_grad(set_to_none=True)
            with placement.autocast():
                loss = total(stage.loss(model, batch))
            torch.autograd.backward(loss)
            optimiser.step()

        def predict() -> None:
            predict_logits(model, data.cohort, data.validation[: len(index)], placement, batch_size=len(index))

        seconds = _least_seconds(step, placement)
        prediction = _least_seconds(predict, placement) / min(len(index), len(data.validation))
    steps = len(sizes(len(data.train), stage.plan.batch_size))
    return StepEstimate(steps * seconds + len(data.validation) * prediction, placement.peak_memory(), parameters_of(model))


def _least_seconds(act: Callable[[], None], placement: Placement) -> float:
    """Return the least time that an act takes, of at least two and as many as half a second allows."""
    taken: list[float] = []
    while len(taken) < 2 or sum(taken) < _MEASURED_S:
        begin = time.perf_counter()
        act()
        if placement.is_cuda:
            torch.cuda.synchronize(placement.device)
        taken.append(time.perf_counter() - begin)
    return min(taken)
