"""What a trained model says of subjects."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from nas_fusion.cohorts import Batch, Cohort
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.stage import Observation


def logits_of(model: nn.Module, batch: Batch) -> Observation:
    """Return the logits `(batch, classes)`, and nothing beside them."""
    return model(batch.inputs, batch.present), {}


def predict_logits(
    model: nn.Module, cohort: Cohort, index: torch.Tensor, placement: Placement, *, batch_size: int = 64
) -> torch.Tensor:
    """Return a model's logits in evaluation mode, see `predict`."""
    return predict(model, cohort, index, placement, batch_size=batch_size)[0]


def predict(
    model: nn.Module,
    cohort: Cohort,
    index: torch.Tensor,
    placement: Placement,
    *,
    observe: Callable[[nn.Module, Batch], Observation] = logits_of,
    batch_size: int = 64,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return a model's logits in evaluation mode, and what is observed beside them.

    Args:
        model: On the placement's device; left in evaluation mode.
        cohort: Where the subjects are.
        index: Their positions `(n,)`.
        placement: Device and precision.
        observe: Logits and named tensors `(batch, ...)` of a batch.
        batch_size: Subjects at a time; halved where the memory does not suffice.

    Returns:
        Logits `(n, classes)`, float64, on the CPU, and the mean of each observed tensor over the subjects, on the CPU.
    """
    model.eval()
    while True:
        try:
            return _predict(model, cohort, torch.split(index.to(cohort.labels.device), batch_size), placement, observe)
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
            torch.cuda.empty_cache()
            batch_size //= 2


@torch.inference_mode()
def _predict(
    model: nn.Module,
    cohort: Cohort,
    batches: Sequence[torch.Tensor],
    placement: Placement,
    observe: Callable[[nn.Module, Batch], Observation],
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    logits, sums = [], dict[str, torch.Tensor]()
    for rows in batches:
        batch = placement.move(cohort.batch(rows))
        with placement.autocast():
            found, observed = observe(model, batch)
        logits.append(found.double())
        for name, values in observed.items():
            sums[name] = sums.get(name, 0) + values.double().sum(dim=0)
    n = sum(map(len, batches))
    return torch.cat(logits).cpu(), {name: values.cpu() / n for name, values in sums.items()}


def cross_entropy_of(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean cross-entropy of logits `(n, classes)` for labels `(n,)`, in nats, computed in float64."""
    return float(nn.functional.cross_entropy(logits, labels.cpu()))


def probabilities_of(logits: torch.Tensor) -> torch.Tensor:
    """Return the softmax of logits `(n, classes)`, float64."""
    return logits.double().softmax(dim=1)
