"""Noisy top-k gating."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from nas_fusion.routing.router import Router, Routing
from nas_fusion.routing.selection import check_k, counts, kept, spread

NORMALISATIONS = ("after", "before")
_LEAST_NOISE = 1e-2


class TopKRouter(Router):
    r"""Sends each token to the k experts of the largest logits, in training under noise whose size is learned.

    .. math:: H(x)_i = (x W_g)_i + \epsilon_i \, \sigma(x)_i, \quad \sigma(x) = \mathrm{softplus}(x W_n) + 0.01

    with standard normal :math:`\epsilon`; in evaluation mode, or with `noise=False`, :math:`H(x) = x W_g`. The constant keeps
    the noise from vanishing, by which the load is divided. The load is the sum over tokens of the probability that an expert
    is selected if only its own noise is drawn again:

    .. math:: P(x, i) = \Phi\left(\frac{(x W_g)_i - \mathrm{kth\_excluding}(H(x), k, i)}{\sigma(x)_i}\right)

    and the plain count, which has no gradient, where there is no noise. With noise :math:`W_g` and :math:`W_n` begin at zero,
    as in the paper: no preference and some noise. Without noise, equal logits would always select the same experts, so
    :math:`W_g` begins at random.

    With `normalise="after"` and k = 1 the gate is the constant 1: the router learns nothing from the task, only from a balance
    loss, and without noise nothing at all.

    References:
        - Shazeer et al., Outrageously large neural networks, ICLR 2017, `arXiv 1701.06538 <https://arxiv.org/abs/1701.06538>`_,
          section 2.1, eq. 3 to 5 (gates) and appendix A, eq. 8 to 10 (load, initialisation).
        - Fedus et al., Switch transformers, JMLR 23, 2022, `arXiv 2101.03961 <https://arxiv.org/abs/2101.03961>`_, section 2.1,
          for k = 1 with the probability among all experts as gate.

    Args:
        features: Features of a token.
        experts: Number of experts.
        k: How many experts handle a token, 1 to `experts`.
        noise: Whether logits are noisy in training.
        normalise: `after` the selection: softmax over the k selected logits, the paper's. `before`: softmax over all experts,
            of which the k largest are kept and rescaled to sum 1, see `nas_fusion.routing.selection.kept`.
        granularity: As of `Router`.

    Raises:
        ValueError: If k or `normalise` is out of its range, or as `Router`.
    """

    def __init__(
        self,
        features: int,
        experts: int,
        *,
        k: int = 2,
        noise: bool = True,
        normalise: str = "after",
        granularity: str = "token",
    ) -> None:
        super().__init__(features, experts, granularity=granularity)
        check_k(k, experts)
        if normalise not in NORMALISATIONS:
            raise ValueError(f"`normalise` must be one of {', '.join(NORMALISATIONS)}, but got {normalise!r}.")
        self.k = k
        self.normalise = normalise
        self.gate = nn.Linear(features, experts, bias=False)
        self.noise = nn.Linear(features, experts, bias=False) if noise else None
        if self.noise is not None:
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.noise.weight)

    def route(self, tokens: torch.Tensor) -> Routing:
        """Return the routing of tokens `(batch, tokens, features)`."""
        if self.noise is None or not self.training:
            logits = self.gate(tokens)
            probabilities = logits.softmax(-1)
            _, chosen = logits.topk(self.k, -1)
            return Routing(self._gates(logits, chosen), probabilities, counts(chosen, probabilities))
        both = F.linear(tokens, torch.cat([self.gate.weight, self.noise.weight]))
        logits, size = both[..., : self.experts], F.softplus(both[..., self.experts :]) + _LEAST_NOISE
        noisy = logits + torch.randn_like(size) * size
        largest, order = noisy.topk(min(self.k + 1, self.experts), -1)
        load = smooth_load(logits, noisy, size, largest) if self.k < self.experts else counts(order, noisy)
        return Routing(self._gates(noisy, order[..., : self.k]), logits.softmax(-1), load)

    def _gates(self, logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        if self.normalise == "before":
            return kept(logits.softmax(-1), chosen)
        return spread(logits.gather(-1, chosen).softmax(-1), chosen, self.experts)


def smooth_load(logits: torch.Tensor, noisy: torch.Tensor, size: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
    """Return the expected number of tokens that each expert receives: `(experts,)`.

    Args:
        logits: `(batch, tokens, experts)`, without noise.
        noisy: `(batch, tokens, experts)`, with noise.
        size: `(batch, tokens, experts)`, the noise's standard deviation.
        largest: `(batch, tokens, k + 1)`, the largest noisy logits of each token in falling order.
    """
    next_best, last_chosen = largest[..., -1:], largest[..., -2:-1]
    to_beat = torch.where(noisy > next_best, next_best, last_chosen)
    return torch.special.ndtr((logits - to_beat) / size).sum((0, 1))
