"""What the configurations are compared with: the arms of arXiv 2505.02467 and one of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from nas_fusion import Configuration, Reference, Stage, Stream
from search_spaces.fusion_points.backbones import BackboneOptions, build_stream

if TYPE_CHECKING:
    from nas_fusion.cohorts import Inputs, Modality
    from search_spaces.fusion_points.space import FusionPointSpace


class Unimodal(nn.Module):
    """The stream of one modality as a model of its own; its tensors have the names that they have in a `FusionNetwork`.

    Args:
        modality: Name of the modality.
        stream: Its stream.
    """

    def __init__(self, modality: str, stream: Stream) -> None:
        super().__init__()
        self.modality = modality
        self.streams = nn.ModuleDict({modality.replace(".", "%2E"): stream})

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits `(batch, classes)`; other modalities and `present` are not looked at."""
        (stream,) = self.streams.values()
        logits: torch.Tensor = stream(inputs[self.modality])
        return logits


class EarlyFusion(nn.Module):
    """One stream that sees all modalities stacked as channels.

    Args:
        modalities: Names of the modalities, images of one shape, in the order of stacking.
        stream: A stream for all their channels together.
    """

    def __init__(self, modalities: tuple[str, ...], stream: Stream) -> None:
        super().__init__()
        self.modalities = modalities
        self.stream = stream

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits `(batch, classes)`; modalities that a subject lacks count as zeros."""
        images = [inputs[name] for name in self.modalities]
        if present is not None:
            images = [
                image.masked_fill(~mask.reshape(-1, *[1] * (image.ndim - 1)), 0)
                for image, mask in zip(images, present.bool().unbind(1), strict=True)
            ]
        logits: torch.Tensor = self.stream(torch.cat(images, dim=1))
        return logits


def references(space: FusionPointSpace, inputs: Inputs) -> dict[str, Reference]:
    """Return the comparison arms of a space for a cohort, by key.

    "Brute-force ensemble" is not explained in arXiv 2505.02467: both readings are here, `all_active` (every module in one
    network) and `ensemble_of_placements` (the mean over separately trained placements), with the space's first module. Early
    fusion (stacked channels) is our addition; it exists where all modalities are images of one shape.
    """
    classes, module = len(inputs.classes), space.modules[0]
    arms = {f"alone:{m.name}": _alone(space, m, inputs) for m in inputs.modalities}
    placements = tuple(space.complete({point: module}) for point in space.parameters)
    everywhere = space.complete(dict.fromkeys(space.parameters, module))
    arms["late_fusion"] = Reference("late fusion", members=tuple(arms))
    arms["all_active"] = Reference("all points active", members=(everywhere,))
    arms["ensemble_of_placements"] = Reference("ensemble of placements", members=placements)
    if len({(m.kind, m.shape[1:]) for m in inputs.modalities}) == 1 and inputs.modalities[0].kind == "image":
        model = partial(_early_fusion, inputs, classes, space.backbone, space.points)
        arms["early_fusion"] = Reference("early fusion", (_stage(space, inputs, "early_fusion", model),), ours=True)
    return arms


def _alone(space: FusionPointSpace, modality: Modality, inputs: Inputs) -> Reference:
    model = partial(_unimodal, modality, len(inputs.classes), space.backbone, space.points)
    stage = replace(_stage(space, inputs, f"alone:{modality.name}", model), needs=modality.name)
    return Reference(f"{modality.name} alone", (stage,))


def _stage(space: FusionPointSpace, inputs: Inputs, name: str, model: partial[nn.Module]) -> Stage:
    return Stage(name, space.plan_for(inputs), model, Configuration({}))


def _unimodal(modality: Modality, classes: int, options: BackboneOptions, points: Sequence[str]) -> nn.Module:
    return Unimodal(modality.name, build_stream(modality, classes, options, points))


def _early_fusion(inputs: Inputs, classes: int, options: BackboneOptions, points: Sequence[str]) -> nn.Module:
    first = inputs.modalities[0]
    channels = sum(modality.shape[0] for modality in inputs.modalities)
    stacked = type(first)("stacked", "image", (channels, *first.shape[1:]))
    return EarlyFusion(inputs.names, build_stream(stacked, classes, options, points))
