"""MONAI's EfficientNet-B0, cut at stages and at single blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.networks.nets import efficientnet as monai_efficientnet
from torch import nn

from nas_fusion.fusion import Backbone, Stream
from nas_fusion.fusion.backbone import Described
from search_spaces.fusion_points.backbones.chain import chain, cut, unit_points
from search_spaces.fusion_points.backbones.matrices import channels_of

# Table 1 of arXiv 1905.11946, stages 2 to 8: blocks, kernel, stride, expansion, input and output channels.
_TABLE = {
    "stage1": (1, 3, 1, 1, 32, 16),
    "stage2": (2, 3, 2, 6, 16, 24),
    "stage3": (2, 5, 2, 6, 24, 40),
    "stage4": (3, 3, 2, 6, 40, 80),
    "stage5": (3, 5, 1, 6, 80, 112),
    "stage6": (4, 5, 2, 6, 112, 192),
    "stage7": (1, 3, 1, 6, 192, 320),
}


class SamePadding(nn.Module):
    """Pads an image so that a convolution returns `ceil(size / stride)` voxels, the odd one at the end, whatever the size.

    What MONAI's network does for the one size that it is built for.

    Args:
        convolution: The convolution behind it.
    """

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        assert isinstance(convolution, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
        self.kernel, self.stride = convolution.kernel_size, convolution.stride

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the padded image `(batch, channels, *spatial)`."""
        pads: list[int] = []
        for size, kernel, stride in zip(image.shape[2:], self.kernel, self.stride, strict=True):
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads = [missing // 2, missing - missing // 2, *pads]
        return nn.functional.pad(image, pads) if any(pads) else image


@dataclass(frozen=True)
class EfficientNetB0(Backbone):
    """A network of inverted bottlenecks of 1 to 3 spatial axes; a matrix `(regions, regions)` is a plane of one channel.

    Its points are its 16 blocks. The last block of a stage is the stage's own point, `stage4`; those before it are
    `stage4_block1`, ... By default the last stages at each of the resolutions 1/4, 1/8, 1/16 and 1/32 are tapped.

    Batch normalisation follows with a momentum of 0.1, as everywhere in torch: with MONAI's 0.01 a training of less than some
    hundred steps is evaluated with statistics that are hardly those of the data.

    References:
        - Tan and Le, EfficientNet, ICML 2019, `arXiv 1905.11946 <https://arxiv.org/abs/1905.11946>`_, table 1; in three
          dimensions as in MONAI.

    Attributes:
        width: Factor of the number of channels, in [1/16, 4]; they are rounded to multiples of 8.
        stem_stride: Stride of the first convolution, at least 1; with 1 all resolutions are twice as fine.
        dropout: Probability before the last layer, in [0, 1).
        drop_path: Probability with which the last residual block of a subject is left out, earlier ones in proportion to their
            depth, in [0, 1).
    """

    width: float = 1.0
    stem_stride: int = 2
    dropout: float = 0.2
    drop_path: float = 0.2

    kinds = ("image", "matrix", "covariance")

    def __post_init__(self) -> None:
        if not 1 / 16 <= self.width <= 4:
            raise ValueError(f"`width` must be in [1/16, 4], but got {self.width!r}.")
        if self.stem_stride < 1:
            raise ValueError(f"`stem_stride` must be at least 1, but got {self.stem_stride!r}.")
        for name in ("dropout", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be in [0, 1), but got {getattr(self, name)!r}.")

    @property
    def points(self) -> tuple[str, ...]:
        """Return every block, in order."""
        return tuple(point for stage, row in _TABLE.items() for point in unit_points(stage, row[0], word="block"))

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the last stages at the four coarser resolutions."""
        return ("stage2", "stage3", "stage5", "stage7")

    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        """Return the stream of a modality, with taps after the four default stages and the points asked for."""
        self.check(modality, points)
        net = self._network(modality, classes)
        wanted = tuple(point for point in self.points if point in {*self.stages, *points})
        stem = [("padding", net._conv_stem_padding), ("conv", net._conv_stem), ("bn", net._bn0), ("act", net._swish)]
        stages: dict[str, nn.Module] = {"stem": nn.Sequential(OrderedDict(stem))}
        for name, blocks in zip(_TABLE, net._blocks, strict=True):
            stages |= cut(name, list(blocks.named_children()), wanted, word="block")
        return chain(stages, _head(net), wanted, modality, network=net)

    def _network(self, modality: Described, classes: int) -> monai_efficientnet.EfficientNet:
        rows = [f"r{n}_k{k}_s{s}{s}_e{e}_i{i}_o{o}_se0.25" for n, k, s, e, i, o in _TABLE.values()]
        net = monai_efficientnet.EfficientNet(
            rows,
            spatial_dims=modality.spatial_dims,
            in_channels=channels_of(modality),
            num_classes=classes,
            width_coefficient=self.width,
            dropout_rate=self.dropout,
            norm=("batch", {"eps": 1e-3}),
            drop_connect_rate=self.drop_path,
        )
        net._conv_stem.stride = (self.stem_stride,) * modality.spatial_dims
        for module in list(net.modules()):
            for name, convolution in list(module.named_children()):
                if hasattr(module, f"{name}_padding"):
                    setattr(module, f"{name}_padding", _padding(convolution))
        return net


def _padding(convolution: nn.Module) -> nn.Module:
    return nn.Identity() if isinstance(convolution, nn.Identity) else SamePadding(convolution)


def _head(net: monai_efficientnet.EfficientNet) -> nn.Module:
    parts = {"conv": net._conv_head, "bn": net._bn1, "act": net._swish, "avgpool": net._avg_pooling}
    return nn.Sequential(OrderedDict(**parts, flatten=nn.Flatten(), dropout=net._dropout, fc=net._fc))
