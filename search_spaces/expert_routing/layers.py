"""Layers on tokens `(batch, tokens, features)`: normalisation, experts, projections and pooling."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from search_spaces.expert_routing.dropout import ReLUDropout
from search_spaces.expert_routing.linear import TokenLinear


class TokenNorm(nn.BatchNorm1d):
    """Batch normalisation of each feature over all tokens of all subjects of a batch."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the normalised tokens `(batch, tokens, features)`."""
        return super().forward(tokens.flatten(0, -2)).view(tokens.shape)


class LinearExpert(nn.Sequential):
    """The published expert: batch normalisation, ReLU, dropout, linear, batch normalisation.

    Args:
        features: Features of a token, in and out.
        dropout: Probability in [0, 1).
    """

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__(TokenNorm(features), ReLUDropout(dropout), TokenLinear(features, features), TokenNorm(features))


class MLPExpert(nn.Sequential):
    """As `LinearExpert`, with a hidden layer of twice the width instead of the linear map.

    Args:
        features: Features of a token, in and out.
        dropout: Probability in [0, 1).
    """

    def __init__(self, features: int, dropout: float) -> None:
        wide = 2 * features
        super().__init__(
            TokenNorm(features),
            ReLUDropout(dropout),
            TokenLinear(features, wide),
            TokenNorm(wide),
            nn.ReLU(),
            TokenLinear(wide, features),
            TokenNorm(features),
        )


EXPERTS: dict[str, Callable[[int, float], nn.Module]] = {"linear": LinearExpert, "mlp": MLPExpert}


class StaticLayer(nn.Module):
    """A single expert where a mixture could be; its tensors have the names that they have there.

    Args:
        expert: The expert.
    """

    def __init__(self, expert: nn.Module) -> None:
        super().__init__()
        self.experts = nn.ModuleList([expert])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the expert's output `(batch, tokens, features)`."""
        found: torch.Tensor = self.experts[0](tokens)
        return found


def projection(features: int, out: int) -> nn.Sequential:
    """Return a linear projection of tokens with batch normalisation and ReLU."""
    return nn.Sequential(TokenLinear(features, out), TokenNorm(out), nn.ReLU())


def pool(tokens: torch.Tensor, how: str) -> torch.Tensor:
    """Return one representation a subject `(batch, features)`.

    Args:
        tokens: `(batch, tokens, features)`.
        how: `mean`, `add` or `max` over tokens.
    """
    if how == "max":
        return tokens.amax(1)
    return tokens.mean(1) if how == "mean" else tokens.sum(1)
