from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_fusion.fusion import ConcatConv


@pytest.mark.parametrize("size", [(), (5,), (4, 3), (2, 4, 3)])
def test_equals_a_matrix_product_at_every_place(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    module = ConcatConv([2, 3], spatial_dims=len(size))
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    features = [torch.randn(4, 2, *size), torch.randn(4, 3, *size)]
    stacked = np.concatenate([x.numpy() for x in features], axis=1)
    for feature, fused, layer in zip(features, module(features), module.convolutions, strict=True):
        weight = layer.weight.detach().numpy().reshape(feature.shape[1], 5)
        bias = layer.bias.detach().numpy().reshape(1, -1, *[1] * len(size))
        expected = feature.numpy() + np.einsum("oc,bc...->bo...", weight, stacked) + bias
        np.testing.assert_allclose(fused.detach().numpy(), expected, rtol=1e-5, atol=1e-5)


def test_other_resolutions_are_averaged_over_areas() -> None:
    module = ConcatConv([1, 1], spatial_dims=1)
    with torch.no_grad():
        module.convolutions[0].weight.copy_(torch.tensor([[[0.0], [1.0]]]))
        module.convolutions[1].weight.copy_(torch.tensor([[[1.0], [0.0]]]))
    coarse, fine = torch.tensor([[[10.0, 20.0]]]), torch.tensor([[[1.0, 3.0, 5.0, 7.0]]])
    fused = module([coarse, fine])
    assert fused[0].tolist() == [[[10.0 + 2.0, 20.0 + 6.0]]]
    assert fused[1].tolist() == [[[1.0 + 10, 3.0 + 10, 5.0 + 20, 7.0 + 20]]]


def test_sees_whether_two_things_are_at_the_same_place() -> None:
    torch.manual_seed(0)
    module = ConcatConv([1, 1], spatial_dims=3)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    a, b = torch.zeros(1, 1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2)
    a[..., 0, 0, 0] = b[..., 0, 0, 0] = 1
    together = module([a, b])[0].relu().sum()
    apart = module([a, b.flip(2)])[0].relu().sum()
    assert together != apart
