"""What routers that select k of the experts have in common."""

from __future__ import annotations

import torch


def check_k(k: int, experts: int) -> None:
    """Raise unless k of the experts can be selected.

    Raises:
        ValueError: If k is below 1 or above the number of experts.
    """
    if not 1 <= k <= experts:
        raise ValueError(f"`k` must be in [1, {experts}], the number of experts, but got {k}.")


def spread(values: torch.Tensor, chosen: torch.Tensor, experts: int) -> torch.Tensor:
    """Return values `(..., k)` of the chosen experts `(..., k)` at their places among all: `(..., experts)`, elsewhere 0."""
    return values.new_zeros(*values.shape[:-1], experts).scatter(-1, chosen, values)


def kept(probabilities: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return gates `(..., experts)`: the probabilities of the chosen experts `(..., k)`, rescaled to sum 1.

    The factor counts as a constant in the gradient. So the gates sum to 1 in value, and each still passes on the gradient of
    its probability, also the only one of k = 1 (with the factor's gradient it would be the constant 1, without any).
    """
    values = probabilities.gather(-1, chosen)
    return spread(values / values.detach().sum(-1, keepdim=True), chosen, probabilities.shape[-1])


def counts(chosen: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return how many tokens chose each expert: `(experts,)`, from `(batch, tokens, k)`, in the type of `(..., experts)`."""
    return torch.zeros_like(like).scatter_(-1, chosen, 1.0).sum((0, 1))
