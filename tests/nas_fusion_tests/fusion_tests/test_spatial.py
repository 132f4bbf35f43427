from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from nas_fusion.fusion.spatial import interpolated, mean_over_space, over_space, pointwise, resampled

POOLS = (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)
MODES = ("linear", "bilinear", "trilinear")
sizes = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3)


@settings(deadline=None)
@given(sizes)
def test_resampling_is_adaptive_average_pooling(axes: list[tuple[int, int]]) -> None:
    before, after = zip(*axes, strict=True)
    feature = torch.randn(2, 3, *before, generator=torch.Generator().manual_seed(0))
    expected = POOLS[len(axes) - 1](feature, after)
    torch.testing.assert_close(resampled(feature, after), expected, rtol=1e-5, atol=1e-6)


@settings(deadline=None)
@given(sizes)
def test_interpolation_is_that_of_torch(axes: list[tuple[int, int]]) -> None:
    before, after = zip(*axes, strict=True)
    feature = torch.randn(2, 3, *before, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(feature, size=after, mode=MODES[len(axes) - 1])
    torch.testing.assert_close(interpolated(feature, after), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("size", [(), (5,), (4, 3), (2, 3, 4)])
def test_a_map_of_the_right_size_is_returned_as_it_is(size: tuple[int, ...]) -> None:
    feature = torch.randn(2, 3, *size)
    assert resampled(feature, size) is feature
    assert interpolated(feature, size) is feature


def test_means_and_what_holds_everywhere() -> None:
    feature = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, 4.0]]]])
    assert mean_over_space(feature).tolist() == [[3.0, 1.0]]
    vector = torch.tensor([[1.0, 2.0]])
    assert mean_over_space(vector) is vector
    spread = over_space(vector, feature.bfloat16())
    assert (spread.shape, spread.dtype) == ((1, 2, 1, 1), torch.bfloat16)


@pytest.mark.parametrize(("spatial_dims", "kind"), [(0, nn.Linear), (1, nn.Conv1d), (2, nn.Conv2d), (3, nn.Conv3d)])
def test_pointwise_layers_have_one_weight_a_pair_of_channels(spatial_dims: int, kind: type[nn.Module]) -> None:
    layer = pointwise(3, 5, spatial_dims=spatial_dims, bias=False)
    assert type(layer) is kind
    assert [parameter.numel() for parameter in layer.parameters()] == [15]
