"""The loss of a network of fusion points: the task's, and what its fusion modules add."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nas_fusion import FusionNetwork
from nas_fusion.cohorts import Batch


def fusion_loss(model: nn.Module, batch: Batch) -> torch.Tensor | dict[str, torch.Tensor]:
    """Return the mean cross-entropy of a batch, in nats; as the term `task` beside `penalty` where modules have one.

    Only the training minimises the penalty: what is selected, and a configuration's value, is the cross-entropy alone.
    """
    task = cross_entropy(model(batch.inputs, batch.present).float(), batch.labels)
    penalty = model.penalty() if isinstance(model, FusionNetwork) else None
    return task if penalty is None else {"task": task, "penalty": penalty}
