from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from nas_fusion.cohorts import Modality
from search_spaces.expert_routing.encoders import GCNLayer, GINLayer, GraphEncoder, GraphTransformerLayer
from search_spaces.expert_routing.graphs import GraphRule, adjacency, normalised
from search_spaces.expert_routing.layers import LinearExpert, MLPExpert, TokenNorm, pool, projection
from search_spaces.expert_routing.network import ModelOptions

from .connectomes import functional, shaken, structural

Array = npt.NDArray[np.float64]
Weights = dict[str, Array]


def weights_of(module: nn.Module, prefix: str = "") -> Weights:
    return {
        name.removeprefix(prefix): tensor.detach().double().numpy()
        for name, tensor in module.state_dict().items()
        if name.startswith(prefix)
    }


def norm(x: Array, weights: Weights, name: str, *, training: bool) -> Array:
    """Batch normalisation over subjects and tokens, in numpy."""
    mean = x.mean((0, 1)) if training else weights[f"{name}.running_mean"]
    variance = x.var((0, 1)) if training else weights[f"{name}.running_var"]
    return (x - mean) / np.sqrt(variance + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


GRAPHS = adjacency(functional(4, 7), GraphRule(0.4))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("features", "out"), [(7, 5), (3, 5)])  # maps first, then aggregates; and the other way round
def test_gcn_layer_is_its_formula(features: int, out: int, training: bool) -> None:
    torch.manual_seed(0)
    layer, tokens = shaken(GCNLayer(features, out, 0.0)).train(training), torch.randn(4, 7, features)
    weights, graph = weights_of(layer), normalised(GRAPHS)
    wanted = relu(
        norm(graph.double().numpy() @ tokens.double().numpy() @ weights["linear.weight"].T, weights, "norm", training=training)
    )
    np.testing.assert_allclose(layer(tokens, graph).detach(), wanted, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_gin_layer_is_its_formula(training: bool) -> None:
    torch.manual_seed(0)
    layer, tokens = shaken(GINLayer(6, 5, 0.0)).train(training), torch.randn(4, 7, 6)
    weights, x = weights_of(layer), tokens.double().numpy()
    gathered = (1 + weights["epsilon"]) * x
    for subject, edges in enumerate(GRAPHS.numpy()):
        for region in range(7):
            gathered[subject, region] += x[subject, edges[region] == 1].sum(0)
    hidden = relu(norm(gathered @ weights["mlp.0.weight"].T, weights, "mlp.1", training=training))
    wanted = relu(norm(hidden @ weights["mlp.3.weight"].T, weights, "norm", training=training))
    assert weights["epsilon"] != 0
    np.testing.assert_allclose(layer(tokens, GRAPHS).detach(), wanted, atol=1e-5)


def test_graph_transformer_layer_attends_to_neighbours_and_itself_only() -> None:
    torch.manual_seed(0)
    layer, tokens = shaken(GraphTransformerLayer(8, 8, 0.0)).eval(), torch.randn(4, 7, 8)
    weights, x = weights_of(layer), tokens.double().numpy()
    parts = (x @ weights["queries_keys_values.weight"].T + weights["queries_keys_values.bias"]).reshape(4, 7, 3, 4, 2)
    attended = np.zeros((4, 7, 4, 2))
    for subject, edges in enumerate(GRAPHS.numpy()):
        for region in range(7):
            seen = [other for other in range(7) if other == region or edges[region, other]]
            for head in range(4):
                query, keys, values = parts[subject, region, 0, head], *parts[subject, seen, 1:, head].swapaxes(0, 1)
                scores = np.exp(keys @ query / np.sqrt(2))
                attended[subject, region, head] = (scores / scores.sum()) @ values
    x = norm(x + attended.reshape(4, 7, 8) @ weights["mix.weight"].T, weights, "norms.0", training=False)
    hidden = relu(x @ weights["feed_forward.0.weight"].T + weights["feed_forward.0.bias"])
    wanted = norm(x + hidden @ weights["feed_forward.2.weight"].T, weights, "norms.1", training=False)
    np.testing.assert_allclose(layer(tokens, GRAPHS).detach(), wanted, atol=1e-5)


@pytest.mark.parametrize("width", [5, 6, 16])
def test_graph_transformer_takes_any_width(width: int) -> None:
    layer = GraphTransformerLayer(7, width, 0.1)
    assert layer(torch.randn(4, 7, 7), GRAPHS).shape == (4, 7, width)


def test_experts_and_projection_are_their_formulas() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(3, 6, 4)
    for training in (True, False):
        linear, mlp, projected = (
            shaken(module).train(training) for module in (LinearExpert(4, 0.0), MLPExpert(4, 0.0), projection(4, 5))
        )
        x, w = tokens.double().numpy(), weights_of(linear)
        wanted = norm(relu(norm(x, w, "0", training=training)) @ w["2.weight"].T, w, "3", training=training)
        np.testing.assert_allclose(linear(tokens).detach(), wanted, atol=1e-5)
        w = weights_of(mlp)
        hidden = relu(norm(relu(norm(x, w, "0", training=training)) @ w["2.weight"].T, w, "3", training=training))
        np.testing.assert_allclose(mlp(tokens).detach(), norm(hidden @ w["5.weight"].T, w, "6", training=training), atol=1e-5)
        w = weights_of(projected)
        wanted = relu(norm(x @ w["0.weight"].T, w, "1", training=training))
        np.testing.assert_allclose(projected(tokens).detach(), wanted, atol=1e-5)


def test_batch_normalisation_counts_every_token_of_every_subject() -> None:
    torch.manual_seed(0)
    layer, tokens = TokenNorm(3), torch.randn(4, 5, 3) * 2 + 1
    layer(tokens)
    torch.testing.assert_close(layer.running_mean, 0.1 * tokens.mean((0, 1)))
    torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * tokens.flatten(0, 1).var(0))


@pytest.mark.parametrize(("how", "reference"), [("mean", np.mean), ("add", np.sum), ("max", np.max)])
def test_pooling(how: str, reference: type) -> None:
    tokens = torch.randn(3, 6, 4)
    np.testing.assert_allclose(pool(tokens, how), reference(tokens.numpy(), axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("encoder", ["gcn", "gin", "graph_transformer"])
@pytest.mark.parametrize("regions", [80, 90, 116, 400])
def test_any_number_of_regions(encoder: str, regions: int) -> None:
    options = ModelOptions(encoder=encoder, encoder_layers=2, hidden=4, threshold=0.05)
    module = GraphEncoder(Modality("SC", "matrix", (regions, regions)), options).eval()
    tokens = module({"SC": structural(2, regions)})
    assert tokens.shape == (2, regions, 4) and torch.isfinite(tokens).all()


@pytest.mark.parametrize("encoder", ["gcn", "gin", "graph_transformer"])
def test_layers_follow_a_permutation_of_the_regions(encoder: str) -> None:
    options = ModelOptions(encoder=encoder, encoder_layers=2, hidden=8, threshold=0.3, dropout=0.0)
    module = GraphEncoder(Modality("FC", "matrix", (9, 9)), options)
    shaken(module)
    matrices, order = functional(5, 9), torch.randperm(9, generator=torch.Generator().manual_seed(2))
    module.features.prepare({"FC": matrices})
    features, graph = module.features({"FC": matrices}), module.features.graph({"FC": matrices})
    plain, moved = features, features[:, order]  # columns keep their place: they are features, not regions
    for layer in module.layers:
        plain, moved = layer(plain, graph), layer(moved, graph[:, order][:, :, order])
    torch.testing.assert_close(moved, plain[:, order], rtol=1e-4, atol=1e-4)
