"""Noisy top-k gating."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from nas_fusion.routing.router import Router, Routing
from nas_fusion.routing.selection import check_k, linear, rescaled, select, softmax_of

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
            of which the k largest are kept and rescaled to sum 1, see `nas_fusion.routing.selection.rescaled`.
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
            logits = linear(self.gate.weight, tokens)
            selected, _ = select(logits, self.k)
            return self._routing(logits, logits, selected, selected.sum((0, 2)).to(logits.dtype))
        both = linear(torch.cat([self.gate.weight, self.noise.weight]), tokens)
        logits, size = both[:, : self.experts], F.softplus(both[:, self.experts :]) + _LEAST_NOISE
        noisy = logits + torch.randn_like(size) * size
        selected, order = select(noisy, self.k)
        if self.k == self.experts:
            return self._routing(logits, noisy, selected, selected.sum((0, 2)).to(logits.dtype))
        to_beat = noisy.gather(1, torch.where(selected, order[self.k], order[self.k - 1]))
        return self._routing(logits, noisy, selected, torch.special.ndtr((logits - to_beat) / size).sum((0, 2)))

    def _routing(self, logits: torch.Tensor, noisy: torch.Tensor, selected: torch.Tensor, load: torch.Tensor) -> Routing:
        gates = rescaled(noisy.softmax(1), selected) if self.normalise == "before" else softmax_of(noisy, selected)
        return Routing(gates.transpose(1, 2), logits.softmax(1).transpose(1, 2), load)
