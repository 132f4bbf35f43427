"""Attention bottlenecks: streams exchange only what passes through a few shared tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.options import check_at_least, check_whole
from nas_fusion.fusion.tokens import StreamTokens, attention_width


class AttentionBottleneck(FusionModule):
    r"""Streams write into a few bottleneck tokens and read what all wrote; they never attend to each other directly.

    With the tokens :math:`Z_i` of `StreamTokens` and learned bottleneck tokens :math:`B`, first each stream updates them by
    itself and the results are averaged, then each stream attends to the average beside its own tokens:

    .. math::
        \hat B_i = B + A_i(B, [Z_i, B]), \quad \bar B = \frac{1}{n} \sum_i \hat B_i, \quad
        \tilde X_i = X_i + W_i \, A_i(Z_i, [Z_i, \bar B]),

    where :math:`A_i` is stream i's multi-head attention (queries, then keys and values). :math:`W_i` starts at zero: a new
    module is the identity. A 3D map of any resolution fits in memory: there are at most `tokens ** spatial_dims` tokens a
    stream, 64 by default, and the cost grows with the number of streams, not with that of pairs.

    An absent modality (a stream of zeros) does not count in the average; where all are absent it is :math:`B`.

    Reference: Nagrani et al., Attention Bottlenecks for Multimodal Fusion, NeurIPS 2021, `arXiv 2107.00135
    <https://arxiv.org/abs/2107.00135>`_, section 3.3 (each modality updates the bottleneck tokens, then their average). There
    what one layer collects the next one hands out. A fusion point is passed once: so both happen here, with the same
    attention, and the feed-forward layers are left to the next stages of the streams.

    Args:
        channels: Channels of each stream's feature map, at least two streams.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.
        bottlenecks: Number of bottleneck tokens, a whole number of at least 1; the source's is 4.
        tokens: Most tokens along a spatial axis, a whole number of at least 1.
        heads: Heads of the attention, a whole number of at least 1.
        ratio: How many times narrower tokens are than the streams' mean number of channels, at least 1; the width is rounded up
            to a multiple of `heads`.

    Raises:
        ValueError: If an option is out of its range.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        spatial_dims: int = 3,
        bottlenecks: int = 4,
        tokens: int = 4,
        heads: int = 4,
        ratio: float = 2,
    ) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        check_whole(bottlenecks=bottlenecks, tokens=tokens, heads=heads)
        check_at_least(1, ratio=ratio)
        width = attention_width(self.channels, ratio=ratio, heads=heads)
        self.bottlenecks = nn.Parameter(torch.empty(1, bottlenecks, width))
        nn.init.trunc_normal_(self.bottlenecks, std=0.02)
        self.tokens = nn.ModuleList(StreamTokens(c, width, limit=tokens, spatial_dims=spatial_dims) for c in self.channels)
        self.attention = nn.ModuleList(nn.MultiheadAttention(width, heads, batch_first=True) for _ in self.channels)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)` plus what it read in the bottleneck."""
        self.check(features)
        streams = [tokens for tokens in self.tokens if isinstance(tokens, StreamTokens)]
        read = [stream.read(feature) for stream, feature in zip(streams, features, strict=True)]
        shared = self._collect(read)
        fused = []
        for feature, stream, attend, (tokens, _) in zip(features, streams, self.attention, read, strict=True):
            seen = torch.cat([tokens, shared], dim=1)
            fused.append(stream.write(feature, attend(tokens, seen, seen, need_weights=False)[0]))
        return fused

    def _collect(self, read: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """Return the bottleneck tokens `(batch, bottlenecks, width)` after all present streams wrote into them."""
        empty = self.bottlenecks.repeat(len(read[0][0]), 1, 1)  # of a view torch's counter of operations asks for gradients
        written, counted = [], torch.stack([shown for _, shown in read]).to(empty.dtype)[:, :, None, None]
        for (tokens, _), attend in zip(read, self.attention, strict=True):
            seen = torch.cat([tokens, empty], dim=1)
            written.append(attend(empty, seen, seen, need_weights=False)[0])
        return empty + (torch.stack(written) * counted).sum(0) / counted.sum(0).clamp_min(1)
