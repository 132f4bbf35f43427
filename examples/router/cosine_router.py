"""A router: experts are directions, and a token goes to those that it is nearest to."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from nas_fusion import Router, Routing
from nas_fusion.routing.selection import check_k, select, softmax_of


class CosineRouter(Router):
    """Gates by the cosine between a projected token and a learned direction of each expert, divided by a learned temperature.

    Only directions count, so that long tokens do not decide for all, and experts do not all end up in one place (Chi et al.,
    On the representation collapse of sparse mixture of experts, `arXiv 2204.09179 <https://arxiv.org/abs/2204.09179>`_). The
    gates are the softmax over the k selected experts; width of the projection and initial temperature are ours.

    Args:
        features: Features of a token.
        experts: Number of experts.
        k: How many experts handle a token, 1 to `experts`.
        width: Dimensions of the space in which directions are compared, at least 1.
        temperature: At the beginning, above 0.
        granularity: As of `Router`.

    Raises:
        ValueError: If a value is out of its range, or as `Router`.
    """

    def __init__(
        self,
        features: int,
        experts: int,
        *,
        k: int = 2,
        width: int = 8,
        temperature: float = 0.3,
        granularity: str = "token",
    ) -> None:
        super().__init__(features, experts, granularity=granularity)
        check_k(k, experts)
        if width < 1:
            raise ValueError(f"`width` must be at least 1, but got {width}.")
        if not temperature > 0:
            raise ValueError(f"`temperature` must be above 0, but got {temperature}.")
        self.k = k
        self.projection = nn.Linear(features, width, bias=False)
        self.directions = nn.Parameter(torch.randn(experts, width))
        self.log_temperature = nn.Parameter(torch.tensor(float(temperature)).log())

    def route(self, tokens: torch.Tensor) -> Routing:
        """Return the routing of tokens `(batch, tokens, features)`."""
        places = F.normalize(self.projection(tokens), dim=-1)
        cosines = torch.matmul(F.normalize(self.directions, dim=-1), places.transpose(1, 2))  # (batch, experts, tokens)
        logits = cosines / self.log_temperature.exp()
        selected, _ = select(logits, self.k)
        load = selected.sum((0, 2)).to(logits.dtype)
        return Routing(softmax_of(logits, selected).transpose(1, 2), logits.softmax(1).transpose(1, 2), load)
