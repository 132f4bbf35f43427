"""What a model costs, and with which versions it was trained."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nas_fusion.cohorts import Cohort
from nas_fusion.evaluation.device import Placement


def parameters_of(model: nn.Module) -> int:
    """Return the number of numbers in a model's parameters, trained or frozen."""
    return sum(parameter.numel() for parameter in model.parameters())


def flops_of(model: nn.Module, cohort: Cohort, placement: Placement) -> int:
    """Return the floating-point operations of a prediction of one subject (a multiplication with an addition counts two).

    Attention is computed by its formula while they are counted: the counter knows no fused attention on CPUs.
    """
    model.eval()
    batch = placement.move(cohort.batch(torch.zeros(1, dtype=torch.long, device=cohort.labels.device)))
    attention = sdpa_kernel(SDPBackend.MATH)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), placement.autocast(), attention:
        model(batch.inputs, batch.present)
    return int(counter.get_total_flops())


def versions() -> dict[str, str]:
    """Return the installed versions of nas-fusion and of what the numbers depend on."""
    return {name: found for name in ("nas-fusion", "torch", "optuna", "monai") if (found := _version(name)) is not None}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
