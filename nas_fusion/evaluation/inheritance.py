"""Inheritance: a model starts from the tensors of another that have the same name and shape."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from nas_fusion.evaluation.stage import State


@dataclass(frozen=True)
class Inherited:
    """What a model took over and what it did not.

    Attributes:
        taken: Names of the tensors that were taken over, parameters and buffers.
        fresh: Names of the model's other tensors: freshly initialised.
        unused: Names of the tensors that were offered in vain.
        numbers: How many numbers (elements of parameters) were taken over.
    """

    taken: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    numbers: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-compatible mapping."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def inherit(model: nn.Module, state: State) -> Inherited:
    """Load every tensor of a state into a model that has one of the same name, shape and type; leave the rest as it is.

    Args:
        model: Freshly initialised; changed in place.
        state: Tensors by name, such as the parent's state dict.

    Returns:
        What was taken over.
    """
    own = model.state_dict()
    taken = [name for name, tensor in own.items() if name in state and _alike(tensor, state[name])]
    with torch.no_grad():
        for name in taken:
            own[name].copy_(state[name])
    return Inherited(
        taken=tuple(taken),
        fresh=tuple(name for name in own if name not in taken),
        unused=tuple(name for name in state if name not in taken),
        numbers=sum(p.numel() for name, p in model.named_parameters() if name in taken),
    )


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype
