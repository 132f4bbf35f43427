"""A graph convolutional network for connectomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nas_fusion.fusion import Passage, Stream
from nas_fusion.fusion.backbone import Described
from search_spaces.fusion_points.backbones.layered import Layered


class GraphConvolution(nn.Module):
    """`A X W`, batch normalisation, ReLU (Kipf and Welling 2017, arXiv 1609.02907, equation 2).

    Args:
        features: Features of a region before.
        out: Features after.
    """

    def __init__(self, features: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, out, bias=False)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, features: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        """Return features `(batch, out, regions)`.

        Args:
            features: `(batch, features, regions)`.
            graph: Normalised adjacency, symmetric `(batch, regions, regions)`.
        """
        mixed = self.linear(features.transpose(1, 2)).transpose(1, 2) @ graph.to(features.dtype)
        found: torch.Tensor = torch.relu(self.norm(mixed))
        return found


class GraphStream(Stream):
    """Graph convolutions, one a tap, on the graph of each subject's own strongest connections.

    Features are `(batch, channels, regions)`: one spatial axis, the regions. A region's first features are its connections to
    all regions.

    Args:
        layers: Name to graph convolution.
        head: From features of the last one to logits.
        channels: Features of a region after each layer.
        density: Fraction of the pairs of regions that are edges.
        correlate: Whether the matrices are covariances, which are scaled to correlations first.
    """

    def __init__(
        self, layers: dict[str, nn.Module], head: nn.Module, channels: int, *, density: float, correlate: bool
    ) -> None:
        super().__init__(layers, head, [(name, channels, 1) for name in layers], spatial_dims=1)
        self.density, self.correlate = density, correlate

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits `(batch, classes)` of this stream alone; inputs are `(batch, regions, regions)`."""
        return self.begin().advance(inputs, None)

    def begin(self) -> Passage:
        """Return a forward pass to be made in steps; it knows the subjects' graphs."""
        return _GraphPassage(self)

    def advance(self, features: torch.Tensor, after: str | None, until: str | None) -> torch.Tensor:
        """Return the features at a tap, or the logits, computed from the input: all that one step can do.

        Raises:
            ValueError: If `after` names a tap: only `begin` can go on from there.
        """
        if after is not None:
            raise ValueError(f"`after` must be None, since only a passage knows the graphs, but got {after!r}.")
        return self.begin().advance(features, until)

    def prepare(self, matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the regions' first features and their graph, both `(batch, regions, regions)`."""
        with torch.autocast(matrices.device.type, enabled=False):  # which connections are strongest is not for half precision
            connections = correlations(matrices) if self.correlate else (matrices + matrices.transpose(1, 2)) / 2
            return connections, normalised_graph(connections, self.density)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits of the last features."""
        return self._logits(features)


class _GraphPassage(Passage):
    def __init__(self, stream: GraphStream) -> None:
        super().__init__(stream)
        self._graphs = stream
        self._ahead = list(stream.stages)
        self._graph: torch.Tensor | None = None

    def advance(self, features: torch.Tensor, until: str | None) -> torch.Tensor:
        """Return the features at the tap `until`, or the logits, see `Passage.advance`."""
        if self._graph is None:
            features, self._graph = self._graphs.prepare(features)
        stop = len(self._ahead) if until is None else self._ahead.index(until) + 1
        for name in self._ahead[:stop]:
            features = self._graphs.stages[name](features, self._graph)
        del self._ahead[:stop]
        return self._graphs.logits(features) if until is None else features


@dataclass(frozen=True)
class Graph(Layered):
    """Graph convolutions for a matrix `(regions, regions)`, one for each point.

    An edge joins two regions whose connection is among the subject's strongest, by value and not by distance from zero. The
    logits come from the mean over regions.

    References:
        - Kipf and Welling, Semi-supervised Classification with Graph Convolutional Networks, ICLR 2017, `arXiv 1609.02907
          <https://arxiv.org/abs/1609.02907>`_, equation 2.

    Attributes:
        hidden: Features of a region after each layer, at least 1.
        layers: How many points it offers where none are given by other streams, at least 1.
        density: Fraction of the pairs of regions that are edges, in (0, 1].
    """

    density: float = 0.12

    kinds = ("matrix", "covariance")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.density <= 1:
            raise ValueError(f"`density` must be in (0, 1], but got {self.density!r}.")

    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        """Return the stream of a modality: a layer for each point, in their order; without any, those of `points`."""
        self.check(modality)
        names = tuple(points) or self.points
        widths = [modality.shape[0], *[self.hidden] * len(names)]
        layers: dict[str, nn.Module] = {
            name: GraphConvolution(width, self.hidden) for name, width in zip(names, widths, strict=False)
        }
        head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(self.hidden, classes))
        return GraphStream(layers, head, self.hidden, density=self.density, correlate=modality.kind == "covariance")


def normalised_graph(connections: torch.Tensor, density: float) -> torch.Tensor:
    """Return `D^-1/2 (A + I) D^-1/2` of each subject, A the strongest connections, D the degrees of A + I.

    A connection of zero is no edge. Of equally strong ones at the edge of the fraction, any may be taken.

    Args:
        connections: Symmetric `(batch, regions, regions)`.
        density: Fraction of the pairs in (0, 1], rounded to whole pairs, at least one.
    """
    n = connections.shape[-1]
    rows, columns = torch.triu_indices(n, n, offset=1, device=connections.device)
    values = connections[:, rows, columns]
    strongest = values.topk(max(1, round(density * values.shape[1])), dim=1).indices
    chosen = torch.zeros_like(values).scatter_(1, strongest, 1.0) * (values != 0)
    edges = torch.zeros_like(connections)
    edges[:, rows, columns] = chosen
    looped = edges + edges.transpose(1, 2) + torch.eye(n, dtype=edges.dtype, device=edges.device)
    scale = looped.sum(-1).rsqrt()
    return looped * scale.unsqueeze(1) * scale.unsqueeze(2)


def correlations(covariances: torch.Tensor) -> torch.Tensor:
    """Return the correlations of covariances `(batch, regions, regions)`; a masked subject's zeros stay zeros."""
    variances = covariances.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(variances > 0, variances, 1).rsqrt()
    return covariances * scale.unsqueeze(1) * scale.unsqueeze(2)
