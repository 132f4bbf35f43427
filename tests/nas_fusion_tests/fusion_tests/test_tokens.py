from __future__ import annotations

import pytest
import torch

from nas_fusion.fusion.tokens import StreamTokens, attention_width


@pytest.mark.parametrize(
    ("channels", "ratio", "heads", "width"),
    [
        ([64, 64], 2, 4, 32),
        ([8, 8], 2, 4, 4),
        ([8, 12], 2, 4, 8),
        ([1, 1], 1, 4, 4),
        ([10, 10], 1, 3, 12),
        ([512, 64], 4, 8, 72),
    ],
)
def test_width_is_a_multiple_of_the_heads(channels: list[int], ratio: float, heads: int, width: int) -> None:
    assert attention_width(channels, ratio=ratio, heads=heads) == width


@pytest.mark.parametrize(
    ("size", "tokens"), [((), 1), ((3,), 3), ((50,), 4), ((2, 9), 8), ((30, 30), 16), ((24, 4, 3), 48), ((31, 24, 40), 64)]
)
def test_a_map_of_any_resolution_is_at_most_so_many_tokens(size: tuple[int, ...], tokens: int) -> None:
    stream = StreamTokens(5, 8, limit=4, spatial_dims=len(size))
    read, shown = stream.read(torch.randn(2, 5, *size))
    assert read.shape == (2, tokens, 8)
    assert shown.tolist() == [True, True]


def test_tokens_are_what_their_area_holds_and_where_it_is() -> None:
    stream = StreamTokens(2, 3, limit=2, spatial_dims=1)
    feature = torch.randn(1, 2, 6)
    read, _ = stream.read(feature)
    for i in range(2):
        mean = feature[0, :, 3 * i : 3 * i + 3].mean(1)
        normal = (mean - mean.mean()) / (mean.var(unbiased=False) + 1e-5).sqrt()
        expected = stream.enter.weight @ normal + stream.enter.bias + stream.positions[0, :, i]
        torch.testing.assert_close(read[0, i], expected)


def test_zeros_are_an_absent_modality() -> None:
    feature = torch.randn(3, 2, 4, 4)
    feature[1] = 0
    assert StreamTokens(2, 4, limit=2, spatial_dims=2).read(feature)[1].tolist() == [True, False, True]


def test_one_channel_is_not_normalised_away() -> None:
    stream = StreamTokens(1, 4, limit=2, spatial_dims=1)
    one, two = (stream.read(torch.full((1, 1, 2), value))[0] for value in (1.0, 2.0))
    assert not torch.equal(one, two)


def test_what_is_written_is_interpolated() -> None:
    stream = StreamTokens(1, 1, limit=2, spatial_dims=1)
    with torch.no_grad():
        stream.leave.weight.fill_(2.0)
    feature = torch.full((1, 1, 4), 10.0)
    assert stream.write(feature, torch.tensor([[[0.0], [4.0]]])).tolist() == [[[10.0, 12.0, 16.0, 18.0]]]
