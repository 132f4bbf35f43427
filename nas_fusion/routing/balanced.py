"""Top-k routing that a bias on the selection keeps balanced, without a loss."""

from __future__ import annotations

import torch
from torch import nn

from nas_fusion.routing.router import Router, Routing
from nas_fusion.routing.selection import check_k, linear, rescaled, select


class BalancedRouter(Router):
    r"""Selects the k experts of the largest biased probability :math:`p_i + b_i`; the gates are the unbiased probabilities.

    After each forward pass in training mode :math:`b_i \leftarrow b_i + u \, \mathrm{sign}(\bar c - c_i)`, where :math:`c_i`
    is the number of tokens that expert i was given and :math:`\bar c` the mean over experts: an expert that falls behind is
    chosen more readily, until all are used. The bias is a buffer and has no gradient, so balance never competes with the task.
    The probabilities are a softmax of a linear map (the paper prefers sigmoids, which are no probabilities of one expert
    among all); the selected ones are rescaled to sum 1 without gradient through the factor, so that the task's gradient
    reaches the router for each k, see `nas_fusion.routing.selection.rescaled`.

    References:
        - Wang et al., Auxiliary-loss-free load balancing strategy for mixture-of-experts, 2024, `arXiv 2408.15664
          <https://arxiv.org/abs/2408.15664>`_, section 3, algorithm 1.

    Args:
        features: Features of a token.
        experts: Number of experts.
        k: How many experts handle a token, 1 to `experts`.
        rate: The step u of the bias, on the scale of probabilities, at least 0; the default is the paper's. In n training
            steps the bias moves by at most n u.
        granularity: As of `Router`.

    Raises:
        ValueError: If k or the rate is out of its range, or as `Router`.
    """

    bias: torch.Tensor

    def __init__(self, features: int, experts: int, *, k: int = 2, rate: float = 0.001, granularity: str = "token") -> None:
        super().__init__(features, experts, granularity=granularity)
        check_k(k, experts)
        if not 0 <= rate < float("inf"):
            raise ValueError(f"`rate` must be a finite number of at least 0, but got {rate}.")
        self.k = k
        self.rate = rate
        self.gate = nn.Linear(features, experts, bias=False)
        self.register_buffer("bias", torch.zeros(experts))

    def route(self, tokens: torch.Tensor) -> Routing:
        """Return the routing of tokens `(batch, tokens, features)`, and in training mode move the bias."""
        probabilities = linear(self.gate.weight, tokens).softmax(1)
        selected, _ = select(probabilities + self.bias[:, None], self.k)
        load = selected.sum((0, 2)).to(probabilities.dtype)
        if self.training:
            self.bias.add_(torch.sign(load.mean() - load), alpha=self.rate)
        return Routing(rescaled(probabilities, selected).transpose(1, 2), probabilities.transpose(1, 2), load)
