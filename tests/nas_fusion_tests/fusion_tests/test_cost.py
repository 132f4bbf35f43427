from __future__ import annotations

import pytest
import torch

from nas_fusion import plugins
from nas_fusion.fusion import MMTM, CrossAttention, FusionModule, ModuleCost, build_module, module_cost


def test_equals_a_count_by_hand() -> None:
    sizes = [(4, 4, 4)] * 2
    assert module_cost(MMTM([8, 8], ratio=4), sizes) == ModuleCost(16 * 4 + 4 + 2 * (4 * 8 + 8), 2 * (16 * 4 + 2 * 4 * 8))
    assert module_cost(build_module("concat_conv", [8, 4]), sizes) == ModuleCost(12 * 12 + 12, 2 * 12 * 12 * 64)
    assert module_cost(build_module("channel_exchange", [8, 8]), sizes) == ModuleCost(16, 0)


def test_counts_attention() -> None:
    module = CrossAttention([8, 8], spatial_dims=1, tokens=6, heads=2, ratio=2)
    layers = 2 * 6 * (2 * 8 * 4 + 4 * 4 * 4)  # of a stream, an addition with each product: to tokens and back; q, k, v, out
    attention = 2 * 2 * 6 * 7 * 4  # scores and weighted values over 6 keys and the one of zeros
    assert module_cost(module, [(6,), (6,)]).flops == 2 * (layers + attention)


@pytest.mark.parametrize("name", plugins.names("modules"))
def test_any_size_costs_no_memory_and_changes_nothing(name: str) -> None:
    module = build_module(name, [64, 64])
    before = {key: value.clone() for key, value in module.state_dict().items()}
    small, large = (module_cost(module, [(edge,) * 3] * 2) for edge in (6, 1000))
    assert small.parameters == large.parameters == sum(value.numel() for value in before.values())
    assert small.flops <= large.flops
    assert module.training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


class Looker(FusionModule):
    """Decides by a value."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return features if features[0].sum().item() > 0 else features[::-1]


def test_wrong_use_raises() -> None:
    with pytest.raises(ValueError, match=r"`sizes` must hold a size of 3 axes for each of 2 streams, but got \[\(4, 4, 4\)\]"):
        module_cost(MMTM([4, 4]), [(4, 4, 4)])
    with pytest.raises(ValueError, match="`sizes` must hold a size of 2 axes"):
        module_cost(MMTM([4, 4], spatial_dims=2), [(4, 4, 4)] * 2)
    with pytest.raises(ValueError, match="`module` must not look at values, but got Looker, which does"):
        module_cost(Looker([4, 4]), [(4, 4, 4)] * 2)
