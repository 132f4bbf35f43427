"""MONAI's DenseNet-121, cut at dense blocks and at single dense layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from monai.networks.nets import densenet as monai_densenet
from torch import nn

from nas_fusion.fusion import Backbone, Stream
from nas_fusion.fusion.backbone import Described
from search_spaces.fusion_points.backbones.chain import chain, cut, unit_points
from search_spaces.fusion_points.backbones.matrices import channels_of, size_of

_LAYERS = {"denseblock1": 6, "denseblock2": 12, "denseblock3": 24, "denseblock4": 16}
_STEM = ("conv0", "norm0", "relu0", "pool0")
_HALVINGS = 3  # transitions that round down


@dataclass(frozen=True)
class DenseNet121(Backbone):
    """A densely connected network of 1 to 3 spatial axes; a matrix `(regions, regions)` is a plane of one channel.

    Its points are its 58 dense layers. The last one of a dense block is the block's own point, `denseblock2`; those before it
    are `denseblock2_layer1`, ... Each transition belongs to the dense block after it.

    References:
        - Huang et al., Densely Connected Convolutional Networks, CVPR 2017, `arXiv 1608.06993
          <https://arxiv.org/abs/1608.06993>`_, table 1; in three dimensions as in MONAI.

    Attributes:
        width: Factor of the number of channels (64 after the stem, 32 more after each dense layer at 1), in [1/32, 4].
        stem_stride: Stride of the first convolution, at least 1.
        max_pool: Whether the stem ends with max pooling of stride 2. Without it, and with a stride of 1, images may be smaller.
        dropout: Probability after each dense layer, in [0, 1).
    """

    width: float = 1.0
    stem_stride: int = 2
    max_pool: bool = True
    dropout: float = 0.0

    kinds = ("image", "matrix", "covariance")

    def __post_init__(self) -> None:
        if not 1 / 32 <= self.width <= 4:
            raise ValueError(f"`width` must be in [1/32, 4], but got {self.width!r}.")
        if self.stem_stride < 1:
            raise ValueError(f"`stem_stride` must be at least 1, but got {self.stem_stride!r}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), but got {self.dropout!r}.")

    @property
    def points(self) -> tuple[str, ...]:
        """Return every dense layer, in order."""
        return tuple(point for stage, n in _LAYERS.items() for point in unit_points(stage, n, word="layer"))

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the four dense blocks."""
        return tuple(_LAYERS)

    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        """Return the stream of a modality, with taps after the four dense blocks and the points asked for."""
        self.check(modality, points)
        self._check_size(modality)
        net = self._network(modality, classes)
        wanted = tuple(point for point in self.points if point in {*_LAYERS, *points})
        parts = dict(net.features.named_children())
        stem = OrderedDict[str, nn.Module]((name, parts[name]) for name in _STEM if name in parts)
        stages: dict[str, nn.Module] = {"stem": nn.Sequential(stem)}
        for i, stage in enumerate(_LAYERS, start=1):
            stages |= cut(stage, _layers(parts, stage, f"transition{i - 1}"), wanted, word="layer")
        head = nn.Sequential(OrderedDict([("norm5", parts["norm5"]), *net.class_layers.named_children()]))
        return chain(stages, head, wanted, modality, network=net)

    def _network(self, modality: Described, classes: int) -> monai_densenet.DenseNet:
        net = monai_densenet.DenseNet121(
            spatial_dims=modality.spatial_dims,
            in_channels=channels_of(modality),
            out_channels=classes,
            init_features=max(2, round(64 * self.width)),
            growth_rate=max(1, round(32 * self.width)),
            dropout_prob=self.dropout,
        )
        first = net.features.get_submodule("conv0")
        assert isinstance(first, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
        first.stride = (self.stem_stride,) * modality.spatial_dims
        if not self.max_pool:
            del net.features.pool0
        return net

    def _check_size(self, modality: Described) -> None:
        """Raise unless something is left after the transitions: `2 ** _HALVINGS` voxels after the stem, which rounds up."""
        least = (2**_HALVINGS - 1) * self.stem_stride * (2 if self.max_pool else 1) + 1
        if min(size_of(modality)) < least:
            raise ValueError(
                f"`modality` must have at least {least} voxels along each axis for DenseNet-121 with stem_stride="
                f"{self.stem_stride} and max_pool={self.max_pool}, but {modality.name!r} has shape {modality.shape}."
            )


def _layers(parts: dict[str, nn.Module], stage: str, transition: str) -> list[tuple[str, nn.Module]]:
    """Return the dense layers of a block; the transition before the block is part of the first one."""
    (name, first), *rest = parts[stage].named_children()
    before = [(transition, parts[transition])] if transition in parts else []
    return [(name, nn.Sequential(OrderedDict([*before, (name, first)])) if before else first), *rest]
