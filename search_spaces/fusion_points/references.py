"""What the configurations are compared with: the arms of arXiv 2505.02467 and one of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from nas_fusion import Configuration, Reference, Stage, Stream
from search_spaces.fusion_points.weights import prefix_of

if TYPE_CHECKING:
    from nas_fusion.cohorts import Inputs, Modality
    from search_spaces.fusion_points.layout import Layout
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
    """One stream that sees all modalities together.

    Args:
        modalities: Names of the modalities, images of one shape or vectors, in the order of stacking.
        stream: A stream for all their channels or features together.
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
    network) and `ensemble_of_placements` (the mean over separately trained placements), with each point's first choice. Early
    fusion is our addition: images of one shape are stacked as channels, vectors are put one after the other; there is none for
    other modalities.
    """
    arms = {f"alone:{m.name}": _alone(space, m, inputs) for m in inputs.modalities}
    first = {point: choices[1] for point, choices in space.parameters.items()}
    placements = tuple(space.complete({point: choice}) for point, choice in first.items())
    arms["late_fusion"] = Reference("late fusion", members=tuple(arms))
    arms["all_active"] = Reference("all points active", members=(space.complete(first),))
    arms["ensemble_of_placements"] = Reference("ensemble of placements", members=placements)
    together = stacked(inputs.modalities)
    if together is not None:
        model = partial(_early_fusion, inputs, together, space.layout)
        start = space.weights.start({together: "stream."}, len(inputs.classes))
        stage = Stage("early_fusion", space.plan_for(inputs), model, Configuration({}), start=start)
        arms["early_fusion"] = Reference("early fusion", (stage,), ours=True)
    return arms


def stacked(modalities: Sequence[Modality]) -> Modality | None:
    """Return images of one shape as one with all their channels, vectors as one of all their features; `None` for others."""
    first, kinds = modalities[0], {modality.kind for modality in modalities}
    if kinds not in ({"image"}, {"vector"}) or len({modality.shape[1:] for modality in modalities}) > 1:
        return None
    size = sum(modality.shape[0] for modality in modalities)
    return type(first)("stacked", first.kind, (size, *first.shape[1:]))


def _alone(space: FusionPointSpace, modality: Modality, inputs: Inputs) -> Reference:
    model = partial(_unimodal, modality, len(inputs.classes), space.layout)
    start = space.weights.start({modality: prefix_of(modality)}, len(inputs.classes))
    plan, name = space.plan_for(inputs), modality.name
    stage = Stage(f"alone:{name}", plan, model, Configuration({}), start=start, needs=name)
    return Reference(f"{name} alone", (stage,))


def _unimodal(modality: Modality, classes: int, layout: Layout) -> nn.Module:
    return Unimodal(modality.name, layout.stream(modality, classes))


def _early_fusion(inputs: Inputs, together: Modality, layout: Layout) -> nn.Module:
    """Return the network of early fusion: of the backbone that all modalities have, else of that for their kind."""
    backbones = {layout.name_of(modality) for modality in inputs.modalities}
    name = backbones.pop() if len(backbones) == 1 else layout.name_for(together.kind)
    return EarlyFusion(inputs.names, layout.stream_of(together, len(inputs.classes), name))
