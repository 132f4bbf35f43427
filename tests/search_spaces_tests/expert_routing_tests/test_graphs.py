from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.cohorts import Modality
from search_spaces.expert_routing.graphs import GraphRule, Graphs, adjacency, correlations, normalised
from search_spaces.expert_routing.network import ModelOptions
from search_spaces.expert_routing.transforms import transform

from .connectomes import covariances, functional, structural


def reference(matrix: np.ndarray, rule: GraphRule) -> np.ndarray:  # type: ignore[type-arg]
    """The graph of one subject, pair by pair."""
    n = len(matrix)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    size = {pair: abs(matrix[pair]) if rule.sign == "absolute" else matrix[pair] for pair in pairs}
    chosen = pairs
    if rule.by == "density":
        chosen = sorted(pairs, key=lambda pair: -size[pair])[: int(rule.threshold * len(pairs) + 0.5)]  # a stable sort
    elif rule.by == "absolute":
        chosen = [pair for pair in pairs if size[pair] >= rule.threshold]
    edges = np.zeros((n, n))
    for i, j in chosen:
        if matrix[i, j] != 0:
            edges[i, j] = edges[j, i] = 1
    return edges


RULES = [
    *(GraphRule(threshold, "density", sign) for threshold in (0, 0.02, 0.12, 0.3, 1) for sign in ("signed", "absolute")),
    *(GraphRule(threshold, "absolute", sign) for threshold in (0.0, 0.1, 2, 30) for sign in ("signed", "absolute")),
    GraphRule(by="none"),
]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("kind", ["SC", "FC"])
def test_edges_are_those_of_the_rule(rule: GraphRule, kind: str) -> None:
    matrices = structural(5, 12) if kind == "SC" else functional(5, 12)
    found = adjacency(matrices, rule)
    for matrix, edges in zip(matrices.numpy(), found.numpy(), strict=True):
        np.testing.assert_array_equal(edges, reference(matrix, rule))


def test_of_equal_connections_the_first_pairs_are_taken() -> None:
    matrix = torch.full((1, 5, 5), 3.0)
    edges = adjacency(matrix, GraphRule(0.3))  # 3 of 10 pairs
    assert edges[0].triu().nonzero().tolist() == [[0, 1], [0, 2], [0, 3]]


def test_zero_is_no_connection_and_no_region_is_its_own_neighbour() -> None:
    matrix = torch.zeros(1, 4, 4)
    matrix[0, 0, 1] = matrix[0, 1, 0] = 2
    matrix[0, 2, 2] = 9
    for rule in (GraphRule(1, "density"), GraphRule(0, "absolute"), GraphRule(by="none")):
        assert adjacency(matrix, rule)[0].nonzero().tolist() == [[0, 1], [1, 0]]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.sampled_from(RULES), st.integers(0, 10**6))
def test_graphs_are_symmetric_binary_and_follow_a_permutation_of_the_regions(n: int, rule: GraphRule, seed: int) -> None:
    matrices = functional(3, n, seed)  # no ties: a permutation would resolve them otherwise
    edges = adjacency(matrices, rule)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    assert torch.equal(edges, edges.mT) and set(edges.unique().tolist()) <= {0.0, 1.0}
    assert edges.diagonal(dim1=1, dim2=2).sum() == 0
    assert torch.equal(adjacency(matrices[:, order][:, :, order], rule), edges[:, order][:, :, order])


def test_normalised_adjacency_is_the_formula() -> None:
    edges = adjacency(functional(3, 8), GraphRule(0.2))
    for one, found in zip(edges.numpy(), normalised(edges).numpy(), strict=True):
        looped = one + np.eye(8)
        root = np.diag(1 / np.sqrt(looped.sum(1)))
        np.testing.assert_allclose(found, root @ looped @ root, atol=1e-6)


def test_correlations_of_covariances() -> None:
    found = correlations(covariances(3, 6))
    for one, matrix in zip(covariances(3, 6).numpy(), found.numpy(), strict=True):
        scale = np.sqrt(np.diag(one))
        np.testing.assert_allclose(matrix, one / np.outer(scale, scale), atol=1e-6)


@pytest.mark.parametrize("encoder", ["gcn", "gin", "graph_transformer"])
def test_precomputation_gives_graph_features_and_measures_subject_by_subject(encoder: str) -> None:
    options = ModelOptions(encoder=encoder, sc_transform="rank", fc_transform="raw", measures=("degree", "clustering"))
    modalities = [Modality("SC", "matrix", (10, 10)), Modality("FC", "matrix", (8, 8)), Modality("FC2", "covariance", (8, 8))]
    inputs = {"SC": structural(150, 10), "FC": functional(150, 8), "FC2": covariances(150, 8)}
    graphs = options.graphs(modalities)
    found = graphs(inputs)
    keys = ["SC:graph", "SC:features", "SC:measures", "FC:graph", "FC:measures", "FC2:graph", "FC2:measures"]
    assert list(found) == keys
    edges = adjacency(inputs["SC"], options.rule())
    assert torch.equal(found["SC:graph"], normalised(edges) if encoder == "gcn" else edges)
    assert torch.equal(found["SC:features"], transform(inputs["SC"], "rank"))
    assert found["FC:measures"].shape == (150, 8, 2)
    assert torch.allclose(found["FC2:graph"], graphs({**inputs, "FC2": correlations(inputs["FC2"])})["FC2:graph"])
    alone = graphs({name: values[70:71] for name, values in inputs.items()})
    for name, values in found.items():
        torch.testing.assert_close(values[70:71], alone[name])


def test_measures_keep_their_precision_under_autocast() -> None:
    graphs = ModelOptions(measures=("clustering", "neighbour_degree")).graphs([Modality("SC", "matrix", (40, 40))])
    inputs = {"SC": structural(3, 40)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = graphs(inputs)
    assert torch.equal(half["SC:measures"], graphs(inputs)["SC:measures"])


def test_precomputations_are_equal_where_they_compute_the_same() -> None:
    modality = Modality("SC", "matrix", (10, 10))
    assert ModelOptions().graphs([modality]) == ModelOptions(hidden=3).graphs([modality])
    assert hash(ModelOptions().graphs([modality])) == hash(ModelOptions(hidden=3).graphs([modality]))
    assert ModelOptions().graphs([modality]) != ModelOptions(threshold=0.3).graphs([modality])
    assert Graphs((("SC", "matrix", "raw"),)) == ModelOptions().graphs([modality])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.2}, r"`threshold` must be in \[0, 1\].*, but got 1.2"),
        ({"threshold": float("nan")}, r"`threshold` must be in \[0, 1\].*, but got nan"),
        ({"threshold_by": "rank"}, "`threshold_by` must be one of density, absolute, none, but got 'rank'"),
        ({"threshold_sign": "both"}, "`threshold_sign` must be one of signed, absolute, but got 'both'"),
        ({"encoder": "gcnn"}, "`encoder` must be one of gcn, gin, graph_transformer, but got 'gcnn'. Did you mean 'gcn'"),
        ({"sc_transform": "log"}, "`sc_transform` must be one of raw, log1p, rank, but got 'log'. Did you mean 'log1p'"),
        ({"fc_transform": "z"}, "`fc_transform` must be one of raw, fisher, but got 'z'"),
        ({"measures": ("degrees",)}, "`measures` must be one of degree, .* but got 'degrees'. Did you mean 'degree'"),
        ({"pooling": "sum"}, "`pooling` must be one of mean, add, max, but got 'sum'"),
        ({"expert": "conv"}, "`expert` must be one of linear, mlp, but got 'conv'"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\), but got 1.0"),
        ({"layers": 0}, "`layers` must be a whole number of at least 1, but got 0"),
        ({"hidden": 2.5}, "`hidden` must be a whole number of at least 1, but got 2.5"),
        ({"anchor": 0}, "`anchor` must be a whole number of at least 1, but got 0"),
    ],
)
def test_wrong_options_raise(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelOptions(**options)  # type: ignore[arg-type]
