"""Cross-modal attention: each stream asks all others, token by token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.options import check_at_least, check_whole
from nas_fusion.fusion.tokens import StreamTokens, attention_width


class CrossAttention(FusionModule):
    r"""Adds to each stream what it finds by attention among the tokens of all other streams.

    .. math:: \tilde X_i = X_i + W_i \, \mathrm{MultiHead}(Q = Z_i,\; K = V = [Z_j]_{j \ne i})

    with the tokens :math:`Z` of `StreamTokens`: at most `tokens ** spatial_dims` a stream, so a 3D map of any resolution fits
    in memory (by default 64 tokens; the scores of one head are then 64 × 64 a pair of streams and subject). :math:`W_i` starts
    at zero: a new module is the identity.

    An absent modality (a stream of zeros) is not attended to. A token of zeros takes part in each softmax, so that a stream can
    also attend to nothing; where all others are absent that is all it can do, and it stays as it is. What an absent stream
    itself is given has no effect: a network sets it to zero at the next point and leaves out its logits.

    References:
        - Vaswani et al., Attention Is All You Need, NeurIPS 2017, `arXiv 1706.03762 <https://arxiv.org/abs/1706.03762>`_,
          section 3.2 (eq. 1; heads).
        - Tsai et al., Multimodal Transformer for Unaligned Multimodal Language Sequences, ACL 2019, `arXiv 1906.00295
          <https://arxiv.org/abs/1906.00295>`_, section 3.1 (crossmodal attention: queries of one modality, keys and values of
          another). All other streams in one softmax, instead of a transformer a pair, is our reading for more than two.

    Args:
        channels: Channels of each stream's feature map, at least two streams.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.
        tokens: Most tokens along a spatial axis, a whole number of at least 1.
        heads: Heads of the attention, a whole number of at least 1.
        ratio: How many times narrower tokens are than the streams' mean number of channels, at least 1; the width is rounded up
            to a multiple of `heads`.

    Raises:
        ValueError: If an option is out of its range.
    """

    def __init__(
        self, channels: Sequence[int], *, spatial_dims: int = 3, tokens: int = 4, heads: int = 4, ratio: float = 2
    ) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        check_whole(tokens=tokens, heads=heads)
        check_at_least(1, ratio=ratio)
        width = attention_width(self.channels, ratio=ratio, heads=heads)
        self.tokens = nn.ModuleList(StreamTokens(c, width, limit=tokens, spatial_dims=spatial_dims) for c in self.channels)
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(width, heads, bias=False, add_zero_attn=True, batch_first=True) for _ in self.channels
        )

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)` plus what it found in the others."""
        self.check(features)
        streams = [tokens for tokens in self.tokens if isinstance(tokens, StreamTokens)]
        read = [stream.read(feature) for stream, feature in zip(streams, features, strict=True)]
        fused = []
        for i, (feature, stream, attend) in enumerate(zip(features, streams, self.attention, strict=True)):
            others = [pair for j, pair in enumerate(read) if j != i]
            values = torch.cat([tokens for tokens, _ in others], dim=1)
            absent = torch.cat([~shown[:, None].expand(-1, tokens.shape[1]) for tokens, shown in others], dim=1)
            found, _ = attend(read[i][0], values, values, key_padding_mask=absent, need_weights=False)
            fused.append(stream.write(feature, found))
        return fused
