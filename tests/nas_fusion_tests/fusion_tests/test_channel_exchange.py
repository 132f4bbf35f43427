from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.fusion import ChannelExchange, build_module


def closed(module: ChannelExchange, *channels: tuple[int, int]) -> ChannelExchange:
    with torch.no_grad():
        for stream, channel in channels:
            module.scales[stream, channel] = 0.01
    return module


def test_a_closed_channel_is_the_mean_of_the_others() -> None:
    module = closed(ChannelExchange([3, 3, 3], spatial_dims=0), (0, 0), (2, 2))
    with torch.no_grad():
        module.scales[1, 0] = 2.0
    features = [torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[10.0, 20.0, 30.0]]), torch.tensor([[5.0, 6.0, 7.0]])]
    fused = module(features)
    assert fused[0].tolist() == [[(2 * 10 + 5) / 2, 2.0, 3.0]]
    assert fused[1].tolist() == [[20.0, 20.0, 30.0]]
    assert fused[2].tolist() == [[5.0, 6.0, (3 + 30) / 2]]


def test_a_stream_receives_in_its_own_part_only() -> None:
    module = closed(ChannelExchange([4, 4], spatial_dims=0), *[(i, c) for i in range(2) for c in range(4)])
    assert module.exchanged().tolist() == [[True, True, False, False], [False, False, True, True]]


@settings(deadline=None)
@given(st.integers(2, 9), st.integers(0, 40))
def test_every_channel_is_in_one_part_and_every_stream_has_one(streams: int, more: int) -> None:
    parts = ChannelExchange([streams + more] * streams).get_buffer("parts")
    assert parts.sum(0).tolist() == [1] * (streams + more)
    sizes = parts.sum(1).tolist()
    assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1


def test_absent_modalities_do_not_count_in_the_mean() -> None:
    module = closed(ChannelExchange([3, 3, 3], spatial_dims=1), (0, 0))
    features = [torch.ones(2, 3, 2), torch.full((2, 3, 2), 8.0), torch.full((2, 3, 2), 4.0)]
    features[1][0] = 0
    assert module(features)[0][:, 0].tolist() == [[4.0, 4.0], [6.0, 6.0]]
    assert module([features[0], *[torch.zeros(2, 3, 2)] * 2])[0][0].tolist() == [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]


def test_another_resolution_is_averaged() -> None:
    module = closed(ChannelExchange([2, 2], spatial_dims=1), (0, 0), (1, 1))
    coarse, fine = torch.tensor([[[9.0, 9.0], [5.0, 7.0]]]), torch.tensor([[[1.0, 3.0, 5.0, 7.0], [0.0, 0.0, 0.0, 0.0]]])
    fused = module([coarse, fine])
    assert fused[0].tolist() == [[[2.0, 6.0], [5.0, 7.0]]]
    assert fused[1][0, 1].tolist() == [5.0, 5.0, 7.0, 7.0]


def test_penalty_is_the_weighted_norm_of_the_scales_that_may_fall() -> None:
    module = ChannelExchange([4, 4], sparsity=0.5)
    with torch.no_grad():
        module.scales.copy_(torch.tensor([[1.0, -2.0, 9.0, 9.0], [9.0, 9.0, 0.0, 0.25]]))
    penalty = module.penalty()
    assert penalty.item() == 0.5 * 3.25
    penalty.backward()
    assert module.scales.grad is not None
    assert module.scales.grad.tolist() == [[0.5, -0.5, 0, 0], [0, 0, 0, 0.5]]


def test_the_penalty_opens_the_exchange() -> None:
    module = ChannelExchange([4, 4], spatial_dims=0, sparsity=1.0, threshold=0.25)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.125)
    opened = []
    for _ in range(20):
        opened.append(module.exchanged().tolist() == [[True, True, False, False], [False, False, True, True]])
        optimiser.zero_grad()
        module.penalty().backward()
        optimiser.step()
    assert opened == [False] * 7 + [True] * 13


@pytest.mark.parametrize(
    ("channels", "options", "message"),
    [
        ([4, 4], {"threshold": 0.0}, r"`threshold` must be in \(0, 1\), but got 0.0"),
        ([4, 4], {"threshold": 1.0}, r"`threshold` must be in \(0, 1\), but got 1.0"),
        ([4, 4], {"sparsity": -1}, "`sparsity` must be at least 0, but got -1"),
        ([4, 5], {}, r"`channels` must be equal and at least 2 for an exchange among 2 streams, but got \[4, 5\]"),
        ([2, 2, 2], {}, r"`channels` must be equal and at least 3 for an exchange among 3 streams, but got \[2, 2, 2\]"),
    ],
)
def test_wrong_options_raise(channels: list[int], options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_module("channel_exchange", channels, **options)
