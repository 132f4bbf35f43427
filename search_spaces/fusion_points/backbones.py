"""Backbones as streams: MONAI's residual networks for images, signals and matrices, a multilayer perceptron for tables."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import torch
from monai.networks.nets.resnet import ResNet, resnet10, resnet18, resnet34, resnet50
from torch import nn

from nas_fusion import Stream

if TYPE_CHECKING:
    from nas_fusion.cohorts import Modality

POINTS = ("layer1", "layer2", "layer3", "layer4")
_BLOCKS = {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
RESNETS: dict[str, Callable[..., ResNet]] = {
    "resnet10": resnet10,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
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
class BackboneOptions:
    """What the streams are made of: plain data.

    Attributes:
        backbone: `resnet10`, `resnet18`, `resnet34` or `resnet50`, for every modality that is not a vector.
        width: Factor of the number of channels (64, 128, 256, 512 after the four stages at 1), so that at least one is left.
        stem_kernel: Edge of the first convolution's kernel, odd.
        stem_stride: Stride of the first convolution, at least 1.
        max_pool: Whether the stem ends with max pooling of stride 2.
        hidden: Features after each of the four stages of a vector's stream, at least 1.
    """

    backbone: str = "resnet18"
    width: float = 1.0
    stem_kernel: int = 7
    stem_stride: int = 1
    max_pool: bool = True
    hidden: int = 64

    def __post_init__(self) -> None:
        if self.backbone not in RESNETS:
            close = get_close_matches(str(self.backbone), RESNETS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"`backbone` must be one of {', '.join(RESNETS)}, but got {self.backbone!r}.{hint}")
        if not 1 / 64 <= self.width <= 16:
            raise ValueError(f"`width` must be in [1/64, 16], but got {self.width!r}.")
        if self.stem_kernel < 1 or self.stem_kernel % 2 == 0:
            raise ValueError(f"`stem_kernel` must be odd and positive, but got {self.stem_kernel!r}.")
        for name in ("stem_stride", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, but got {getattr(self, name)!r}.")


def all_points(backbone: str) -> tuple[str, ...]:
    """Return every place where a backbone can be tapped, in order: after each residual block.

    The last block of a stage is the stage's own point, `layer2`; those before it are `layer2_block1`, `layer2_block2`, ...
    """
    stages = zip(POINTS, _BLOCKS[backbone], strict=True)
    return tuple(name for stage, n in stages for name in (*(f"{stage}_block{i}" for i in range(1, n)), stage))


def build_stream(modality: Modality, classes: int, options: BackboneOptions, points: Sequence[str] = POINTS) -> Stream:
    """Return the freshly initialised stream of a modality, with a tap after each of `POINTS` and of the points asked for.

    Args:
        modality: Its kind and shape decide: a vector gets a multilayer perceptron; an image of 1 to 3 spatial axes a residual
            network of as many; a matrix `(regions, regions)` one of two spatial axes and one channel.
        classes: Number of logits.
        options: What the stream is made of.
        points: Among `all_points`. A stage is cut after those of its blocks that are named here; a vector's stream has a hidden
            layer for each.
    """
    wanted = {*POINTS, *points}
    names = tuple(point for point in all_points(options.backbone) if point in wanted)
    if modality.kind == "vector":
        return _perceptron(modality.shape[0], classes, options.hidden, names)
    matrix = modality.kind in ("matrix", "covariance")
    channels = 1 if matrix else modality.shape[0]
    stream = _residual_network(modality.spatial_dims, channels, classes, options, names)
    if matrix:
        stream.stages["stem"] = nn.Sequential(nn.Unflatten(1, (1, modality.shape[0])), stream.stages["stem"])
    return stream


def _residual_network(
    spatial_dims: int, channels: int, classes: int, options: BackboneOptions, points: Sequence[str]
) -> Stream:
    net = RESNETS[options.backbone](
        pretrained=False,
        spatial_dims=spatial_dims,
        n_input_channels=channels,
        num_classes=classes,
        conv1_t_size=options.stem_kernel,
        conv1_t_stride=options.stem_stride,
        no_max_pool=not options.max_pool,
        widen_factor=options.width,
    )
    stem = OrderedDict[str, nn.Module](conv1=net.conv1)
    if spatial_dims == 3 and net.conv1.out_channels < _REGISTER:
        stem["layout"] = ChannelsLast()
    stem.update(bn1=net.bn1, act=net.act)
    if options.max_pool:
        stem["maxpool"] = net.maxpool
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(stem)}
    for stage in POINTS:
        stages |= _cut(getattr(net, stage), stage, points)
    head = nn.Sequential(OrderedDict(avgpool=net.avgpool, flatten=nn.Flatten(), fc=net.get_submodule("fc")))
    finest = options.stem_stride * (2 if options.max_pool else 1)
    taps = [(point, _outputs(stages[point]), finest * 2 ** POINTS.index(point.partition("_")[0])) for point in points]
    return Stream(stages, head, taps, spatial_dims=spatial_dims)


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


def _perceptron(features: int, classes: int, hidden: int, points: Sequence[str]) -> Stream:
    widths = [features, *[hidden] * len(points)]
    stages = {
        point: nn.Sequential(nn.Linear(widths[i], hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU())
        for i, point in enumerate(points)
    }
    return Stream(stages, nn.Linear(hidden, classes), [(point, hidden, 1) for point in points], spatial_dims=0)
