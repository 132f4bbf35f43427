"""A mixture of experts over token tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.routing.router import Router, Routing


class MixtureOfExperts(nn.Module):
    r"""Sums the experts' outputs, weighted by a router's gates: :math:`y = \sum_i G(x)_i E_i(x)`.

    Gates sum to 1 and the sum is never divided by the number of experts, so identical experts give an output that depends
    neither on their number nor on how many are selected. Every expert sees all tokens, also those whose gate is 0: batch
    statistics of an expert are those of all tokens, and on dense tensors of this size it is faster than gathering.

    References:
        - Shazeer et al., Outrageously large neural networks, ICLR 2017, `arXiv 1701.06538 <https://arxiv.org/abs/1701.06538>`_,
          eq. 1.

    Args:
        experts: Modules that map `(batch, tokens, features)` to `(batch, tokens, out)`, as many as the router chooses from.
        router: May be shared by several mixtures.

    Raises:
        ValueError: If the number of experts is not the router's.
    """

    def __init__(self, experts: Sequence[nn.Module], router: Router) -> None:
        super().__init__()
        if len(experts) != router.experts:
            raise ValueError(f"`experts` must be as many as the router's {router.experts}, but got {len(experts)}.")
        self.experts = nn.ModuleList(experts)
        self.router = router

    def forward(self, tokens: torch.Tensor, gates: torch.Tensor | None = None) -> tuple[torch.Tensor, Routing]:
        """Return the mixture's output `(batch, tokens, out)` and how it was routed.

        Args:
            tokens: `(batch, tokens, features)`.
            gates: Used instead of the router's, which is not asked then: `(batch, tokens, experts)`, or 1 in place of batch
                or tokens for the same gates in all of them.

        Raises:
            ValueError: If the tokens or gates have another shape, or an expert does not return one row a token.
        """
        routing = self.router(tokens) if gates is None else self._given(tokens, gates)
        return self._summed(tokens, routing.gates), routing

    def _given(self, tokens: torch.Tensor, gates: torch.Tensor) -> Routing:
        wanted = (*tokens.shape[:2], self.router.experts)
        fits = gates.ndim == 3 and all(size in (1, full) for size, full in zip(gates.shape[:2], wanted[:2], strict=True))
        if not fits or gates.shape[2] != wanted[2]:
            raise ValueError(f"`gates` must have shape {wanted}, or 1 for batch or tokens, but got {tuple(gates.shape)}.")
        gates = gates.expand(wanted)
        return Routing(gates, gates, gates.sum((0, 1)))

    def _summed(self, tokens: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor | None = None
        for i, (expert, gate) in enumerate(zip(self.experts, gates.unbind(-1), strict=True)):
            output = expert(tokens)
            if output.shape[:-1] != tokens.shape[:-1]:
                raise ValueError(
                    f"`experts[{i}]` must return one row a token, {tuple(tokens.shape[:-1])}, but got {tuple(output.shape)}."
                )
            total = gate[..., None] * output if total is None else total.addcmul_(gate[..., None], output)
        assert total is not None, "A router has at least one expert."
        return total
