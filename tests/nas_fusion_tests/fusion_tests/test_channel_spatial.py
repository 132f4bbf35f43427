from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage

from nas_fusion.fusion import ChannelSpatial, build_module

Array = npt.NDArray[np.float64]


def perturbed(channels: list[int], *, spatial_dims: int) -> ChannelSpatial:
    torch.manual_seed(0)
    module = ChannelSpatial(channels, spatial_dims=spatial_dims, ratio=2, kernel=3)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module


def by_channel(arrays: list[Array], weights: dict[str, Array]) -> list[Array]:
    """Channel attention in numpy."""
    flat = [x.reshape(*x.shape[:2], -1) for x in arrays]
    gates = [np.zeros(x.shape[:2]) for x in arrays]
    for squeezed in ([x.mean(-1) for x in flat], [x.max(-1) for x in flat]):
        joint = np.maximum(np.concatenate(squeezed, axis=1) @ weights["squeeze.weight"].T + weights["squeeze.bias"], 0)
        for i in range(len(arrays)):
            gates[i] += joint @ weights[f"excitations.{i}.weight"].T + weights[f"excitations.{i}.bias"]
    return [x * (2 / (1 + np.exp(-g))).reshape(*g.shape, *[1] * (x.ndim - 2)) for x, g in zip(arrays, gates, strict=True)]


@pytest.mark.parametrize("size", [(5,), (4, 3), (2, 4, 3)])
def test_equals_its_formula(size: tuple[int, ...]) -> None:
    module = perturbed([4, 6], spatial_dims=len(size))
    weights = {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}
    features = [torch.randn(2, c, *size) for c in (4, 6)]
    gated = by_channel([x.double().numpy() for x in features], weights)
    maps = np.stack([kind for x in gated for kind in (x.mean(1), x.max(1))], axis=1)
    for i, (x, fused) in enumerate(zip(gated, module(features), strict=True)):
        for subject in range(2):
            kernels = weights[f"places.{i}.weight"][0]
            convolved = [ndimage.correlate(m, k, mode="constant") for m, k in zip(maps[subject], kernels, strict=True)]
            gate = 2 / (1 + np.exp(-(sum(convolved) + weights[f"places.{i}.bias"][0])))
            np.testing.assert_allclose(fused[subject].detach().numpy(), x[subject] * gate, rtol=1e-4, atol=1e-5)


def test_the_place_of_a_vector_scales_it_as_a_whole() -> None:
    module = perturbed([4, 6], spatial_dims=0)
    weights = {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}
    features = [torch.randn(2, 4), torch.randn(2, 6)]
    gated = by_channel([x.double().numpy() for x in features], weights)
    maps = np.stack([kind for x in gated for kind in (x.mean(1), x.max(1))], axis=1)
    gate = 2 / (1 + np.exp(-(maps @ weights["places.1.weight"].T + weights["places.1.bias"])))
    np.testing.assert_allclose(module(features)[1].detach().numpy(), gated[1] * gate, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": 4}, "`kernel` must be odd, but got 4"),
        ({"kernel": 0}, "`kernel` must be a whole number of at least 1, but got 0"),
        ({"ratio": 0.9}, "`ratio` must be at least 1, but got 0.9"),
    ],
)
def test_wrong_options_raise(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_module("channel_spatial", [4, 5], **options)
