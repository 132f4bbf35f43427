"""MONAI's residual networks, cut at stages and at single residual blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from monai.networks.nets import resnet as monai_resnet
from torch import nn

from nas_fusion.fusion import Backbone, Stream
from nas_fusion.fusion.backbone import Described
from search_spaces.fusion_points.backbones.matrices import channels_of, of_matrices

POINTS = ("layer1", "layer2", "layer3", "layer4")
RESNETS: dict[str, Callable[..., monai_resnet.ResNet]] = {
    name: getattr(monai_resnet, name) for name in ("resnet10", "resnet18", "resnet34", "resnet50")
}
_REGISTER = 16  # single-precision numbers in an AVX-512 register


class ChannelsLast(nn.Module):
    """Lays out features channels-last on CPUs, where that is faster for less than a register of channels. Values stay the same.

    Measured for two streams of the preset `small`, one thread: a training step takes 0.82 of the time of the default layout at
    8 channels after the stem, the same at 16 and 1.45 times as much at 32. Weights keep their layout.
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features `(batch, channels, x, y, z)`."""
        return features.contiguous(memory_format=torch.channels_last_3d) if features.device.type == "cpu" else features


@dataclass(frozen=True)
class ResNet(Backbone):
    """A residual network of 1 to 3 spatial axes; a matrix `(regions, regions)` is a plane of one channel.

    Its points are its residual blocks. The last block of a stage is the stage's own point, `layer2`; those before it are
    `layer2_block1`, `layer2_block2`, ... The four stages always have taps.

    References:
        - He et al., Deep Residual Learning for Image Recognition, CVPR 2016, `arXiv 1512.03385
          <https://arxiv.org/abs/1512.03385>`_, table 1; in three dimensions as in MONAI.

    Attributes:
        width: Factor of the number of channels (64, 128, 256, 512 after the four stages at 1; four times as many for
            ResNet-50), in [1/64, 16].
        stem_kernel: Edge of the first convolution's kernel, odd.
        stem_stride: Stride of the first convolution, at least 1.
        max_pool: Whether the stem ends with max pooling of stride 2.
        shortcut: How a block passes its input on where the resolution changes: `B`, by a convolution, or `A`, by subsampling
            and zeros, as in the MedicalNet files of ResNet-18 and ResNet-34.
    """

    width: float = 1.0
    stem_kernel: int = 7
    stem_stride: int = 1
    max_pool: bool = True
    shortcut: str = "B"

    name: ClassVar[str]
    blocks: ClassVar[tuple[int, ...]]
    kinds = ("image", "matrix", "covariance")

    def __post_init__(self) -> None:
        if not 1 / 64 <= self.width <= 16:
            raise ValueError(f"`width` must be in [1/64, 16], but got {self.width!r}.")
        if self.stem_kernel < 1 or self.stem_kernel % 2 == 0:
            raise ValueError(f"`stem_kernel` must be odd and positive, but got {self.stem_kernel!r}.")
        if self.stem_stride < 1:
            raise ValueError(f"`stem_stride` must be at least 1, but got {self.stem_stride!r}.")
        if self.shortcut not in ("A", "B"):
            raise ValueError(f"`shortcut` must be A or B, but got {self.shortcut!r}.")

    @property
    def points(self) -> tuple[str, ...]:
        """Return every residual block, in order."""
        stages = zip(POINTS, self.blocks, strict=True)
        return tuple(name for stage, n in stages for name in (*(f"{stage}_block{i}" for i in range(1, n)), stage))

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the four stages."""
        return POINTS

    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        """Return the stream of a modality, with taps after the four stages and the points asked for."""
        self.check(modality, points)
        net = self._network(modality, classes)
        wanted = tuple(point for point in self.points if point in {*POINTS, *points})
        stages = {"stem": self._stem(net, modality.spatial_dims)}
        for stage in POINTS:
            stages |= _cut(getattr(net, stage), stage, wanted)
        head = nn.Sequential(OrderedDict(avgpool=net.avgpool, flatten=nn.Flatten(), fc=net.get_submodule("fc")))
        finest = self.stem_stride * (2 if self.max_pool else 1)
        taps = [(point, _outputs(stages[point]), finest * 2 ** POINTS.index(point.partition("_")[0])) for point in wanted]
        stream = Stream(stages, head, taps, spatial_dims=modality.spatial_dims)
        return of_matrices(stream, modality).named_after(net)

    def _network(self, modality: Described, classes: int) -> monai_resnet.ResNet:
        return RESNETS[self.name](
            pretrained=False,
            spatial_dims=modality.spatial_dims,
            n_input_channels=channels_of(modality),
            num_classes=classes,
            conv1_t_size=self.stem_kernel,
            conv1_t_stride=self.stem_stride,
            no_max_pool=not self.max_pool,
            widen_factor=self.width,
            shortcut_type=self.shortcut,
        )

    def _stem(self, net: monai_resnet.ResNet, spatial_dims: int) -> nn.Module:
        stem = OrderedDict[str, nn.Module](conv1=net.conv1)
        if spatial_dims == 3 and net.conv1.out_channels < _REGISTER:
            stem["layout"] = ChannelsLast()
        stem.update(bn1=net.bn1, act=net.act)
        if self.max_pool:
            stem["maxpool"] = net.maxpool
        return nn.Sequential(stem)


class ResNet10(ResNet):
    """One residual block a stage."""

    name = "resnet10"
    blocks = (1, 1, 1, 1)


class ResNet18(ResNet):
    """Two residual blocks a stage."""

    name = "resnet18"
    blocks = (2, 2, 2, 2)


class ResNet34(ResNet):
    """16 residual blocks."""

    name = "resnet34"
    blocks = (3, 4, 6, 3)


class ResNet50(ResNet):
    """16 bottleneck blocks, with four times as many channels after each."""

    name = "resnet50"
    blocks = (3, 4, 6, 3)


def _cut(blocks: nn.Sequential, stage: str, points: Sequence[str]) -> dict[str, nn.Module]:
    """Return a residual stage as one module for each of its points; uncut, it stays what it is."""
    ends = [i for i in range(1, len(blocks)) if f"{stage}_block{i}" in points]
    starts = [0, *ends]
    names = [*(f"{stage}_block{i}" for i in ends), stage]
    return {name: blocks[start:end] for name, start, end in zip(names, starts, [*ends, len(blocks)], strict=True)}


def _outputs(stage: nn.Module) -> int:
    """Return the channels of a residual stage: those of the last batch normalisation of its last block."""
    last = list(stage.children())[-1]
    norms = [module for name, module in last.named_children() if name.startswith("bn")]
    return int(norms[-1].get_parameter("weight").numel())
