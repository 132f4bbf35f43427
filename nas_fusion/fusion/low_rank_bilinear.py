"""Low-rank bilinear fusion: products of streams, place by place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.options import check_at_least
from nas_fusion.fusion.spatial import pointwise, resampled


class LowRankBilinear(FusionModule):
    r"""Adds to each stream a low-rank bilinear form of itself and each other stream, at every place.

    .. math:: \tilde X_i = X_i + P_i \sum_{j \ne i} \tanh(U_i X_i) \circ \tanh(V_j X_j)

    with 1×1 convolutions :math:`U_i, V_j` to `rank` maps and :math:`P_i` back, which starts at zero: a new module is the
    identity. Streams of another resolution are first brought to that of stream i by area averaging. It adds what holds only
    where two streams agree, which sums (`concat_conv`) cannot; nothing has a bias, so an absent modality (zeros) adds nothing.

    Reference: Kim et al., Hadamard Product for Low-rank Bilinear Pooling, ICLR 2017, `arXiv 1610.04325
    <https://arxiv.org/abs/1610.04325>`_, section 2 (the factors U, V, P) and section 3 (tanh before the product, shortcut).
    There two inputs meet; the sum over pairs of streams is our reading for more than two. The source's rank, 1200 for inputs
    of 2048 and 2400, is about the half, hence the ratio.

    Args:
        channels: Channels of each stream's feature map, at least two streams.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.
        ratio: How many times smaller the rank is than the streams' mean number of channels, at least 1; the rank is at least 1.

    Raises:
        ValueError: If `ratio` is below 1.
    """

    def __init__(self, channels: Sequence[int], *, spatial_dims: int = 3, ratio: float = 2) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        check_at_least(1, ratio=ratio)
        self.rank = max(1, int(sum(self.channels) / len(self.channels) / ratio))
        own, others, back = ([] for _ in range(3))
        for width in self.channels:
            own.append(pointwise(width, self.rank, spatial_dims=spatial_dims, bias=False))
            others.append(pointwise(width, self.rank, spatial_dims=spatial_dims, bias=False))
            back.append(pointwise(self.rank, width, spatial_dims=spatial_dims, bias=False))
        self.own, self.others, self.back = nn.ModuleList(own), nn.ModuleList(others), nn.ModuleList(back)
        for parameter in self.back.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)` plus the products with the others'."""
        self.check(features)
        heard = [torch.tanh(project(x)) for x, project in zip(features, self.others, strict=True)]
        fused = []
        for i, (x, own, back) in enumerate(zip(features, self.own, self.back, strict=True)):
            size = tuple(x.shape[2:])
            others = torch.stack([resampled(other, size) for j, other in enumerate(heard) if j != i]).sum(0)
            fused.append(x + back(torch.tanh(own(x)) * others).to(x.dtype))
        return fused
