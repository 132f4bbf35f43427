"""A fusion module of one's own: each stream is shifted by a learned share of what all streams see."""

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion import FusionModule, register_module


@register_module("mean_shift")
class MeanShift(FusionModule):
    """Adds to each stream a learned projection of the global averages of all streams."""

    def __init__(self, channels: Sequence[int], *, spatial_dims: int = 3) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        self.projections = nn.ModuleList(nn.Linear(sum(channels), c) for c in channels)
        for projection in self.projections:
            nn.init.zeros_(projection.weight)  # the identity when fresh
            nn.init.zeros_(projection.bias)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the shifted features, each of the shape that it came with."""
        self.check(features)
        means = torch.cat([f.flatten(2).mean(dim=2) if f.ndim > 2 else f for f in features], dim=1)
        shifts = (projection(means) for projection in self.projections)
        return [f + s.reshape(*s.shape, *[1] * self.spatial_dims) for f, s in zip(features, shifts, strict=True)]
