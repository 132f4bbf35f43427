"""Channel and spatial attention of each stream, computed from all streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.options import check_at_least, check_whole
from nas_fusion.fusion.spatial import mean_over_space, over_space, resampled

_CONVOLUTIONS: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class ChannelSpatial(FusionModule):
    r"""Gates each stream's channels, then its places, both by what all streams hold.

    With the means :math:`S^\mathrm{avg}` and maxima :math:`S^\mathrm{max}` over space of all streams, concatenated, and the
    means and maxima over channels :math:`M` of all gated streams :math:`Y_j` (brought to the resolution of stream i by area
    averaging),

    .. math::
        Y_i &= 2 \sigma(f_i(S^\mathrm{avg}) + f_i(S^\mathrm{max})) \odot X_i, \\
        \tilde X_i &= 2 \sigma(\mathrm{conv}_i([M_1, \dots, M_n])) \odot Y_i,

    where :math:`f_i` are two layers, the first one (with ReLU) the same for all streams. The last layer and the convolutions
    start at zero, both gates at 1: a new module is the identity. Vectors have one place, whose gate scales the whole vector.

    An absent modality (zeros) has means and maxima of zero: the others are gated by what the rest and the biases say.

    Reference: Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, `arXiv 1807.06521
    <https://arxiv.org/abs/1807.06521>`_, section 3 (channel attention, eq. 2; spatial attention with a kernel of 7, eq. 3;
    channels first). There one stream gates itself with :math:`\sigma`; descriptors of all streams and the gate
    :math:`2 \sigma` are our reading across modalities, after MMTM (`arXiv 1911.08670 <https://arxiv.org/abs/1911.08670>`_).

    Args:
        channels: Channels of each stream's feature map, at least two streams.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.
        ratio: How many times smaller the hidden layer is than all channels together, at least 1; the source's is 16.
        kernel: Edge of the spatial convolution, odd, at least 1.

    Raises:
        ValueError: If an option is out of its range.
    """

    def __init__(self, channels: Sequence[int], *, spatial_dims: int = 3, ratio: float = 16, kernel: int = 7) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        check_at_least(1, ratio=ratio)
        check_whole(kernel=kernel)
        if kernel % 2 == 0:
            raise ValueError(f"`kernel` must be odd, but got {kernel!r}.")
        hidden = max(1, int(sum(self.channels) / ratio))
        around: dict[str, Any] = {"kernel_size": kernel, "padding": kernel // 2} if spatial_dims else {}
        convolution = _CONVOLUTIONS[spatial_dims]
        self.squeeze = nn.Linear(sum(self.channels), hidden)
        self.excitations = nn.ModuleList(nn.Linear(hidden, width) for width in self.channels)
        self.places = nn.ModuleList(convolution(2 * len(self.channels), 1, **around) for _ in self.channels)
        for parameter in (*self.excitations.parameters(), *self.places.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)`, its channels and places gated."""
        self.check(features)
        gated = self._by_channel(features)
        maps = [torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1) for x in gated]
        fused = []
        for feature, convolve in zip(gated, self.places, strict=True):
            size = tuple(feature.shape[2:])
            seen = torch.cat([resampled(other, size) for other in maps], dim=1)
            fused.append(feature * (2 * torch.sigmoid(convolve(seen))).to(feature.dtype))
        return fused

    def _by_channel(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        means = torch.cat([mean_over_space(x) for x in features], dim=1)
        maxima = torch.cat([x.flatten(2).amax(2) if x.ndim > 2 else x for x in features], dim=1)
        joint = torch.relu(self.squeeze(means)), torch.relu(self.squeeze(maxima))
        return [
            x * over_space(2 * torch.sigmoid(excite(joint[0]) + excite(joint[1])), x)
            for x, excite in zip(features, self.excitations, strict=True)
        ]
