"""The plug-in point for routers, what a router returns, and its registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import nn

from nas_fusion import plugins

GRANULARITIES = ("token", "subject")


@dataclass(frozen=True, eq=False)
class Routing:
    """How one forward pass was routed.

    Attributes:
        gates: `(batch, tokens, experts)`, weights of the experts' outputs in their sum: at least 0, sum 1 over experts.
        probabilities: `(batch, tokens, experts)`, the softmax over all experts, without noise and before any selection.
        load: `(experts,)`, an estimate of the number of tokens that each expert receives. Smooth, with a gradient, where the
            router selects under noise; the plain count where it selects without; the importance where nothing is selected.
    """

    gates: torch.Tensor
    probabilities: torch.Tensor
    load: torch.Tensor

    @property
    def importance(self) -> torch.Tensor:
        """Sum of each expert's gates over all tokens of all subjects: `(experts,)`, in tokens."""
        return self.gates.sum((0, 1))

    @property
    def usage(self) -> torch.Tensor:
        """Mean gate of each expert over a subject's tokens: `(batch, experts)`, sum 1 over experts."""
        return self.gates.mean(1)

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy of each token's gates: `(batch, tokens)`, in nats, 0 (one expert) to log(experts). It has no gradient."""
        return torch.special.entr(self.gates.detach()).sum(-1)


class Router(nn.Module, ABC):
    """Decides which experts handle which token, and with which weights.

    A router of one's own derives from this class, writes `route`, and is registered with `register_router` (or named in the
    entry-point group `nas_fusion.routers`). Checks, granularity and numerical precision are the same for all: under autocast
    a router computes in single precision, because half precision would make ties of different probabilities.

    Args:
        features: Features of a token, at least 1.
        experts: How many experts there are to choose from, at least 1.
        granularity: `token`: each token has gates of its own. `subject`: gates are computed from the mean of a subject's
            tokens and hold for all of them.

    Raises:
        ValueError: If a number is below 1 or the granularity is not one of the two.
    """

    def __init__(self, features: int, experts: int, *, granularity: str = "token") -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"`features` must be at least 1, but got {features}.")
        if experts < 1:
            raise ValueError(f"`experts` must be at least 1, but got {experts}.")
        if granularity not in GRANULARITIES:
            raise ValueError(f"`granularity` must be one of {', '.join(GRANULARITIES)}, but got {granularity!r}.")
        self.features = features
        self.experts = experts
        self.granularity = granularity

    @abstractmethod
    def route(self, tokens: torch.Tensor) -> Routing:
        """Return the routing of tokens.

        Args:
            tokens: `(batch, tokens, features)`; for `subject` the mean of each subject's, `(batch, 1, features)`.
        """

    def forward(self, tokens: torch.Tensor) -> Routing:
        """Return the routing of tokens `(batch, tokens, features)`.

        Raises:
            ValueError: If the tokens have another number of axes or features.
        """
        if tokens.ndim != 3 or tokens.shape[-1] != self.features:
            raise ValueError(f"`tokens` must have shape (batch, tokens, {self.features}), but got {tuple(tokens.shape)}.")
        if torch.is_autocast_enabled(tokens.device.type):
            with torch.autocast(tokens.device.type, enabled=False):
                return self._by_granularity(tokens.float())
        return self._by_granularity(tokens)

    def _by_granularity(self, tokens: torch.Tensor) -> Routing:
        if self.granularity == "token":
            return self.route(tokens)
        routing = self.route(tokens.mean(1, keepdim=True))
        count = tokens.shape[1]
        gates, probabilities = (x.expand(-1, count, -1) for x in (routing.gates, routing.probabilities))
        return Routing(gates, probabilities, routing.load * count)


R = TypeVar("R", bound=type[Router])


def register_router(name: str) -> Callable[[R], R]:
    """Return a class decorator that registers a router under a name."""
    return plugins.register("routers", name)


def build_router(name: str, features: int, experts: int, **options: object) -> Router:
    """Return a freshly initialised router.

    Args:
        name: A registered name: `top_k`, `dense`, `balanced` or another distribution's.
        features: Features of a token.
        experts: Number of experts.
        **options: `granularity` and the router's own.

    Raises:
        ValueError: If no router has that name, or an option is not one of the router's or out of its range.
    """
    cls = plugins.load("routers", name)
    try:
        return cast(Router, cls(features, experts, **options))
    except TypeError as error:
        raise ValueError(f"`options` must be options of the router {name!r}, but got {options}: {error}.") from None
