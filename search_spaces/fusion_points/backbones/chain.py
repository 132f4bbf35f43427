"""Streams that are chains of stages; what their taps are is found by running the chain without data."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from nas_fusion.fusion import Stream, Tap
from nas_fusion.fusion.backbone import Described
from search_spaces.fusion_points.backbones.matrices import channels_of, of_matrices, size_of


def chain(
    stages: Mapping[str, nn.Module], head: nn.Module, points: Sequence[str], modality: Described, *, network: nn.Module
) -> Stream:
    """Return the stream of a modality; channels and reduction of its taps are those that its stages have on the modality.

    Args:
        stages: Name to module, in order.
        head: From the last stage's features to logits.
        points: The stages that get a tap, in order.
        modality: What the first stage takes.
        network: What the stages are made of; it says the names of stored weights.

    Raises:
        ValueError: If nothing is left of the modality after some stage.
    """
    taps = _found(stages, points, modality)
    stream = Stream(stages, head, taps, spatial_dims=modality.spatial_dims)
    return of_matrices(stream, modality).named_after(network)


def cut(stage: str, units: Sequence[tuple[str, nn.Module]], points: Sequence[str], *, word: str) -> dict[str, nn.Module]:
    """Return the parts of a stage that end at its points.

    Args:
        stage: Its name, the point after its last unit.
        units: The stage's parts in order, with their names.
        points: Those wanted; the point after the unit i, counted from 1, is `<stage>_<word><i>`.
        word: Such as `block`.
    """
    parts: dict[str, nn.Module] = {}
    held: list[tuple[str, nn.Module]] = []
    for point, unit in zip(unit_points(stage, len(units), word=word), units, strict=True):
        held.append(unit)
        if point == stage or point in points:
            parts[point], held = nn.Sequential(OrderedDict(held)), []
    return parts


def unit_points(stage: str, units: int, *, word: str) -> tuple[str, ...]:
    """Return the points of a stage: after each of its units, the last one being the stage's own."""
    return (*(f"{stage}_{word}{i}" for i in range(1, units)), stage)


def _found(stages: Mapping[str, nn.Module], points: Sequence[str], modality: Described) -> list[Tap]:
    """Return the taps, from a run on the meta device in evaluation mode: it computes shapes only."""
    size = size_of(modality)
    features = torch.empty(2, channels_of(modality), *size, device="meta")
    taps = []
    for name, stage in stages.items():
        features = _shapes(stage, features, name, modality)
        if name in points:
            reduction = max(before / after for before, after in zip(size, features.shape[2:], strict=True))
            taps.append(Tap(name, features.shape[1], reduction))
    return taps


def _shapes(stage: nn.Module, features: torch.Tensor, name: str, modality: Described) -> torch.Tensor:
    tensors = {key: tensor.to("meta") for key, tensor in (*stage.named_parameters(), *stage.named_buffers())}
    training = stage.training
    stage.eval()
    try:
        with torch.no_grad():
            found: torch.Tensor = torch.func.functional_call(stage, tensors, (features,))
    except RuntimeError as error:
        raise ValueError(
            f"`modality` must be large enough for the backbone, but of {modality.name!r} with shape {modality.shape} nothing "
            f"is left in {name!r}: {str(error).splitlines()[0]}"
        ) from None
    finally:
        stage.train(training)
    return found
