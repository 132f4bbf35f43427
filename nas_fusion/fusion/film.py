"""Feature-wise linear modulation of each stream by all others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.options import check_at_least
from nas_fusion.fusion.spatial import mean_over_space, over_space


class FiLM(FusionModule):
    r"""Scales and shifts each stream's channels by what the other streams hold.

    With :math:`S_{-i}` the means over space of all streams but i, concatenated,

    .. math:: (\Delta\gamma_i, \beta_i) = W_i' \, \mathrm{ReLU}(W_i S_{-i} + b_i) + b_i', \quad
        \tilde X_i = (1 + \Delta\gamma_i) \odot X_i + \beta_i.

    The last layer starts at zero: a new module is the identity. Unlike MMTM a stream is not conditioned on itself, channels are
    also shifted, and the scale is not bounded. An absent modality is a vector of zeros in :math:`S_{-i}`: the others keep what
    the biases and the remaining modalities give them.

    Reference: Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, AAAI 2018, `arXiv 1709.07871
    <https://arxiv.org/abs/1709.07871>`_, section 2 (the affine transformation, eq. 1 and 2). There one input conditions a
    network; that each stream is conditioned on all others, by two layers, is our reading for several modalities.

    Args:
        channels: Channels of each stream's feature map, at least two streams.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.
        ratio: How many times smaller the hidden layer is than the others' channels together, at least 1.

    Raises:
        ValueError: If `ratio` is below 1.
    """

    def __init__(self, channels: Sequence[int], *, spatial_dims: int = 3, ratio: float = 4) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        check_at_least(1, ratio=ratio)
        others = [sum(self.channels) - width for width in self.channels]
        hidden = [max(1, int(width / ratio)) for width in others]
        self.conditions = nn.ModuleList(nn.Linear(o, h) for o, h in zip(others, hidden, strict=True))
        self.modulations = nn.ModuleList(nn.Linear(h, 2 * c) for h, c in zip(hidden, self.channels, strict=True))
        for parameter in self.modulations.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)`, scaled and shifted channel by channel."""
        self.check(features)
        means = [mean_over_space(feature) for feature in features]
        fused = []
        for i, (feature, condition, modulate) in enumerate(zip(features, self.conditions, self.modulations, strict=True)):
            hidden = torch.relu(condition(torch.cat([*means[:i], *means[i + 1 :]], dim=1)))
            scale, shift = modulate(hidden).chunk(2, dim=1)
            fused.append(feature * over_space(1 + scale, feature) + over_space(shift, feature))
        return fused
