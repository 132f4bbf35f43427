"""Every shipped module lets a network learn what no single stream and no mean of streams can tell; the control does not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_fusion.fusion import FusionModule, FusionNetwork, Stream, build_module

OPTIONS: dict[str, dict[str, float]] = {
    "mmtm": {},
    "concat_conv": {},
    "film": {},
    "cross_attention": {},
    "attention_bottleneck": {},
    "low_rank_bilinear": {},
    "channel_spatial": {},
    "channel_exchange": {"threshold": 0.9, "sparsity": 0.05},  # with the defaults so short a training exchanges nothing
}


def stream() -> Stream:
    stages = {"a": nn.Sequential(nn.Linear(2, 8), nn.ReLU()), "b": nn.Sequential(nn.Linear(8, 16), nn.ReLU())}
    return Stream(stages, nn.Linear(16, 2), taps=[("a", 8, 1), ("b", 16, 1)])


def subjects(n: int, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return two views, each of a sign, and whether the signs differ."""
    signs = torch.randint(0, 2, (2, n), generator=generator)
    noise = torch.randn(2, n, 2, generator=generator)
    views = (2.0 * signs - 1)[:, :, None] + 0.3 * noise
    return {"x": views[0], "y": views[1]}, signs[0] ^ signs[1]


def accuracy(modules: dict[str, FusionModule]) -> float:
    generator = torch.Generator().manual_seed(0)
    network = FusionNetwork({"x": stream(), "y": stream()}, modules)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(150):
        inputs, labels = subjects(32, generator)
        penalties = [penalty for module in modules.values() if (penalty := module.penalty()) is not None]
        loss = functional.cross_entropy(network(inputs), labels) + sum(penalties)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    inputs, labels = subjects(500, generator)
    return float((network(inputs).argmax(1) == labels).double().mean())


@pytest.mark.parametrize("name", OPTIONS)
def test_a_module_learns_what_only_two_streams_tell(name: str) -> None:
    torch.manual_seed(0)
    assert accuracy({"a": build_module(name, [8, 8], spatial_dims=0, **OPTIONS[name])}) > 0.95


def test_without_an_exchange_it_cannot_be_learned() -> None:
    torch.manual_seed(0)
    assert accuracy({}) < 0.8
    assert accuracy({"a": build_module("se_gate", [8, 8], spatial_dims=0)}) < 0.8
