from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
import torch

from search_spaces.expert_routing.graphs import GraphRule, adjacency
from search_spaces.expert_routing.measures import MEASURES, measure

from .connectomes import structural

REFERENCES: dict[str, Callable[[nx.Graph], dict[int, float]]] = {
    "degree": nx.degree_centrality,
    "neighbour_degree": nx.average_neighbor_degree,
    "clustering": nx.clustering,
    "eigenvector": nx.eigenvector_centrality_numpy,
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("density", [0.4, 0.7, 1.0])
def test_equal_networkx(name: str, density: float) -> None:
    weights = structural(4, 20)
    edges = adjacency(weights, GraphRule(density))
    found = measure(name, edges, weights)
    for one, values in zip(edges.numpy(), found.numpy(), strict=True):
        graph = nx.from_numpy_array(one)
        assert nx.is_connected(graph)
        wanted = REFERENCES[name](graph)
        np.testing.assert_allclose(values, [wanted[region] for region in range(20)], atol=1e-5)


def test_strength_is_the_weighted_degree_without_the_diagonal() -> None:
    weights = structural(3, 12)
    weights[:, 2, 2] = 7
    graph = nx.from_numpy_array((weights[1] * (1 - torch.eye(12))).numpy())
    found = measure("strength", adjacency(weights, GraphRule(0.1)), weights)
    np.testing.assert_allclose(found[1].numpy(), [value for _, value in graph.degree(weight="weight")], rtol=1e-6)


@pytest.mark.parametrize("name", MEASURES)
def test_without_any_edge_all_is_finite(name: str) -> None:
    nothing = torch.zeros(2, 5, 5)
    found = measure(name, nothing, nothing)
    assert found.shape == (2, 5) and torch.isfinite(found).all()


def test_bipartite_graphs_do_not_oscillate() -> None:
    star = torch.zeros(1, 5, 5)
    star[0, 0, 1:] = star[0, 1:, 0] = 1
    found = measure("eigenvector", star, star)
    torch.testing.assert_close(found, torch.tensor([[0.5**0.5, *[0.125**0.5] * 4]]))


def test_unknown_measure_raises() -> None:
    with pytest.raises(ValueError, match=r"`measures` must be among degree, .* but got 'hubs'"):
        measure("hubs", torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))
