"""Costs of models: what is counted."""

from __future__ import annotations

import torch
from torch import nn

from nas_fusion.evaluation.cost import flops_of, parameters_of
from nas_fusion.evaluation.device import place
from nas_fusion.fusion import FusionModule, build_module, module_cost
from tests.nas_fusion_tests.evaluation_tests.tiny import tiny_cohort

COHORT = tiny_cohort()


class Alone(nn.Module):
    """Only the module, on features of one subject."""

    def __init__(self, module: FusionModule, sizes: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.module, self.sizes = module, sizes

    def forward(self, inputs: object, present: object = None) -> list[torch.Tensor]:
        return self.module([torch.ones(1, c, *s) for c, s in zip(self.module.channels, self.sizes, strict=True)])


def test_attention_is_counted_on_every_device() -> None:
    sizes: list[tuple[int, ...]] = [(6, 6, 6), (5, 4, 3)]
    for name in ("cross_attention", "attention_bottleneck", "concat_conv"):
        module = build_module(name, [8, 12])
        known = module_cost(module, sizes)
        assert flops_of(Alone(module, sizes), COHORT, place("cpu", "fp32")) == known.flops > 0
        assert parameters_of(module) == known.parameters
