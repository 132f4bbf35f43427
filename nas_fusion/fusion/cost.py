"""What a fusion module costs by itself."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from nas_fusion.fusion.module import FusionModule


class ModuleCost(NamedTuple):
    """What a fusion module adds to a network.

    Attributes:
        parameters: Number of numbers in its parameters.
        flops: Floating-point operations of a forward pass for one subject, those of products of matrices, convolutions and
            attention (a multiplication with an addition counts two); operations element by element, such as gating, are not
            counted.
    """

    parameters: int
    flops: int


def module_cost(module: FusionModule, sizes: Sequence[tuple[int, ...]]) -> ModuleCost:
    """Return what a fusion module costs at features of given sizes. Nothing is computed: any size costs no memory.

    Args:
        module: A fusion module; it stays as it is.
        sizes: The spatial size of each stream's features, of the module's `spatial_dims` axes each.

    Raises:
        ValueError: If the sizes do not fit the module, or the module looks at values, which torch's meta device has none of.
    """
    if len(sizes) != len(module.channels) or any(len(size) != module.spatial_dims for size in sizes):
        rule = f"a size of {module.spatial_dims} axes for each of {len(module.channels)} streams"
        raise ValueError(f"`sizes` must hold {rule}, but got {list(sizes)}.")
    weightless = copy.deepcopy(module).to("meta").eval()
    features = [torch.empty(1, c, *size, device="meta") for c, size in zip(module.channels, sizes, strict=True)]
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            weightless(features)
    except (NotImplementedError, RuntimeError) as error:
        raise ValueError(f"`module` must not look at values, but got {module.label}, which does: {error}") from error
    return ModuleCost(sum(parameter.numel() for parameter in module.parameters()), int(counter.get_total_flops()))
