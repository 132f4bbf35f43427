from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_fusion.fusion import SEGate, build_module


@pytest.mark.parametrize("sizes", [[(), ()], [(5,), (3,)], [(3, 4, 2), (2, 2, 2), (1, 1, 1)]])
def test_equals_its_formula(sizes: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    module = SEGate([6] * len(sizes), spatial_dims=len(sizes[0]), ratio=2)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    weights = {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}
    features = [torch.randn(2, 6, *size) for size in sizes]
    for i, (x, fused) in enumerate(zip(features, module(features), strict=True)):
        mean = x.double().numpy().reshape(2, 6, -1).mean(-1)
        hidden = np.maximum(mean @ weights[f"squeezes.{i}.weight"].T + weights[f"squeezes.{i}.bias"], 0)
        gate = 2 / (1 + np.exp(-(hidden @ weights[f"excitations.{i}.weight"].T + weights[f"excitations.{i}.bias"])))
        expected = x.numpy() * gate.reshape(2, 6, *[1] * len(sizes[0]))
        np.testing.assert_allclose(fused.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_squeezed_vector_is_a_streams_channels_over_ratio() -> None:
    assert [layer.out_features for layer in SEGate([64, 40, 8]).squeezes] == [4, 2, 1]


@pytest.mark.parametrize("ratio", [0.5, float("nan")])
def test_wrong_ratio_raises(ratio: float) -> None:
    with pytest.raises(ValueError, match=f"`ratio` must be at least 1, but got {ratio}"):
        build_module("se_gate", [4, 4], ratio=ratio)
