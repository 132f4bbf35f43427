"""MONAI's vision transformer, cut at its blocks; between them its tokens are a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.networks.nets import vit as monai_vit
from torch import nn

from nas_fusion.fusion import Backbone, Stream
from nas_fusion.fusion.backbone import Described
from search_spaces.fusion_points.backbones.chain import chain
from search_spaces.fusion_points.backbones.matrices import channels_of, size_of

_HEADS = 12
_HEAD_WIDTH = 64


class Embedding(nn.Module):
    """From an image to the map of its patches' tokens.

    Args:
        embedding: MONAI's, from `(batch, channels, *spatial)` to `(batch, patches, width)`.
        grid: Patches along each axis.
    """

    def __init__(self, embedding: nn.Module, grid: tuple[int, ...]) -> None:
        super().__init__()
        self.embedding, self.grid = embedding, grid

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return tokens `(batch, width, *grid)`."""
        return _map(self.embedding(image), self.grid)


class Block(nn.Module):
    """A transformer block on a map of tokens.

    Args:
        block: MONAI's, on `(batch, tokens, width)`.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens `(batch, width, *grid)`."""
        return _map(self.block(tokens.flatten(2).transpose(1, 2)), tokens.shape[2:])


class TokenHead(nn.Module):
    """Normalised tokens, averaged, to logits.

    Args:
        norm: Layer normalisation over the width.
        fc: From the width to logits.
    """

    def __init__(self, norm: nn.Module, fc: nn.Module) -> None:
        super().__init__()
        self.norm, self.fc = norm, fc

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits `(batch, classes)`; tokens are `(batch, width, *grid)`."""
        logits: torch.Tensor = self.fc(self.norm(tokens.flatten(2).transpose(1, 2)).mean(1))
        return logits


@dataclass(frozen=True)
class ViT(Backbone):
    """A vision transformer of 1 to 3 spatial axes; a matrix `(regions, regions)` is a plane of one channel.

    Its points are its blocks, `block1`, `block2`, ... By default four of them, at equal distances, are tapped: features are
    tokens as a map `(batch, width, *grid)`, all of one resolution. There is no class token, since what it holds would not pass
    through a point; the normalised tokens are averaged (appendix D.3 of the reference finds that equivalent). Voxels beyond the
    last whole patch are not seen.

    References:
        - Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, `arXiv 2010.11929
          <https://arxiv.org/abs/2010.11929>`_, ViT-B of table 1; in three dimensions as in MONAI.

    Attributes:
        width: Factor of the features of a token, 768 at 1 in 12 heads, in [1/64, 4].
        depth: Number of blocks, at least 4.
        patch: Edge of a patch in voxels, at most that of the image.
        dropout: Probability in [0, 1).
    """

    width: float = 1.0
    depth: int = 12
    patch: int = 16
    dropout: float = 0.0

    kinds = ("image", "matrix", "covariance")

    def __post_init__(self) -> None:
        if not 1 / 64 <= self.width <= 4:
            raise ValueError(f"`width` must be in [1/64, 4], but got {self.width!r}.")
        for name, least in (("depth", 4), ("patch", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` must be at least {least}, but got {getattr(self, name)!r}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), but got {self.dropout!r}.")

    @property
    def points(self) -> tuple[str, ...]:
        """Return every block, in order."""
        return tuple(f"block{i}" for i in range(1, self.depth + 1))

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the blocks after each quarter of the depth."""
        return tuple(f"block{-(-i * self.depth // 4)}" for i in range(1, 5))

    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        """Return the stream of a modality, with taps after the four default blocks and the points asked for."""
        self.check(modality, points)
        grid = self._grid(modality)
        net = self._network(modality)
        wanted = tuple(point for point in self.points if point in {*self.stages, *points})
        stages: dict[str, nn.Module] = {"embedding": Embedding(net.patch_embedding, grid)}
        stages |= {point: Block(block) for point, block in zip(self.points, net.blocks, strict=True)}
        head = TokenHead(net.norm, nn.Linear(net.norm.normalized_shape[0], classes))
        return chain(stages, head, wanted, modality, network=net)

    def _grid(self, modality: Described) -> tuple[int, ...]:
        if min(size_of(modality)) < self.patch:
            raise ValueError(
                f"`patch` must be at most the edge of the image, but {modality.name!r} has shape {modality.shape} "
                f"and got {self.patch}."
            )
        return tuple(size // self.patch for size in size_of(modality))

    def _network(self, modality: Described) -> monai_vit.ViT:
        hidden = _HEADS * max(1, round(_HEAD_WIDTH * self.width))
        net = monai_vit.ViT(
            in_channels=channels_of(modality),
            img_size=size_of(modality),
            patch_size=self.patch,
            hidden_size=hidden,
            mlp_dim=4 * hidden,
            num_layers=self.depth,
            num_heads=_HEADS,
            dropout_rate=self.dropout,
            spatial_dims=modality.spatial_dims,
            qkv_bias=True,
        )
        for block in net.blocks:
            block.norm_cross_attn = nn.Identity()  # it has weights that nothing uses
        return net


def _map(tokens: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    return tokens.transpose(1, 2).reshape(len(tokens), tokens.shape[2], *grid)
