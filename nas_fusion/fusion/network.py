"""The network of several streams that exchange information at some points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from nas_fusion.fusion.joins import Taps, joins
from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.stream import Stream

_DOT = "%2E"


class FusionNetwork(nn.Module):
    """Streams side by side, with fusion modules between them; the prediction is the mean of the streams' logits.

    What a fusion module returns is what the *next stage of every stream* receives (arXiv 2505.02467, section III). Without any
    module the streams meet only in the mean of their logits: that is the baseline A_0.

    Names in the state dict are stable: `streams.<modality>.*` do not depend on the modules, and each module has names of its
    own (`fusion.<point>-<label>.*`). So activating a point only adds tensors, and weights are inherited by name.

    Where a subject lacks a modality, its input and its features at every fusion point count as zeros and its logits do not
    count: what stands in the input there has no influence on the prediction.

    Streams may meet at different depths, and not all of them need to meet at a point: `taps` says who meets where.

    Args:
        streams: Modality to stream, at least two, in the order of the columns of `present`. Streams may differ in resolution
            and in the number of spatial axes (a vector counts as a map of one voxel).
        modules: Point to fusion module, built for the channels there of the streams that meet, and for the most spatial axes
            among them.
        taps: Point to the modalities that meet there and the names of their taps. At a point that it does not name, all
            streams meet at their tap of the point's own name. It may name points without a module, and should if two points
            are at the same tap of a stream: they are passed in the order in which they are named here.

    Raises:
        ValueError: If there are fewer than two streams, a name cannot be used, a modality or a tap is unknown, streams pass
            points in opposite order, or a module was built for other channels or spatial axes.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        modules: Mapping[str, FusionModule] | None = None,
        *,
        taps: Mapping[str, Taps] | None = None,
    ) -> None:
        super().__init__()
        if len(streams) < 2:
            raise ValueError(f"`streams` must be at least two, but got {list(streams)}.")
        self.modalities = tuple(streams)
        self.streams = nn.ModuleDict()
        for name, stream in streams.items():
            self.streams[_key(name, self.streams)] = stream
        chosen = dict(modules or {})
        table = joins(list(chosen), taps, {name: list(stream.taps) for name, stream in streams.items()})
        self.joins: Mapping[str, Taps] = {point: table[point] for point in table if point in chosen}
        for point, taps_there in self.joins.items():
            _check_module(chosen[point], point, [(streams[name], tap) for name, tap in taps_there.items()])
        self.fusion = nn.ModuleDict(
            {f"{point}-{chosen[point].label}".replace(".", _DOT): chosen[point] for point in self.points}
        )

    @property
    def points(self) -> tuple[str, ...]:
        """The points that have a module, in the order in which they are passed."""
        return tuple(self.joins)

    def penalty(self) -> torch.Tensor | None:
        """Return the sum of what the modules add to the loss in training, a scalar; `None` if no module adds anything."""
        found = [module.penalty() for module in self.fusion.values() if isinstance(module, FusionModule)]
        terms = [term for term in found if term is not None]
        return torch.stack(terms).sum() if terms else None

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
        passes = [stream.begin() for stream in self.streams.values() if isinstance(stream, Stream)]
        features, standing = _shown(inputs, masks), list[str | None]([None] * len(passes))
        for taps, module in zip(self.joins.values(), self.fusion.values(), strict=True):
            members = [self.modalities.index(name) for name in taps]
            for i, tap in zip(members, taps.values(), strict=True):
                if tap != standing[i]:
                    features[i], standing[i] = passes[i].advance(features[i], tap), tap
            met = _shown([features[i] for i in members], None if masks is None else [masks[i] for i in members])
            for i, fused in zip(members, _fused(module, met), strict=True):
                features[i] = fused
        return [each.advance(x, None) for each, x in zip(passes, features, strict=True)]

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


def _check_module(module: FusionModule, point: str, members: Sequence[tuple[Stream, str]]) -> None:
    channels = tuple(stream.taps[tap].channels for stream, tap in members)
    spatial_dims = max(stream.spatial_dims for stream, _ in members)
    if module.channels != channels or module.spatial_dims != spatial_dims:
        raise ValueError(
            f"`modules` must fit the streams at {point!r}, {channels} channels with {spatial_dims} spatial axes, "
            f"but got a module for {module.channels} with {module.spatial_dims}."
        )


def _fused(module: nn.Module, features: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return what a module makes of features, each lifted to as many axes as the module takes."""
    assert isinstance(module, FusionModule), "Should not reach."
    lifted = [x.reshape(*x.shape, *[1] * (module.spatial_dims + 2 - x.ndim)) for x in features]
    return [fused.reshape(x.shape) for fused, x in zip(module(lifted), features, strict=True)]


def _shown(features: list[torch.Tensor], masks: Sequence[torch.Tensor] | None) -> list[torch.Tensor]:
    if masks is None:
        return list(features)
    return [x.masked_fill(~mask.reshape(-1, *[1] * (x.ndim - 1)), 0) for x, mask in zip(features, masks, strict=True)]


def _key(name: str, taken: nn.ModuleDict) -> str:
    key = name.replace(".", _DOT)  # torch separates the names of nested modules by dots
    if not name or hasattr(taken, key):
        raise ValueError(f"`streams` must have names that torch modules may have, but got {name!r}.")
    return key
