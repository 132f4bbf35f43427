"""A router of one's own: experts have prototypes, and near ones count more."""

import torch
from torch import nn

from nas_fusion import Router, Routing, register_router


@register_router("prototypes")
class Prototypes(Router):
    """Weighs each expert by how near a token is to that expert's prototype."""

    def __init__(self, features: int, experts: int, *, temperature: float = 1.0, granularity: str = "token") -> None:
        super().__init__(features, experts, granularity=granularity)
        self.prototypes = nn.Parameter(torch.randn(experts, features))
        self.temperature = temperature

    def route(self, tokens: torch.Tensor) -> Routing:
        """Return gates `(batch, tokens, experts)` that sum to 1, what they were selected from, and the load of each expert."""
        squared = (tokens[..., None, :] - self.prototypes).square().sum(-1)
        gates = (-squared / self.temperature).softmax(-1)
        return Routing(gates, gates, gates.sum((0, 1)))
