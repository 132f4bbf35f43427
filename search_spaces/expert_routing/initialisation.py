"""What a stage starts from: tensors of earlier stages, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from nas_fusion import MixtureOfExperts
from search_spaces.expert_routing.network import module_name

State = Mapping[str, torch.Tensor]

STATIC_STAGE = "static"
TEACHERS = "teachers."
_ENCODERS = "encoders."
_SINGLE_EXPERT = re.compile(r"(branches\.[^.]+\.\d+\.experts\.)0(\..+)")


def encoder_stage(modality: str) -> str:
    """Return the name of the stage that trains the encoder of a modality alone."""
    return f"encoder:{modality}"


def from_encoders(states: Mapping[str, State], modalities: Sequence[str], *, teachers: bool = False) -> dict[str, torch.Tensor]:
    """Return what a network of several modalities takes over from those of single ones: the encoders.

    Args:
        states: Of the earlier stages, by name.
        modalities: Names of the modalities.
        teachers: Whether the networks of single modalities are also what is distilled from.
    """
    found: dict[str, torch.Tensor] = {}
    for modality in modalities:
        state = states[encoder_stage(modality)]
        found |= {name: tensor for name, tensor in state.items() if name.startswith(_ENCODERS)}
        if teachers:
            found |= {f"{TEACHERS}{module_name(modality)}.{name}": tensor for name, tensor in state.items()}
    return found


def from_static(states: Mapping[str, State], *, experts: int) -> dict[str, torch.Tensor]:
    """Return what a network with mixtures takes over from the static one: all but the teachers.

    Each of a branch's experts begins as a copy of that branch's single expert, running statistics included. Routers are not in
    the static network: they stay as they are drawn. What is inherited from a parent, under `parent`, goes before it.

    Args:
        states: Of the earlier stages, by name.
        experts: The most experts that a branch has.
    """
    found: dict[str, torch.Tensor] = {}
    for name, tensor in states[STATIC_STAGE].items():
        single = _SINGLE_EXPERT.fullmatch(name)
        if single is not None:
            found |= {f"{single[1]}{i}{single[2]}": tensor for i in range(experts)}
        elif not name.startswith(TEACHERS):
            found[name] = tensor
    return found | _from_parent(states.get("parent", {}), experts)


def _from_parent(parent: State, experts: int) -> dict[str, torch.Tensor]:
    """Return what is inherited; where the parent has one expert, every expert begins as a copy of it."""
    found = dict(parent)
    for name, tensor in parent.items():
        single = _SINGLE_EXPERT.fullmatch(name)
        if single is not None and f"{single[1]}1{single[2]}" not in parent:
            found |= {f"{single[1]}{i}{single[2]}": tensor for i in range(experts)}
    return found


def add_noise(model: nn.Module, size: float) -> None:
    """Add normal noise to the parameters of every expert of a mixture, drawn from torch's global generator.

    Args:
        model: Changed in place.
        size: Standard deviation over the root mean square of each parameter's entries.
    """
    for module in model.modules():
        for parameter in module.experts.parameters() if isinstance(module, MixtureOfExperts) else ():
            scale = parameter.detach().square().mean().sqrt()
            parameter.data.add_(torch.randn_like(parameter) * (size * scale))
