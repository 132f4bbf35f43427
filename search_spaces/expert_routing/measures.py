"""Graph measures of regions, for many subjects at once."""

from __future__ import annotations

from collections.abc import Callable

import torch

_ITERATIONS = 100


def measure(name: str, edges: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return a graph measure of each region `(batch, regions)`.

    Args:
        name: One of `MEASURES`.
        edges: Undirected graph of 0 and 1 `(batch, regions, regions)`, zero diagonal.
        weights: Connectivity `(batch, regions, regions)`.

    Raises:
        ValueError: If there is no such measure.
    """
    if name not in MEASURES:
        raise ValueError(f"`measures` must be among {', '.join(MEASURES)}, but got {name!r}.")
    return MEASURES[name](edges, weights)


def degree(edges: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the number of neighbours over the number of other regions: degree centrality, in [0, 1]."""
    return edges.sum(-1) / max(1, edges.shape[-1] - 1)


def strength(edges: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the sum of a region's connectivity to all other regions, whether they are neighbours or not."""
    return weights.sum(-1) - weights.diagonal(dim1=-2, dim2=-1)


def neighbour_degree(edges: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the mean number of neighbours of a region's neighbours; 0 for one without neighbours."""
    degrees = edges.sum(-1)
    return (edges @ degrees.unsqueeze(-1)).squeeze(-1) / degrees.clamp_min(1)


def clustering(edges: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the share of a region's pairs of neighbours that are neighbours (Watts and Strogatz 1998); 0 below two."""
    degrees = edges.sum(-1)
    closed = ((edges @ edges) * edges).sum(-1)
    return closed / (degrees * (degrees - 1)).clamp_min(1)


def eigenvector(edges: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return eigenvector centrality (Bonacich 1972), of length 1 a subject.

    Power iteration on A + I, which has the same eigenvectors and converges on bipartite graphs too, from equal values: 100
    steps in double precision. Where a graph falls apart, the components of smaller largest eigenvalue fade out; without any
    edge, all regions are equal.
    """
    doubled = edges.double()
    vector = doubled.new_full((*edges.shape[:2], 1), edges.shape[-1] ** -0.5)
    for _ in range(_ITERATIONS):
        vector = torch.nn.functional.normalize(doubled @ vector + vector, dim=1)
    return vector.squeeze(-1).to(edges.dtype)


MEASURES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "degree": degree,
    "strength": strength,
    "neighbour_degree": neighbour_degree,
    "clustering": clustering,
    "eigenvector": eigenvector,
}
