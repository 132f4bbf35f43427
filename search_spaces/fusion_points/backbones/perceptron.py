"""A multilayer perceptron for tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from nas_fusion.fusion import Stream
from nas_fusion.fusion.backbone import Described
from search_spaces.fusion_points.backbones.layered import Layered


@dataclass(frozen=True)
class Perceptron(Layered):
    """Hidden layers, one for each point, each a linear map, batch normalisation and a ReLU.

    Attributes:
        hidden: Features after each hidden layer, at least 1.
        layers: How many points it offers where none are given by other streams, at least 1.
    """

    kinds = ("vector",)

    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        """Return the stream of a modality: a hidden layer for each point, in their order; without any, those of `points`."""
        self.check(modality)
        names = tuple(points) or self.points
        widths = [modality.shape[0], *[self.hidden] * len(names)]
        stages = {
            name: nn.Sequential(nn.Linear(width, self.hidden, bias=False), nn.BatchNorm1d(self.hidden), nn.ReLU())
            for name, width in zip(names, widths, strict=False)
        }
        return Stream(stages, nn.Linear(self.hidden, classes), [(name, self.hidden, 1) for name in names], spatial_dims=0)
