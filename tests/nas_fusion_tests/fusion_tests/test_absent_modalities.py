"""Every shipped module in a network whose subjects lack modalities."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_fusion import plugins
from nas_fusion.fusion import FusionNetwork, Stream, build_module


def stream(channels: int) -> Stream:
    conv = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU())
    later = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, stride=2), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
    return Stream({"a": conv, "b": later}, head, taps=[("a", 6, 1), ("b", 6, 2)], spatial_dims=2)


@pytest.mark.parametrize("name", plugins.names("modules"))
def test_what_stands_in_for_an_absent_modality_has_no_influence(name: str) -> None:
    torch.manual_seed(0)
    modules = {point: build_module(name, [6, 6, 6], spatial_dims=2) for point in "ab"}
    with torch.no_grad():
        for parameter in (parameter for module in modules.values() for parameter in module.parameters()):
            parameter.add_(0.3 * torch.randn_like(parameter))
    network = FusionNetwork({"x": stream(1), "y": stream(2), "z": stream(1)}, modules)
    inputs = {"x": torch.randn(3, 1, 9, 8), "y": torch.randn(3, 2, 7, 9), "z": torch.randn(3, 1, 9, 8)}
    present = torch.tensor([[True, True, False], [False, True, True], [False, True, False]])
    expected = network(inputs, present)
    inputs["z"][[0, 2]] = float("nan")
    inputs["x"][1:] = 1e30
    logits = network(inputs, present)
    assert torch.equal(logits, expected)
    logits.sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)
