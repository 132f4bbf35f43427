"""The features of a stream as few tokens, and back: what keeps attention over 3D maps within memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.fusion.spatial import interpolated, resampled


def attention_width(channels: Sequence[int], *, ratio: float, heads: int) -> int:
    """Return the features of a token: the streams' mean channels over `ratio`, rounded up to a multiple of `heads`."""
    return heads * max(1, math.ceil(sum(channels) / len(channels) / ratio / heads))


class StreamTokens(nn.Module):
    """Reads a stream's features as tokens of a common width, and adds what became of the tokens to the features.

    A map is averaged over areas until it has at most `limit` places an axis, each of which is a token: at most
    `limit ** spatial_dims` of them, whatever the map's resolution. Each place has a learned position. What is written back is
    interpolated linearly; the layer that writes starts at zero and has no bias, so that tokens of zeros write nothing.

    References:
        - Prakash et al., Multi-Modal Fusion Transformer for End-to-End Autonomous Driving, CVPR 2021, `arXiv 2104.09224
          <https://arxiv.org/abs/2104.09224>`_, section 3.3: maps are average-pooled to a fixed resolution (8×8) for attention,
          interpolated back and added to the map.
        - Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, `arXiv 2010.11929 <https://arxiv.org/abs/2010.11929>`_,
          section 3.1: learned positions, added to the tokens, and layer normalisation before attention.

    Args:
        channels: The stream's, at least 1.
        width: Features of a token, at least 1.
        limit: Most tokens along an axis, at least 1.
        spatial_dims: Number of spatial axes, 0 (a vector is one token) to 3.
    """

    def __init__(self, channels: int, width: int, *, limit: int, spatial_dims: int) -> None:
        super().__init__()
        self.limit = limit
        self.norm = nn.LayerNorm(channels) if channels > 1 else nn.Identity()  # of one channel alone nothing would be left
        self.enter = nn.Linear(channels, width)
        self.leave = nn.Linear(width, channels, bias=False)
        self.positions = nn.Parameter(torch.empty(1, width, *[limit] * spatial_dims))
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.zeros_(self.leave.weight)

    def read(self, feature: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tokens and who has them.

        Args:
            feature: `(batch, channels, *spatial)`.

        Returns:
            Tokens `(batch, tokens, width)`, and `(batch,)`, false for a subject whose feature map is all zeros: that is how a
            network shows a modality that a subject lacks.
        """
        grid = tuple(min(length, self.limit) for length in feature.shape[2:])
        pooled = resampled(feature, grid).reshape(len(feature), feature.shape[1], -1).transpose(1, 2)
        positions = resampled(self.positions, grid).reshape(1, self.positions.shape[1], -1).transpose(1, 2)
        return self.enter(self.norm(pooled)) + positions, (pooled != 0).flatten(1).any(1)

    def write(self, feature: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return the features `(batch, channels, *spatial)` plus what the tokens `(batch, tokens, width)` write to them."""
        grid = tuple(min(length, self.limit) for length in feature.shape[2:])
        written = self.leave(tokens).transpose(1, 2).reshape(*feature.shape[:2], *grid)
        return feature + interpolated(written, tuple(feature.shape[2:])).to(feature.dtype)
