"""Squeeze-and-excitation of each stream by itself: a control without any exchange."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.options import check_at_least
from nas_fusion.fusion.spatial import mean_over_space, over_space


class SEGate(FusionModule):
    r"""Gates the channels of each stream by what that stream itself holds: no stream hears another.

    With :math:`S_i` the mean over space of stream i,

    .. math:: \tilde X_i = 2 \sigma(W_i' \, \mathrm{ReLU}(W_i S_i + b_i) + b_i') \odot X_i.

    It is the control for modules such as MMTM, which has the same gates from a joint vector: what this module gains comes from
    recalibration, not from another modality. The gate is :math:`2 \sigma` instead of the source's :math:`\sigma`, with a last
    layer that starts at zero, so that a new module is the identity. A stream of zeros (an absent modality) stays zero.

    Reference: Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, `arXiv 1709.01507 <https://arxiv.org/abs/1709.01507>`_,
    section 3.1 (squeeze, eq. 2), section 3.2 (excitation and scale, eq. 3 and 4); the ratio 16 is the source's.

    Args:
        channels: Channels of each stream's feature map, at least two streams.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.
        ratio: How many times smaller the squeezed vector is than a stream's channels, at least 1; it has at least one entry.

    Raises:
        ValueError: If `ratio` is below 1.
    """

    def __init__(self, channels: Sequence[int], *, spatial_dims: int = 3, ratio: float = 16) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        check_at_least(1, ratio=ratio)
        hidden = [max(1, int(width / ratio)) for width in self.channels]
        self.squeezes = nn.ModuleList(nn.Linear(c, h) for c, h in zip(self.channels, hidden, strict=True))
        self.excitations = nn.ModuleList(nn.Linear(h, c) for c, h in zip(self.channels, hidden, strict=True))
        for parameter in self.excitations.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)`, its channels gated by itself."""
        self.check(features)
        layers = zip(features, self.squeezes, self.excitations, strict=True)
        return [
            x * over_space(2 * torch.sigmoid(excite(torch.relu(squeeze(mean_over_space(x))))), x)
            for x, squeeze, excite in layers
        ]
