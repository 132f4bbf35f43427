"""The network of several streams that exchange information at some points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.stream import Stream


class FusionNetwork(nn.Module):
    """Streams side by side, with fusion modules between them; the prediction is the mean of the streams' logits.

    What a fusion module returns is what the *next stage of every stream* receives (arXiv 2505.02467, section III). Without any
    module the streams meet only in the mean of their logits: that is the baseline A_0.

    Names in the state dict are stable: `streams.<modality>.*` do not depend on the modules, and each module has names of its
    own (`fusion.<point>-<class>.*`). So activating a point only adds tensors, and weights are inherited by name.

    Where a subject lacks a modality, its input and its features at every fusion point count as zeros and its logits do not
    count: what stands in the input there has no influence on the prediction.

    Args:
        streams: Modality to stream, at least two, in the order of the columns of `present`. All have the taps at which modules
            sit. Streams may differ in resolution and in the number of spatial axes (a vector counts as a map of one voxel).
        modules: Point (name of a tap) to fusion module, built for the streams' channels there.

    Raises:
        ValueError: If there are fewer than two streams, a name cannot be used, a stream lacks a point, or a module was built
            for other channels or spatial axes.
    """

    def __init__(self, streams: Mapping[str, Stream], modules: Mapping[str, FusionModule] | None = None) -> None:
        super().__init__()
        if len(streams) < 2:
            raise ValueError(f"`streams` must be at least two, but got {list(streams)}.")
        self.modalities = tuple(streams)
        self.spatial_dims = max(stream.spatial_dims for stream in streams.values())
        self.streams = nn.ModuleDict()
        for name, stream in streams.items():
            self.streams[_key(name, self.streams)] = stream
        chosen = dict(modules or {})
        self.points = _ordered(chosen, streams)
        self.fusion = nn.ModuleDict({f"{point}-{type(chosen[point]).__name__}": chosen[point] for point in self.points})
        for point in self.points:
            self._check_module(point, chosen[point])

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits `(batch, classes)`.

        Args:
            inputs: Modality to tensor `(batch, *shape)`.
            present: Boolean `(batch, modalities)`, which modalities each subject has, at least one; `None` for all.

        Raises:
            ValueError: If a modality is missing, or `present` has another shape or a subject without any modality.
        """
        masks = self._checked(inputs, present)
        logits = torch.stack(self._run([inputs[name] for name in self.modalities], masks))
        if masks is None:
            return logits.sum(0) / len(self.modalities)
        shown = torch.stack(masks).unsqueeze(2)
        return logits.masked_fill(~shown, 0).sum(0) / shown.sum(0)

    def by_stream(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return what each stream says: modality to logits `(batch, classes)`, those of absent modalities without meaning.

        Takes what `forward` takes, which returns the mean of these.
        """
        masks = self._checked(inputs, present)
        return dict(zip(self.modalities, self._run([inputs[name] for name in self.modalities], masks), strict=True))

    def _run(self, inputs: list[torch.Tensor], masks: Sequence[torch.Tensor] | None) -> list[torch.Tensor]:
        streams = [stream for stream in self.streams.values() if isinstance(stream, Stream)]
        features, after = _shown(inputs, masks), None
        for point, module in zip(self.points, self.fusion.values(), strict=True):
            features = [stream.advance(x, after, point) for stream, x in zip(streams, features, strict=True)]
            features = self._fuse(module, _shown(features, masks))
            after = point
        return [stream.advance(x, after, None) for stream, x in zip(streams, features, strict=True)]

    def _fuse(self, module: nn.Module, features: list[torch.Tensor]) -> list[torch.Tensor]:
        lifted = [x.reshape(*x.shape, *[1] * (self.spatial_dims + 2 - x.ndim)) for x in features]
        return [fused.reshape(x.shape) for fused, x in zip(module(lifted), features, strict=True)]

    def _checked(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None) -> tuple[torch.Tensor, ...] | None:
        """Return the mask `(batch,)` of each modality, `None` where all are known to be complete."""
        missing = [name for name in self.modalities if name not in inputs]
        if missing:
            raise ValueError(f"`inputs` must hold {list(self.modalities)}, but {missing} are missing.")
        if present is None:
            return None
        batch = len(inputs[self.modalities[0]])
        if present.shape != (batch, len(self.modalities)):
            expected = (batch, len(self.modalities))
            raise ValueError(f"`present` must have shape {expected}, but got {tuple(present.shape)}.")
        if present.device.type == "cpu":  # elsewhere looking at the values would wait for the device
            if bool(present.all()):
                return None
            if not bool(present.any(1).all()):
                raise ValueError("`present` must show at least one modality for each subject, but got a subject without any.")
        return present.bool().unbind(1)

    def _check_module(self, point: str, module: FusionModule) -> None:
        channels = tuple(stream.taps[point].channels for stream in self.streams.values() if isinstance(stream, Stream))
        if module.channels != channels or module.spatial_dims != self.spatial_dims:
            raise ValueError(
                f"`modules` must fit the streams at {point!r}, {channels} channels with {self.spatial_dims} spatial axes, "
                f"but got a module for {module.channels} with {module.spatial_dims}."
            )


def _ordered(modules: Mapping[str, FusionModule], streams: Mapping[str, Stream]) -> tuple[str, ...]:
    """Return the points that have a module, in the order in which all streams pass them."""
    for point in modules:
        for name, stream in streams.items():
            if point not in stream.taps:
                raise ValueError(f"`modules` must sit at taps of {name!r}, {list(stream.taps)}, but got {point!r}.")
    orders = {tuple(tap for tap in stream.taps if tap in modules) for stream in streams.values()}
    if len(orders) > 1:
        raise ValueError(f"`streams` must pass the points in the same order, but got {sorted(orders)}.")
    return orders.pop()


def _shown(features: list[torch.Tensor], masks: Sequence[torch.Tensor] | None) -> list[torch.Tensor]:
    if masks is None:
        return features
    return [x.masked_fill(~mask.reshape(-1, *[1] * (x.ndim - 1)), 0) for x, mask in zip(features, masks, strict=True)]


def _key(name: str, taken: nn.ModuleDict) -> str:
    key = name.replace(".", "%2E")  # torch separates the names of nested modules by dots
    if not name or hasattr(taken, key):
        raise ValueError(f"`streams` must have names that torch modules may have, but got {name!r}.")
    return key
