"""Routers that are linear in the token, and the selection of k of the experts.

All tensors here are `(batch, experts, tokens)`: with so few experts, a softmax or a sum over the middle axis is vectorised
over tokens, and many times faster than over the last.
"""

from __future__ import annotations

import torch


def linear(weight: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return logits `(batch, experts, tokens)` of a weight `(experts, features)` and tokens `(batch, tokens, features)`."""
    return torch.matmul(weight, tokens.transpose(1, 2))


def check_k(k: int, experts: int) -> None:
    """Raise unless k of the experts can be selected.

    Raises:
        ValueError: If k is below 1 or above the number of experts.
    """
    if not 1 <= k <= experts:
        raise ValueError(f"`k` must be in [1, {experts}], the number of experts, but got {k}.")


def select(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which k experts have the largest scores, and the scores in falling order, both `(batch, experts, tokens)`.

    Exactly k are selected; of equal scores, those of the lower index.
    """
    ordered, order = torch.sort(scores, dim=1, descending=True, stable=True)
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order[:, :k], True), ordered


def softmax_of(logits: torch.Tensor, selected: torch.Tensor) -> torch.Tensor:
    """Return the softmax over the selected experts alone, 0 for the others: `(batch, experts, tokens)`."""
    return torch.where(selected, logits, -torch.inf).softmax(1)


def rescaled(probabilities: torch.Tensor, selected: torch.Tensor) -> torch.Tensor:
    """Return the probabilities of the selected experts, rescaled to sum 1, and 0 for the others: `(batch, experts, tokens)`.

    The factor counts as a constant in the gradient. So the gates sum to 1 in value, and each still passes on the gradient of
    its probability, also the only one of k = 1 (with the factor's gradient it would be the constant 1, without any).
    Probabilities that have vanished in floating point count as the smallest number.
    """
    above_0 = probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny)
    kept = torch.where(selected, above_0, 0.0)
    return kept / kept.detach().sum(1, keepdim=True)
