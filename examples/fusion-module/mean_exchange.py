"""A fusion module: streams shift each other by what they see on average."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion import FusionModule


class MeanExchange(FusionModule):
    """Adds to each channel of a stream a shift that is computed from the means of all other streams.

    A perceptron for each stream takes the means over space of the others' channels and returns a shift for each of its own
    channels. Its last layer begins at zero, so a freshly built module is the identity.

    Args:
        channels: Channels of each stream's feature map.
        spatial_dims: Number of spatial axes, 0 to 3.
        ratio: How many times fewer hidden units than the streams have channels together, at least 1.

    Raises:
        ValueError: If `ratio` is below 1, or as `FusionModule`.
    """

    def __init__(self, channels: Sequence[int], *, spatial_dims: int = 3, ratio: int = 4) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        if ratio < 1:
            raise ValueError(f"`ratio` must be at least 1, but got {ratio}.")
        total = sum(channels)
        hidden = max(1, total // ratio)
        self.squeeze = nn.ModuleList(nn.Linear(total - own, hidden) for own in channels)
        self.shift = nn.ModuleList(_zero(nn.Linear(hidden, own)) for own in channels)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the shifted features, each of the shape `(batch, channels[i], *spatial_i)` that it came with."""
        self.check(features)
        means = [feature.flatten(2).mean(-1) if self.spatial_dims else feature for feature in features]
        return [feature + self._shift(i, means, feature) for i, feature in enumerate(features)]

    def _shift(self, stream: int, means: list[torch.Tensor], feature: torch.Tensor) -> torch.Tensor:
        others = torch.cat([mean for i, mean in enumerate(means) if i != stream], dim=1)
        shift = self.shift[stream](torch.tanh(self.squeeze[stream](others)))
        return shift.to(feature.dtype).reshape(*shift.shape, *[1] * self.spatial_dims)


def _zero(layer: nn.Linear) -> nn.Linear:
    """Return a layer whose output is zero until it has been trained."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
