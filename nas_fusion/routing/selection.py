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


def select(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return which experts have the k largest scores.

    Exactly k are selected; of equal scores, those of the lower index. (So few passes are several times faster than a sort.)

    Args:
        scores: `(batch, experts, tokens)`; the selection has no gradient.
        k: 1 to the number of experts.

    Returns:
        `(batch, experts, tokens)`, whether the expert is selected; and the k + 1 best experts in falling order (k if there are
        no more), `(batch, 1, tokens)` each.
    """
    rest, order = scores.detach().clone(), list[torch.Tensor]()
    for _ in range(min(k + 1, scores.shape[1])):
        order.append(rest.max(1, keepdim=True).indices)
        rest.scatter_(1, order[-1], -torch.inf)
    return torch.zeros_like(rest, dtype=torch.bool).scatter_(1, torch.cat(order[:k], 1), True), order


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
