"""The plug-in point for fusion modules, and its registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import torch
from torch import nn

from nas_fusion import plugins


class FusionModule(nn.Module, ABC):
    """Lets the streams of a network exchange information at one point.

    A freshly built module is the identity, so that activating it never changes what a trained network computes: inheritance
    starts from exactly the parent's loss.

    Args:
        channels: Channels of each stream's feature map at this point, at least two streams.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.

    Raises:
        ValueError: If there are fewer than two streams, a stream has no channel, or `spatial_dims` is out of range.
    """

    def __init__(self, channels: Sequence[int], *, spatial_dims: int = 3) -> None:
        super().__init__()
        if len(channels) < 2 or min(channels) < 1:
            raise ValueError(f"`channels` must give at least two streams at least one channel each, but got {list(channels)}.")
        if not 0 <= spatial_dims <= 3:
            raise ValueError(f"`spatial_dims` must be in [0, 3], but got {spatial_dims}.")
        self.channels = tuple(channels)
        self.spatial_dims = spatial_dims

    @property
    def label(self) -> str:
        """What it is called in the names of a network's tensors: the name of the class unless a module says otherwise."""
        return type(self).__name__

    def penalty(self) -> torch.Tensor | None:
        """Return what is added to the loss in training, a scalar that is already weighted; `None` for nothing."""
        return None

    @abstractmethod
    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the fused features, each of the shape that it came with.

        Args:
            features: One tensor `(batch, channels[i], *spatial_i)` a stream; streams may differ in resolution. Where a subject
                lacks a modality its features are zeros.
        """

    def check(self, features: Sequence[torch.Tensor]) -> None:
        """Raise unless features fit this module.

        Raises:
            ValueError: If the number of streams, a rank or a number of channels is not what the module was built for.
        """
        if len(features) != len(self.channels):
            raise ValueError(f"`features` must hold {len(self.channels)} streams, but got {len(features)}.")
        for i, (feature, channels) in enumerate(zip(features, self.channels, strict=True)):
            if feature.ndim != 2 + self.spatial_dims or feature.shape[1] != channels:
                axes = "".join(f", spatial_{k + 1}" for k in range(self.spatial_dims))
                raise ValueError(f"`features[{i}]` must have shape (batch, {channels}{axes}), but got {tuple(feature.shape)}.")


M = TypeVar("M", bound=type[FusionModule])


def register_module(name: str) -> Callable[[M], M]:
    """Return a class decorator that registers a fusion module under a name."""
    return plugins.register("modules", name)


def build_module(name: str, channels: Sequence[int], *, spatial_dims: int = 3, **options: object) -> FusionModule:
    """Return a freshly initialised fusion module.

    Args:
        name: A registered name, such as `mmtm`.
        channels: Channels of each stream's feature map.
        spatial_dims: Number of spatial axes, 0 to 3.
        **options: The module's own.

    Raises:
        ValueError: If no module has that name, or an option is not one of the module's or out of its range.
    """
    cls = plugins.load("modules", name)
    try:
        return cast(FusionModule, cls(channels, spatial_dims=spatial_dims, **options))
    except TypeError as error:
        raise ValueError(f"`options` must be options of the module {name!r}, but got {options}: {error}.") from None
