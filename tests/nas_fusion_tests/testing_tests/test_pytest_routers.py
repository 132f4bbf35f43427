"""The conformance suite for routers: it accepts every registered one, and each of its tests catches a router that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from nas_fusion import plugins
from nas_fusion.routing import DenseRouter, Router, Routing, build_router
from nas_fusion.testing import RouterTestCase

RouterFactory = Callable[..., Router]


class TestDense(RouterTestCase):
    @pytest.fixture
    def router(self) -> RouterFactory:
        return partial(build_router, "dense")


@pytest.mark.parametrize(("noise", "normalise"), [(True, "after"), (True, "before"), (False, "after")])
class TestTopK(RouterTestCase):
    ks = (1, 2, 3)

    @pytest.fixture
    def router(self, noise: bool, normalise: str) -> RouterFactory:
        return partial(build_router, "top_k", noise=noise, normalise=normalise)


class TestBalanced(RouterTestCase):
    ks = (1, 2, 3)

    @pytest.fixture
    def router(self) -> RouterFactory:
        return partial(build_router, "balanced")


def test_no_registered_router_is_left_out() -> None:
    assert [p.name for p in plugins.available("routers") if p.distribution == "nas-fusion"] == ["balanced", "dense", "top_k"]


@pytest.mark.parametrize(
    ("options", "learns"),
    [
        ({"name": "balanced", "k": 1}, True),
        ({"name": "top_k", "k": 1, "normalise": "before"}, True),
        ({"name": "top_k", "k": 1, "normalise": "before", "noise": False}, True),
        ({"name": "top_k", "k": 1, "normalise": "after"}, False),
        ({"name": "top_k", "k": 1, "normalise": "after", "noise": False}, False),
    ],
)
def test_one_expert_a_token_learns_where_its_gate_is_a_probability(options: dict[str, object], learns: bool) -> None:
    """A softmax over one logit is the constant 1, so that the task's gradient is exactly zero: a known defect of top-1."""

    class Suite(RouterTestCase):
        learns_from_task = learns

    options = dict(options)
    name = str(options.pop("name"))
    for granularity in ("token", "subject"):
        Suite().test_the_task_reaches_the_router(partial(build_router, name, **options), granularity)


class Shrinking(DenseRouter):
    def route(self, tokens: torch.Tensor) -> Routing:
        routing = super().route(tokens)
        return Routing(routing.gates / self.experts, routing.probabilities, routing.load)


class Negative(DenseRouter):
    def route(self, tokens: torch.Tensor) -> Routing:
        gates = self.gate(tokens)
        gates = gates - gates.mean(-1, keepdim=True) + 1 / self.experts
        return Routing(gates, gates.softmax(-1), gates.softmax(-1).sum((0, 1)))


class Mixing(DenseRouter):
    """Other subjects of the batch decide too."""

    def route(self, tokens: torch.Tensor) -> Routing:
        return super().route(tokens - tokens.mean(0))


class Stubborn(DenseRouter):
    """Routes tokens, whatever the granularity."""

    def forward(self, tokens: torch.Tensor) -> Routing:
        if tokens.ndim != 3 or tokens.shape[-1] != self.features:
            raise ValueError(f"`tokens` must have shape (batch, tokens, {self.features}), but got {tuple(tokens.shape)}.")
        return self.route(tokens)


class Deaf(DenseRouter):
    def route(self, tokens: torch.Tensor) -> Routing:
        return super().route(torch.zeros_like(tokens))


class Restless(DenseRouter):
    """Has noise in evaluation too."""

    def route(self, tokens: torch.Tensor) -> Routing:
        return super().route(tokens + 0.1 * torch.randn_like(tokens))


class Learning(DenseRouter):
    """Counts what it sees, in evaluation too."""

    seen: torch.Tensor

    def __init__(self, features: int, experts: int, *, granularity: str = "token") -> None:
        super().__init__(features, experts, granularity=granularity)
        self.register_buffer("seen", torch.zeros(()))

    def route(self, tokens: torch.Tensor) -> Routing:
        self.seen.add_(len(tokens))
        return super().route(tokens)


class Forgetful(DenseRouter):
    """Has a state that is not stored."""

    def __init__(self, features: int, experts: int, *, granularity: str = "token") -> None:
        super().__init__(features, experts, granularity=granularity)
        self.offset = torch.randn(features)

    def route(self, tokens: torch.Tensor) -> Routing:
        return super().route(tokens + self.offset)


class Generous(Router):
    """Says that it selects k, and lets all take part."""

    def __init__(self, features: int, experts: int, *, k: int = 2, granularity: str = "token") -> None:
        super().__init__(features, experts, granularity=granularity)
        self.k = k
        self.gate = nn.Linear(features, experts)

    def route(self, tokens: torch.Tensor) -> Routing:
        gates = self.gate(tokens).softmax(-1)
        return Routing(gates, gates, gates.sum((0, 1)))


class Hoarding(DenseRouter):
    """Leaves its statistics on itself."""

    def route(self, tokens: torch.Tensor) -> Routing:
        self.last = super().route(tokens)
        return self.last


class Counting(DenseRouter):
    """What it returns in training depends on how often any router was asked."""

    def route(self, tokens: torch.Tensor) -> Routing:
        _calls.append(1)
        return super().route(tokens * len(_calls) if self.training else tokens)


_calls: list[int] = []
MODES = {"granularity": "token", "training": True}
CAUGHT = [
    (Shrinking, "test_gates_are_weights", {"experts": 2, **MODES}),
    (Shrinking, "test_identical_experts_are_one", MODES),
    (Negative, "test_gates_are_weights", {"experts": 5, **MODES}),
    (Mixing, "test_batch_of_two_is_two_singles", {"granularity": "token"}),
    (Stubborn, "test_a_subject_has_one_gate", {"training": False}),
    (Deaf, "test_the_task_reaches_the_router", {"granularity": "token"}),
    (Restless, "test_evaluation_is_repeatable_and_changes_nothing", {"granularity": "token"}),
    (Learning, "test_evaluation_is_repeatable_and_changes_nothing", {"granularity": "subject"}),
    (Hoarding, "test_nothing_is_kept_on_the_router", {"training": True}),
    (Forgetful, "test_state_dict_round_trip", {}),
    (Counting, "test_same_seed_same_result", {"granularity": "token"}),
]


@pytest.mark.parametrize(("wrong", "test", "arguments"), CAUGHT, ids=lambda x: getattr(x, "__name__", None))
def test_wrong_routers_are_caught(wrong: type[Router], test: str, arguments: dict[str, object]) -> None:
    suite = RouterTestCase()
    getattr(suite, test)(DenseRouter, **arguments)
    with pytest.raises(AssertionError):
        getattr(suite, test)(wrong, **arguments)


def test_selecting_too_many_is_caught() -> None:
    class Suite(RouterTestCase):
        ks = (1, 2, 3)

    with pytest.raises(AssertionError):
        Suite().test_k_experts_are_selected(Generous, "token", True)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        Suite().test_wrong_construction_raises(Generous)


def test_selecting_one_whatever_is_asked_is_caught() -> None:
    class Suite(RouterTestCase):
        ks = (1, 2)

    def single(features: int, experts: int, *, k: int = 2, **options: object) -> Router:
        return build_router("top_k", features, experts, k=1, **options)

    Suite().test_k_experts_are_selected(partial(build_router, "top_k"), "token", False)
    with pytest.raises(AssertionError):
        Suite().test_k_experts_are_selected(single, "token", False)
