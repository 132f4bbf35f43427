"""A backbone of one's own: an ordinary network with two paths, tapped at three of its submodules."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nas_fusion import Backbone, Stream, TappedModule, register_backbone


class TwoPaths(nn.Module):
    """A volume's network with a fine and a coarse path; its forward pass is whatever you like."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(channels, width, 3, stride=2, padding=1), nn.ReLU())
        self.fine = nn.Conv3d(width, width, 3, padding=1)
        self.coarse = nn.Sequential(nn.AvgPool3d(2), nn.Conv3d(width, width, 3, padding=1), nn.Upsample(scale_factor=2))
        self.merged = nn.Conv3d(2 * width, 2 * width, 3, stride=2, padding=1)
        self.classify = nn.Linear(2 * width, classes)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        features = self.stem(volume)
        paths = [features + self.fine(features).relu(), self.coarse(features)]
        return self.classify(self.merged(torch.cat(paths, dim=1)).relu().mean((2, 3, 4)))


@register_backbone("two_paths")
@dataclass(frozen=True)
class TwoPathsBackbone(Backbone):
    """Makes the stream of a volume. The attributes are its options: `--set width=16`."""

    width: int = 8

    kinds = ("image",)
    points = ("stem", "fine", "merged")  # submodules, in the order in which they run

    def build(self, modality, classes: int, points: Sequence[str]) -> Stream:
        self.check(modality, points)
        network = TwoPaths(modality.shape[0], classes, self.width)
        return TappedModule(network, self.points, example=torch.zeros(2, *modality.shape))
