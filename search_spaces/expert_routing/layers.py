"""Layers on tokens `(batch, tokens, features)`: normalisation, experts, projections and pooling."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from search_spaces.expert_routing.dropout import Dropout


class TokenNorm(nn.BatchNorm1d):
    """Batch normalisation of each feature over all tokens of all subjects of a batch."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the normalised tokens `(batch, tokens, features)`."""
        return super().forward(tokens.flatten(0, -2)).view(tokens.shape)


class LinearExpert(nn.Module):
    """The published expert: batch normalisation, ReLU, dropout, linear, batch normalisation.

    The first normalisation is the same for all experts of a layer but for its scale and shift, since all see the same tokens:
    whoever calls the expert normalises the tokens once, the expert scales and shifts them. That changes no number.

    Args:
        features: Features of a token, in and out.
        dropout: Probability in [0, 1).
    """

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(features, features, bias=False)
        self.norm = TokenNorm(features)

    def forward(self, normalised: torch.Tensor) -> torch.Tensor:
        """Return the tokens that a layer adds `(batch, tokens, features)`, from normalised ones of the same shape."""
        hidden = torch.addcmul(self.shift, normalised, self.scale).relu()
        found: torch.Tensor = self.norm(self.linear(self.dropout(hidden)))
        return found


class MLPExpert(LinearExpert):
    """As `LinearExpert`, with a hidden layer of twice the width instead of the linear map."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__(features, dropout)
        self.wide = nn.Linear(features, 2 * features)
        self.linear = nn.Linear(2 * features, features, bias=False)

    def forward(self, normalised: torch.Tensor) -> torch.Tensor:
        """Return the tokens that a layer adds `(batch, tokens, features)`, from normalised ones of the same shape."""
        hidden = torch.addcmul(self.shift, normalised, self.scale).relu()
        found: torch.Tensor = self.norm(self.linear(self.wide(self.dropout(hidden)).relu()))
        return found


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
    return nn.Sequential(nn.Linear(features, out, bias=False), TokenNorm(out), nn.ReLU())


def pool(tokens: torch.Tensor, how: str) -> torch.Tensor:
    """Return one representation a subject `(batch, features)`.

    Args:
        tokens: `(batch, tokens, features)`.
        how: `mean`, `add` or `max` over tokens.
    """
    if how == "max":
        return tokens.amax(1)
    return tokens.mean(1) if how == "mean" else tokens.sum(1)
