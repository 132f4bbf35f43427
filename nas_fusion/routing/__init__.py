"""Mixtures of experts over token tensors `(batch, tokens, features)`, and the routers that decide which expert does what.

To add a router, derive from `Router`, register it with `register_router` (or name it in the entry-point group
`nas_fusion.routers`) and run the conformance suite of `nas_fusion.testing` on it. A router returns its gates and statistics as
data (`Routing`); nothing is left behind on modules.
"""

from nas_fusion.routing.balance import balance_loss
from nas_fusion.routing.balanced import BalancedRouter
from nas_fusion.routing.dense import DenseRouter
from nas_fusion.routing.mixture import MixtureOfExperts
from nas_fusion.routing.observing import replaced_gates, routings
from nas_fusion.routing.router import Router, Routing, build_router, register_router
from nas_fusion.routing.top_k import TopKRouter

__all__ = [
    "BalancedRouter",
    "DenseRouter",
    "MixtureOfExperts",
    "Router",
    "Routing",
    "TopKRouter",
    "balance_loss",
    "build_router",
    "register_router",
    "replaced_gates",
    "routings",
]
