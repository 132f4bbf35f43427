from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nas_fusion.fusion import AttentionBottleneck, build_module

Array = npt.NDArray[np.float64]


def perturbed(channels: list[int], *, spatial_dims: int, **options: int) -> AttentionBottleneck:
    torch.manual_seed(0)
    module = AttentionBottleneck(channels, spatial_dims=spatial_dims, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return module


def attended(query: Array, seen: Array, weights: dict[str, Array], stream: int) -> Array:
    """Attention with one head in numpy."""
    parts = zip(
        (query, seen, seen),
        np.split(weights[f"attention.{stream}.in_proj_weight"], 3),
        np.split(weights[f"attention.{stream}.in_proj_bias"], 3),
        strict=True,
    )
    q, k, v = (tokens @ matrix.T + bias for tokens, matrix, bias in parts)
    scores = np.exp(q @ k.T / np.sqrt(q.shape[1]))
    found = scores / scores.sum(1, keepdims=True) @ v
    return found @ weights[f"attention.{stream}.out_proj.weight"].T + weights[f"attention.{stream}.out_proj.bias"]


@pytest.mark.parametrize("size", [(), (4,), (2, 3), (2, 2, 2)])
@pytest.mark.parametrize("absent", [None, 1])
def test_equals_its_formula(size: tuple[int, ...], absent: int | None) -> None:
    channels = [4, 6, 5]
    module = perturbed(channels, spatial_dims=len(size), heads=1, bottlenecks=3)
    weights = {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}
    features = [torch.randn(1, c, *size) * (i != absent) for i, c in enumerate(channels)]
    read = [stream.read(x)[0][0].detach().double().numpy() for stream, x in zip(module.tokens, features, strict=True)]
    empty = weights["bottlenecks"][0]
    present = [i for i in range(3) if i != absent]
    shared = empty + np.mean([attended(empty, np.concatenate([read[i], empty]), weights, i) for i in present], axis=0)
    for i, (x, fused) in enumerate(zip(features, module(features), strict=True)):
        found = attended(read[i], np.concatenate([read[i], shared]), weights, i)
        expected = x.numpy() + (found @ weights[f"tokens.{i}.leave.weight"].T).T.reshape(x.shape)
        np.testing.assert_allclose(fused.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bottlenecks": 0}, "`bottlenecks` must be a whole number of at least 1, but got 0"),
        ({"tokens": -1}, "`tokens` must be a whole number of at least 1, but got -1"),
        ({"heads": 1.5}, "`heads` must be a whole number of at least 1, but got 1.5"),
        ({"ratio": float("nan")}, "`ratio` must be at least 1, but got nan"),
    ],
)
def test_wrong_options_raise(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_module("attention_bottleneck", [4, 5], **options)
