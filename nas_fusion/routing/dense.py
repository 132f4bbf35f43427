"""The dense router: every expert takes part in every token."""

from __future__ import annotations

import torch
from torch import nn

from nas_fusion.routing.router import Router, Routing
from nas_fusion.routing.selection import linear


class DenseRouter(Router):
    r"""Weighs all experts by a softmax of a linear map of the token; none is ever left out.

    .. math:: G(x) = \mathrm{softmax}(x W_g)

    References:
        - Jordan and Jacobs, Hierarchical mixtures of experts and the EM algorithm, Neural Computation 6, 1994.
        - Shazeer et al., Outrageously large neural networks, ICLR 2017, `arXiv 1701.06538 <https://arxiv.org/abs/1701.06538>`_,
          section 2.1, eq. 2: "softmax gating".

    Args:
        features: Features of a token.
        experts: Number of experts.
        granularity: As of `Router`.
    """

    def __init__(self, features: int, experts: int, *, granularity: str = "token") -> None:
        super().__init__(features, experts, granularity=granularity)
        self.gate = nn.Linear(features, experts, bias=False)

    def route(self, tokens: torch.Tensor) -> Routing:
        """Return the routing of tokens `(batch, tokens, features)`; gates and probabilities are the same."""
        gates = linear(self.gate.weight, tokens).softmax(1).transpose(1, 2)
        return Routing(gates, gates, gates.sum((0, 1)))
