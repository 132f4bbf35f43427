from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nas_fusion.fusion import CrossAttention, build_module

Array = npt.NDArray[np.float64]


def perturbed(channels: list[int], *, spatial_dims: int, **options: int) -> CrossAttention:
    torch.manual_seed(0)
    module = CrossAttention(channels, spatial_dims=spatial_dims, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return module


def attended(query: Array, seen: Array, weights: dict[str, Array], stream: int, heads: int) -> Array:
    """Multi-head attention of one subject in numpy, with one more key and value of zeros."""
    projections = np.split(weights[f"attention.{stream}.in_proj_weight"], 3)
    q, k, v = (tokens @ matrix.T for tokens, matrix in zip((query, seen, seen), projections, strict=True))
    k, v = (np.concatenate([tokens, np.zeros((1, tokens.shape[1]))]) for tokens in (k, v))
    found = []
    for qh, kh, vh in zip(*(np.split(tokens, heads, axis=1) for tokens in (q, k, v)), strict=True):
        scores = np.exp(qh @ kh.T / np.sqrt(qh.shape[1]))
        found.append(scores / scores.sum(1, keepdims=True) @ vh)
    return np.concatenate(found, axis=1) @ weights[f"attention.{stream}.out_proj.weight"].T


@pytest.mark.parametrize("size", [(), (4,), (2, 3), (2, 2, 2)])
def test_equals_its_formula(size: tuple[int, ...]) -> None:
    channels = [4, 6, 5]
    module = perturbed(channels, spatial_dims=len(size), heads=2)
    weights = {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}
    features = [torch.randn(1, c, *size) for c in channels]
    read = [stream.read(x)[0][0].detach().double().numpy() for stream, x in zip(module.tokens, features, strict=True)]
    for i, (x, fused) in enumerate(zip(features, module(features), strict=True)):
        others = np.concatenate([tokens for j, tokens in enumerate(read) if j != i])
        written = attended(read[i], others, weights, i, heads=2) @ weights[f"tokens.{i}.leave.weight"].T
        expected = x.numpy() + written.T.reshape(x.shape)
        np.testing.assert_allclose(fused.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_absent_modalities_are_not_attended_to() -> None:
    module = perturbed([4, 4, 4], spatial_dims=2)
    features = [torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5), torch.zeros(2, 4, 5, 5)]
    before = module(features)
    with torch.no_grad():
        for parameter in module.tokens[2].parameters():
            parameter.add_(1)
    after = module(features)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_alone_a_stream_stays_as_it_is() -> None:
    module = perturbed([4, 4, 4], spatial_dims=1)
    features = [torch.randn(2, 4, 9), torch.zeros(2, 4, 9), torch.zeros(2, 4, 3)]
    assert torch.equal(module(features)[0], features[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": 0}, "`tokens` must be a whole number of at least 1, but got 0"),
        ({"tokens": 2.5}, "`tokens` must be a whole number of at least 1, but got 2.5"),
        ({"heads": True}, "`heads` must be a whole number of at least 1, but got True"),
        ({"ratio": 0.1}, "`ratio` must be at least 1, but got 0.1"),
        ({"ratio": "a"}, "`options` must be options of the module 'cross_attention'"),
        ({"width": 8}, "`options` must be options of the module 'cross_attention'"),
    ],
)
def test_wrong_options_raise(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_module("cross_attention", [4, 5], **options)
