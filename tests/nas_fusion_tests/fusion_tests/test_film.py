from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_fusion.fusion import FiLM, build_module


def perturbed(channels: list[int], *, spatial_dims: int) -> FiLM:
    torch.manual_seed(0)
    module = FiLM(channels, spatial_dims=spatial_dims, ratio=2)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


@pytest.mark.parametrize("sizes", [[(), ()], [(5,), (3,)], [(3, 4, 2), (2, 2, 2), (1, 1, 1)]])
def test_equals_its_formula(sizes: list[tuple[int, ...]]) -> None:
    channels = [4, 6, 5][: len(sizes)]
    module = perturbed(channels, spatial_dims=len(sizes[0]))
    weights = {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}
    features = [torch.randn(2, c, *size) for c, size in zip(channels, sizes, strict=True)]
    means = [x.double().numpy().reshape(2, x.shape[1], -1).mean(-1) for x in features]
    for i, (x, fused) in enumerate(zip(features, module(features), strict=True)):
        others = np.concatenate([mean for j, mean in enumerate(means) if j != i], axis=1)
        hidden = np.maximum(others @ weights[f"conditions.{i}.weight"].T + weights[f"conditions.{i}.bias"], 0)
        both = hidden @ weights[f"modulations.{i}.weight"].T + weights[f"modulations.{i}.bias"]
        scale, shift = (values.reshape(*values.shape, *[1] * len(sizes[0])) for values in np.split(both, 2, axis=1))
        np.testing.assert_allclose(fused.detach().numpy(), x.numpy() * (1 + scale) + shift, rtol=1e-5, atol=1e-5)


def test_a_stream_is_an_affine_function_of_itself() -> None:
    module = perturbed([3, 4], spatial_dims=2)
    x, other = torch.randn(2, 3, 4, 4), torch.randn(2, 4, 2, 2)
    zero, one, two = (module([factor * x, other])[0] for factor in (0.0, 1.0, 2.0))
    torch.testing.assert_close(two - one, one - zero)


def test_wrong_ratio_raises() -> None:
    with pytest.raises(ValueError, match="`ratio` must be at least 1, but got 0"):
        build_module("film", [4, 4], ratio=0)
