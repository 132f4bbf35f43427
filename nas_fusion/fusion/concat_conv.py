"""Concatenation and 1×1 convolution: fusion place by place instead of channel by channel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.spatial import pointwise, resampled


class ConcatConv(FusionModule):
    r"""Adds to each stream a 1×1 convolution of all streams' features, concatenated.

    .. math:: \tilde X_i = X_i + W_i [X_1, \dots, X_n] + b_i

    The convolutions start at zero: a new module is the identity. Streams of another resolution are first brought to that of
    stream i by area averaging (adaptive average pooling). Unlike MMTM it sees whether two things are at the same place.

    Reference: the comparison that `arXiv 2505.02467 <https://arxiv.org/abs/2505.02467>`_ leaves to the reader (does the best
    point move with another module?); section III.C describes the module that it replaces.

    Args:
        channels: Channels of each stream's feature map, at least two streams.
        spatial_dims: Number of spatial axes, 0 (vectors; a linear layer) to 3.
    """

    def __init__(self, channels: Sequence[int], *, spatial_dims: int = 3) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        self.convolutions = nn.ModuleList(
            pointwise(sum(self.channels), width, spatial_dims=spatial_dims) for width in self.channels
        )
        for parameter in self.convolutions.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)` plus what the convolution of all adds."""
        self.check(features)
        joined: dict[torch.Size, torch.Tensor] = {}
        for feature in features:
            size = feature.shape[2:]
            if size not in joined:
                joined[size] = torch.cat([resampled(other, size) for other in features], dim=1)
        return [
            feature + convolve(joined[feature.shape[2:]]).to(feature.dtype)
            for feature, convolve in zip(features, self.convolutions, strict=True)
        ]
