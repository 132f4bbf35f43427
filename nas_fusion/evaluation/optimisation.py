"""Optimisers and learning rates of a training plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR, StepLR

from nas_fusion.evaluation.stage import TrainingPlan

_WARM_UP = 0.2  # of all steps
_MOMENTUM = 0.9


def build_optimiser(parameters: Iterable[nn.Parameter], plan: TrainingPlan) -> Optimizer:
    """Return the optimiser of a plan; fused, which on a CPU too costs one pass over the parameters."""
    settings: dict[str, Any] = {"lr": plan.learning_rate, "weight_decay": plan.weight_decay, "fused": True}
    if plan.optimiser == "sgd":
        return SGD(parameters, momentum=_MOMENTUM, **settings)
    return {"adamw": AdamW, "adam": Adam}[plan.optimiser](parameters, **settings)


def build_schedule(optimiser: Optimizer, plan: TrainingPlan, steps_per_epoch: int) -> LRScheduler:
    """Return the learning rate of a plan, advanced once a step.

    Args:
        optimiser: Whose learning rate is scheduled.
        plan: `one_cycle` warms up over a fifth of all steps (arXiv 1708.07120; at least one step), `cosine` falls to zero,
            `step` falls by a fifth every 50 epochs.
        steps_per_epoch: Optimiser steps an epoch.
    """
    total = plan.epochs * steps_per_epoch
    if plan.schedule == "one_cycle" and total > 2:
        warm_up = max(_WARM_UP, 2 / total)  # torch counts one step less, and would divide by zero
        return OneCycleLR(optimiser, plan.learning_rate, total_steps=total, pct_start=warm_up)
    if plan.schedule == "cosine":
        return CosineAnnealingLR(optimiser, total)
    if plan.schedule == "step":
        return StepLR(optimiser, 50 * steps_per_epoch, gamma=0.8)
    return LambdaLR(optimiser, lambda step: 1.0)
