"""A Swin transformer made of MONAI's blocks, cut at stages and at single blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from monai.networks.blocks.patchembedding import PatchEmbed
from monai.networks.nets import swin_unetr as monai_swin
from torch import nn

from nas_fusion.fusion import Backbone, Stream
from nas_fusion.fusion.backbone import Described
from search_spaces.fusion_points.backbones.chain import chain, cut, unit_points
from search_spaces.fusion_points.backbones.matrices import channels_of, size_of
from search_spaces.fusion_points.backbones.vit import TokenHead

_BLOCKS = {"layers1": 2, "layers2": 2, "layers3": 6, "layers4": 2}  # Swin-T
_FIRST_HEADS = 3
_HEAD_WIDTH = 32


class WindowedBlock(nn.Module):
    """A block of attention within windows, on a map.

    Args:
        block: MONAI's, on `(batch, *spatial, channels)`.
        size: Voxels of the map along each axis.
    """

    mask: torch.Tensor | None

    def __init__(self, block: monai_swin.SwinTransformerBlock, size: tuple[int, ...]) -> None:
        super().__init__()
        self.block = block
        window, shift = monai_swin.get_window_size(size, block.window_size, block.shift_size)  # type: ignore[no-untyped-call]
        padded = [-(-n // w) * w for n, w in zip(size, window, strict=True)]
        mask = None
        if any(shift):
            mask = monai_swin.compute_mask(padded, window, shift, None)  # type: ignore[no-untyped-call]
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features `(batch, channels, *spatial)`."""
        found: torch.Tensor = self.block(features.movedim(1, -1).contiguous(), self.mask)
        return found.movedim(-1, 1)


class Merging(nn.Module):
    """Halves the resolution of a map and doubles its channels.

    Args:
        merging: MONAI's, on `(batch, *spatial, channels)`.
    """

    def __init__(self, merging: nn.Module) -> None:
        super().__init__()
        self.merging = merging

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features `(batch, 2 * channels, *coarser)`."""
        found: torch.Tensor = self.merging(features.movedim(1, -1))
        return found.movedim(-1, 1)


@dataclass(frozen=True)
class Swin(Backbone):
    """A hierarchical transformer of 2 or 3 spatial axes; a matrix `(regions, regions)` is a plane of one channel.

    Its points are its 12 blocks. The last block of a stage is the stage's own point, `layers2`; those before it are
    `layers2_block1`, ... Features are taken before they are merged for the next stage. A window is never larger than the map:
    on small maps attention is global. The normalised tokens are averaged for the logits.

    References:
        - Liu et al., Swin Transformer, ICCV 2021, `arXiv 2103.14030 <https://arxiv.org/abs/2103.14030>`_, section 3, Swin-T of
          section 3.3; in three dimensions as in MONAI.

    Attributes:
        width: Factor of the channels (96, 192, 384, 768 after the four stages at 1), in [1/32, 4].
        patch: Edge of a patch of the first layer in voxels, at least 1.
        window: Edge of a window in patches, at least 2.
        dropout: Probability in [0, 1).
        drop_path: Probability with which the last block is left out for a subject, earlier ones in proportion to their
            depth, in [0, 1).
    """

    width: float = 1.0
    patch: int = 4
    window: int = 7
    dropout: float = 0.0
    drop_path: float = 0.2

    kinds = ("image", "matrix", "covariance")

    def __post_init__(self) -> None:
        if not 1 / 32 <= self.width <= 4:
            raise ValueError(f"`width` must be in [1/32, 4], but got {self.width!r}.")
        for name, least in (("patch", 1), ("window", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` must be at least {least}, but got {getattr(self, name)!r}.")
        for name in ("dropout", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be in [0, 1), but got {getattr(self, name)!r}.")

    @property
    def points(self) -> tuple[str, ...]:
        """Return every block, in order."""
        return tuple(point for stage, n in _BLOCKS.items() for point in unit_points(stage, n, word="block"))

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the four stages."""
        return tuple(_BLOCKS)

    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        """Return the stream of a modality, with taps after the four stages and the points asked for."""
        self.check(modality, points)
        if modality.spatial_dims < 2:
            raise ValueError(
                f"`modality` must have 2 or 3 spatial axes for Swin, but {modality.name!r} has shape {modality.shape}."
            )
        sizes = self._sizes(modality)
        embedding, layers = self._parts(modality, sizes)
        wanted = tuple(point for point in self.points if point in {*_BLOCKS, *points})
        stages: dict[str, nn.Module] = {"stem": embedding}
        merging: nn.Module | None = None
        for stage, layer, size in zip(_BLOCKS, layers, sizes, strict=True):
            blocks: list[nn.Module] = [
                WindowedBlock(cast(monai_swin.SwinTransformerBlock, block), size) for block in layer.blocks
            ]
            if merging is not None:
                blocks[0] = nn.Sequential(Merging(merging), blocks[0])
            stages |= cut(stage, [(str(n), block) for n, block in enumerate(blocks)], wanted, word="block")
            merging = layer.downsample
        channels = self._channels * 2 ** (len(layers) - 1)
        head = TokenHead(nn.LayerNorm(channels), nn.Linear(channels, classes))
        # The names are those of MONAI's `SwinTransformer`.
        named = {stage: nn.ModuleList([layer]) for stage, layer in zip(_BLOCKS, layers, strict=True)}
        return chain(stages, head, wanted, modality, network=nn.ModuleDict({"patch_embed": embedding, **named}))

    @property
    def _channels(self) -> int:
        return _FIRST_HEADS * max(1, round(_HEAD_WIDTH * self.width))

    def _chances(self) -> Iterator[float]:
        """Yield with which probability each block is left out: 0 for the first, `drop_path` for the last."""
        n = sum(_BLOCKS.values())
        return (self.drop_path * i / (n - 1) for i in range(n))

    def _sizes(self, modality: Described) -> list[tuple[int, ...]]:
        """Return the size of the map in each stage: patches, then halves, rounded up."""
        first = tuple(-(-size // self.patch) for size in size_of(modality))
        return [tuple(-(-size // 2**i) for size in first) for i in range(len(_BLOCKS))]

    def _parts(self, modality: Described, sizes: Sequence[tuple[int, ...]]) -> tuple[nn.Module, list[monai_swin.BasicLayer]]:
        """Return the embedding of patches, and the blocks of each stage with the merging behind them."""
        chances = self._chances()
        embedding = PatchEmbed(
            self.patch, channels_of(modality), self._channels, nn.LayerNorm, spatial_dims=modality.spatial_dims
        )
        layers = []
        for i, (stage, size) in enumerate(zip(_BLOCKS, sizes, strict=True)):
            last: Any = monai_swin.PatchMergingV2 if i < len(_BLOCKS) - 1 else None
            layer = monai_swin.BasicLayer(
                dim=self._channels * 2**i,
                depth=_BLOCKS[stage],
                num_heads=_FIRST_HEADS * 2**i,
                window_size=tuple(min(self.window, n) for n in size),
                drop_path=[next(chances) for _ in range(_BLOCKS[stage])],
                qkv_bias=True,
                drop=self.dropout,
                downsample=last,
            )
            layers.append(layer)
        return embedding, layers
