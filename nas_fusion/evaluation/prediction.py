"""What a trained model says of subjects."""

from __future__ import annotations

import torch
from torch import nn

from nas_fusion.cohorts import Cohort
from nas_fusion.evaluation.device import Placement


def predict_logits(
    model: nn.Module, cohort: Cohort, index: torch.Tensor, placement: Placement, *, batch_size: int = 64
) -> torch.Tensor:
    """Return a model's logits in evaluation mode.

    Args:
        model: On the placement's device; left in evaluation mode.
        cohort: Where the subjects are.
        index: Their positions `(n,)`.
        placement: Device and precision.
        batch_size: Subjects at a time; halved where the memory does not suffice.

    Returns:
        `(n, classes)`, float64, on the CPU.
    """
    model.eval()
    while True:
        try:
            return _logits(model, cohort, index, placement, batch_size)
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
            torch.cuda.empty_cache()
            batch_size //= 2


@torch.inference_mode()
def _logits(model: nn.Module, cohort: Cohort, index: torch.Tensor, placement: Placement, batch_size: int) -> torch.Tensor:
    logits = []
    for rows in torch.split(index.to(cohort.labels.device), batch_size):
        batch = placement.move(cohort.batch(rows))
        with placement.autocast():
            logits.append(model(batch.inputs, batch.present).double())
    return torch.cat(logits).cpu()


def cross_entropy_of(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean cross-entropy of logits `(n, classes)` for labels `(n,)`, in nats, computed in float64."""
    return float(nn.functional.cross_entropy(logits, labels.cpu()))


def probabilities_of(logits: torch.Tensor) -> torch.Tensor:
    """Return the softmax of logits `(n, classes)`, float64."""
    return logits.double().softmax(dim=1)
