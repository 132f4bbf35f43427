"""The suite of every fusion module, and what is this module's own."""

from __future__ import annotations

import pytest
import torch
from mean_exchange import MeanExchange

from nas_fusion.testing import FreshIdentityTestCase, FusionModuleTestCase


class TestMeanExchange(FusionModuleTestCase, FreshIdentityTestCase):
    @pytest.fixture
    def module(self) -> type[MeanExchange]:
        return MeanExchange


def test_the_shift_is_the_same_everywhere_in_space() -> None:
    fusion = MeanExchange([3, 2], spatial_dims=2)
    torch.nn.init.ones_(fusion.shift[0].weight)
    features = [torch.zeros(4, 3, 5, 5), torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(0))]
    shift = fusion(features)[0]
    expected = torch.tanh(fusion.squeeze[0](features[1].mean(dim=(2, 3)))).sum(dim=1)
    torch.testing.assert_close(shift, expected.reshape(4, 1, 1, 1).expand(4, 3, 5, 5))


def test_an_option_out_of_its_range() -> None:
    with pytest.raises(ValueError, match="`ratio` must be at least 1, but got 0"):
        MeanExchange([4, 4], ratio=0)
