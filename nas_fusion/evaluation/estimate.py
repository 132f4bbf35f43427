"""An estimate of time and memory from one measured step."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import nn

from nas_fusion.evaluation.batches import sizes
from nas_fusion.evaluation.cost import parameters_of
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.optimisation import build_optimiser
from nas_fusion.evaluation.prediction import predict_logits
from nas_fusion.evaluation.stage import Stage
from nas_fusion.evaluation.training import FoldData, freeze


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
    """Return the cost of an epoch from the second of two steps (the first one prepares kernels) and one prediction.

    Args:
        stage: What is trained how.
        model: Freshly built; changed by the steps.
        data: The fold.
        placement: Device and precision.
    """
    with placement.repeatable(0):
        placement.reset_peak()
        model = placement.lay_out(model, data.cohort)
        optimiser = build_optimiser(freeze(model, stage), stage.plan)
        index = data.train[: stage.plan.batch_size].to(data.cohort.labels.device)
        batch = placement.move(data.cohort.batch(index))
        seconds = float("inf")
        for _ in range(2):
            begin = time.perf_counter()
            model.train()
            optimiser.zero_grad(set_to_none=True)
            with placement.autocast():
                loss = stage.loss(model, batch)
            torch.autograd.backward(loss)
            optimiser.step()
            _wait(placement)
            seconds = time.perf_counter() - begin
        begin = time.perf_counter()
        predict_logits(model, data.cohort, data.validation[: len(index)], placement, batch_size=len(index))
        prediction = (time.perf_counter() - begin) / min(len(index), len(data.validation))
    steps = len(sizes(len(data.train), stage.plan.batch_size))
    return StepEstimate(steps * seconds + len(data.validation) * prediction, placement.peak_memory(), parameters_of(model))


def _wait(placement: Placement) -> None:
    if placement.is_cuda:
        torch.cuda.synchronize(placement.device)
