from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_fusion.fusion import LowRankBilinear, build_module


def perturbed(channels: list[int], *, spatial_dims: int) -> LowRankBilinear:
    torch.manual_seed(0)
    module = LowRankBilinear(channels, spatial_dims=spatial_dims)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


@pytest.mark.parametrize("size", [(), (5,), (4, 3), (2, 4, 3)])
def test_equals_its_formula_at_every_place(size: tuple[int, ...]) -> None:
    channels = [4, 6, 5]
    module = perturbed(channels, spatial_dims=len(size))
    weights = {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}
    matrices = {name: weight.reshape(weight.shape[:2]) for name, weight in weights.items()}
    features = [torch.randn(2, c, *size) for c in channels]
    for i, (x, fused) in enumerate(zip(features, module(features), strict=True)):
        own = np.tanh(np.einsum("rc,bc...->br...", matrices[f"own.{i}.weight"], x.numpy()))
        total = np.zeros_like(x.double().numpy())
        for j, other in enumerate(features):
            if j != i:
                heard = np.tanh(np.einsum("rc,bc...->br...", matrices[f"others.{j}.weight"], other.numpy()))
                total += np.einsum("cr,br...->bc...", matrices[f"back.{i}.weight"], own * heard)
        np.testing.assert_allclose(fused.detach().numpy(), x.numpy() + total, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("channels", "ratio", "rank"), [([64, 64], 2, 32), ([3, 4], 2, 1), ([1, 1], 8, 1), ([6, 8, 10], 1, 8)])
def test_rank_is_the_mean_width_over_ratio(channels: list[int], ratio: float, rank: int) -> None:
    assert LowRankBilinear(channels, ratio=ratio).rank == rank


def test_absent_modalities_add_nothing() -> None:
    module = perturbed([3, 4, 5], spatial_dims=2)
    features = [torch.randn(2, 3, 4, 4), torch.zeros(2, 4, 2, 2), torch.zeros(2, 5, 4, 4)]
    assert torch.equal(module(features)[0], features[0])


def test_wrong_ratio_raises() -> None:
    with pytest.raises(ValueError, match="`ratio` must be at least 1, but got -1"):
        build_module("low_rank_bilinear", [4, 4], ratio=-1)
