"""The families against MONAI's own networks, and what was there before them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from monai.networks.nets import DenseNet121 as MonaiDenseNet
from monai.networks.nets import ViT as MonaiViT
from monai.networks.nets import efficientnet
from monai.networks.nets.swin_unetr import SwinTransformer
from torch import nn

from nas_fusion.cohorts import Modality
from nas_fusion.fusion import Stream, build_backbone
from search_spaces.fusion_points.backbones import RESNETS, DenseNet121, EfficientNetB0, Graph, Swin, ViT
from search_spaces.fusion_points.backbones.graph import normalised_graph

VOLUME = Modality("T1w", "image", (2, 16, 16, 16))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def give(stream: Stream, network: nn.Module) -> None:
    """Load the stream's tensors into a network by the names that they have there."""
    found = {
        stream.original_names[name]: tensor for name, tensor in stream.state_dict().items() if name in stream.original_names
    }
    missing, unexpected = network.load_state_dict(found, strict=False)
    assert unexpected == []
    assert all("downsample" in name or "norm_cross_attn" in name for name in missing)


# Names and shapes of all tensors before there were other backbones: trained weights go by them.
BEFORE = {
    ("resnet10", "image", "whole"): "4329d338e6c7548d",
    ("resnet18", "image", "whole"): "5f78b9388ba22010",
    ("resnet18", "image", "cut"): "c25e54ae22cd4b3c",
    ("resnet34", "image", "whole"): "9542bcd56548c515",
    ("resnet34", "image", "cut"): "b2098bbdcbf444da",
    ("resnet50", "image", "whole"): "dd6d101f1fd103e1",
    ("resnet50", "image", "cut"): "2b537ee98fd45b70",
    ("resnet18", "matrix", "whole"): "d87eaeceee0a3623",
    ("resnet18", "matrix", "cut"): "bb85b202a8501265",
    ("resnet18", "vector", "whole"): "af7914c06722e89b",
    ("resnet18", "vector", "cut"): "e11fa71d6de1ca2b",
}


@pytest.mark.parametrize(("name", "kind", "points"), list(BEFORE))
def test_names_and_shapes_are_what_they_were(name: str, kind: str, points: str) -> None:
    modality = {
        "image": VOLUME,
        "matrix": Modality("SC", "matrix", (20, 20)),
        "vector": Modality("clinical", "vector", (7,)),
    }[kind]
    backbone = build_backbone(name, width=1 / 16, stem_kernel=3, stem_stride=2)
    names = backbone.points if points == "cut" else backbone.stages
    chosen = build_backbone("perceptron", hidden=9) if kind == "vector" else backbone
    stream = chosen.build(modality, 3, names)
    text = json.dumps([[key, list(tensor.shape)] for key, tensor in stream.state_dict().items()])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == BEFORE[name, kind, points]


@pytest.mark.parametrize("name", RESNETS)
def test_weights_of_a_seed_are_what_they_were(name: str) -> None:
    torch.manual_seed(3)
    backbone = build_backbone(name, width=1 / 16, stem_kernel=3)
    stream = backbone.build(VOLUME, 3, backbone.points)
    torch.manual_seed(3)
    expected = RESNETS[name](
        spatial_dims=3, n_input_channels=2, num_classes=3, conv1_t_size=3, conv1_t_stride=1, widen_factor=1 / 16
    )
    found = {stream.original_names[key]: tensor for key, tensor in stream.state_dict().items()}
    assert list(found) == list(expected.state_dict())
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.state_dict().items())


def test_weights_of_a_perceptron_are_what_they_were() -> None:
    torch.manual_seed(3)
    stream = build_backbone("perceptron", hidden=5).build(Modality("clinical", "vector", (7,)), 3, ())
    torch.manual_seed(3)
    layers = [nn.Linear(width, 5, bias=False) for width in (7, 5, 5, 5)]
    assert all(torch.equal(stream.stages[f"layer{i}"][0].weight, layer.weight) for i, layer in enumerate(layers, start=1))
    assert torch.equal(stream.head.weight, nn.Linear(5, 3).weight)


@pytest.mark.parametrize("spatial_dims", [1, 3])
def test_densenet_is_monais(spatial_dims: int) -> None:
    backbone = DenseNet121(width=1 / 16)
    stream = backbone.build(Modality("T1w", "image", (2, *[32] * spatial_dims)), 3, backbone.points[::7])
    network = MonaiDenseNet(spatial_dims, 2, 3, init_features=4, growth_rate=2)
    give(stream, network)
    x = torch.randn(2, 2, *[32] * spatial_dims)
    for mode in (True, False):
        torch.testing.assert_close(stream.train(mode)(x), network.train(mode)(x))


@pytest.mark.parametrize(("spatial_dims", "edge"), [(1, 50), (2, 37), (3, 20)])
def test_efficientnet_is_monais_at_the_size_that_monais_is_built_for(
    spatial_dims: int, edge: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = EfficientNetB0(width=1 / 8)
    stream = backbone.build(Modality("T1w", "image", (1, *[edge] * spatial_dims)), 3, backbone.points[::3])
    monkeypatch.setitem(efficientnet.efficientnet_params, "efficientnet-b0", (1 / 8, 1.0, edge, 0.2, 0.2))
    network = efficientnet.EfficientNetBN("efficientnet-b0", False, False, spatial_dims, 1, 3)
    give(stream, network)
    x = torch.randn(2, 1, *[edge] * spatial_dims)
    torch.testing.assert_close(stream.eval()(x), network.eval()(x))
    logits = []
    for model in (stream, network):
        torch.manual_seed(1)
        logits.append(model.train()(x))  # the same blocks are left out
    torch.testing.assert_close(*logits)


@pytest.mark.parametrize("spatial_dims", [1, 3])
def test_blocks_of_the_vision_transformer_are_monais(spatial_dims: int) -> None:
    backbone, size = ViT(width=1 / 16, depth=5, patch=4), (8, 13, 9)[:spatial_dims]
    stream = backbone.build(Modality("T1w", "image", (2, *size)), 3, backbone.points).eval()
    network = MonaiViT(2, size, 4, 48, 192, 5, 12, spatial_dims=spatial_dims, qkv_bias=True).eval()
    give(stream, network)
    x = torch.randn(3, 2, *size)
    normalised, hidden = network(x)
    for point, expected in zip(backbone.points, hidden, strict=True):
        torch.testing.assert_close(stream.advance(x, None, point).flatten(2).mT, expected)
    torch.testing.assert_close(stream(x), stream.head.fc(normalised.mean(1)))
    assert backbone.stages == ("block2", "block3", "block4", "block5")
    assert ViT().stages == ("block3", "block6", "block9", "block12")


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_stages_of_the_swin_transformer_are_monais(spatial_dims: int) -> None:
    backbone = Swin(width=1 / 32, patch=1, window=2)
    stream = backbone.build(Modality("T1w", "image", (2, *[17] * spatial_dims)), 3, backbone.points).eval()
    network = SwinTransformer(
        in_chans=2,
        embed_dim=3,
        window_size=[2] * spatial_dims,
        patch_size=[1] * spatial_dims,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        patch_norm=True,
        spatial_dims=spatial_dims,
        downsample="mergingv2",
    ).eval()
    give(stream, network)
    x = torch.randn(2, 2, *[17] * spatial_dims)
    hidden = network(x, normalize=False)
    torch.testing.assert_close(stream.advance(x, None, "stem"), hidden[0])
    for i in (1, 2, 3):
        features = stream.advance(x, None, f"layers{i}")
        merged = network.get_submodule(f"layers{i}.0.downsample")(features.movedim(1, -1)).movedim(-1, 1)
        torch.testing.assert_close(merged, hidden[i])


def test_graph_convolutions_are_those_of_the_paper() -> None:
    backbone = Graph(hidden=4, density=0.3)
    stream = backbone.build(Modality("SC", "matrix", (6, 6)), 2, ("first", "second")).eval()
    for layer in stream.stages.values():
        nn.init.normal_(layer.norm.running_mean)
        nn.init.uniform_(layer.norm.running_var, 0.5, 2)
    x = torch.randn(3, 6, 6)
    for subject, logits in zip(x.double().numpy(), stream(x).detach().numpy(), strict=True):
        matrix = (subject + subject.T) / 2
        upper = np.triu_indices(6, 1)
        edges = np.zeros((6, 6))
        for k in np.argsort(-matrix[upper])[: round(0.3 * 15)]:
            edges[upper[0][k], upper[1][k]] = edges[upper[1][k], upper[0][k]] = 1
        looped = edges + np.eye(6)
        graph = looped / np.sqrt(np.outer(looped.sum(0), looped.sum(0)))
        tokens = matrix
        for layer in stream.stages.values():
            mixed = graph @ tokens @ layer.linear.weight.detach().numpy().T
            norm = {key: tensor.numpy() for key, tensor in layer.norm.state_dict().items()}
            scaled = (mixed - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
            tokens = np.maximum(scaled * norm["weight"] + norm["bias"], 0)
        head = stream.head[-1]
        np.testing.assert_allclose(
            logits, head.weight.detach().numpy() @ tokens.mean(0) + head.bias.detach().numpy(), rtol=1e-4, atol=1e-5
        )


def test_graphs_have_the_density_that_is_asked_for_and_no_edge_of_zero() -> None:
    connections = torch.rand(4, 20, 20)
    graph = normalised_graph(connections + connections.mT, 0.1)
    assert ((graph > 0).sum((1, 2)) == 20 + 2 * 19).all()
    assert torch.equal(normalised_graph(torch.zeros(2, 5, 5), 0.5), torch.eye(5).expand(2, 5, 5))


def test_absent_connectomes_give_no_nan() -> None:
    stream = Graph(hidden=4).build(Modality("FC", "covariance", (6, 6)), 2, ("layer1",))
    assert stream(torch.zeros(2, 6, 6)).isfinite().all()


def test_graphs_go_on_only_in_a_passage() -> None:
    stream = Graph(hidden=4).build(Modality("SC", "matrix", (6, 6)), 2, ("layer1", "layer2"))
    features = stream.advance(torch.rand(2, 6, 6), None, "layer1")
    assert tuple(features.shape) == (2, 4, 6)
    with pytest.raises(ValueError, match="`after` must be None, since only a passage knows the graphs, but got 'layer1'"):
        stream.advance(features, "layer1", None)
