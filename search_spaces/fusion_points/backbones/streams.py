"""The streams of a space with one kind of residual network for images and matrices, and perceptrons for vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from nas_fusion import Stream
from search_spaces.fusion_points.backbones.perceptron import Perceptron
from search_spaces.fusion_points.backbones.resnet import POINTS, ResNet, ResNet10, ResNet18, ResNet34, ResNet50

if TYPE_CHECKING:
    from nas_fusion.cohorts import Modality

_FAMILY: dict[str, type[ResNet]] = {cls.name: cls for cls in (ResNet10, ResNet18, ResNet34, ResNet50)}


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
        if self.backbone not in _FAMILY:
            close = get_close_matches(str(self.backbone), _FAMILY, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"`backbone` must be one of {', '.join(_FAMILY)}, but got {self.backbone!r}.{hint}")
        self.network()
        self.perceptron()

    def network(self) -> ResNet:
        """Return the backbone of images and matrices."""
        return _FAMILY[self.backbone](
            width=self.width, stem_kernel=self.stem_kernel, stem_stride=self.stem_stride, max_pool=self.max_pool
        )

    def perceptron(self) -> Perceptron:
        """Return the backbone of vectors."""
        return Perceptron(hidden=self.hidden)


def all_points(backbone: str) -> tuple[str, ...]:
    """Return every place where a residual network can be tapped, in order: after each residual block."""
    return _FAMILY[backbone]().points


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
    network = options.network()
    names = tuple(point for point in network.points if point in {*POINTS, *points})
    if modality.kind == "vector":
        return options.perceptron().build(modality, classes, names)
    return network.build(modality, classes, names)
