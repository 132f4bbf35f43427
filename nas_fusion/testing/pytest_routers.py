"""Conformance suite for routers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import nn

from nas_fusion.routing import MixtureOfExperts, Router, Routing

RouterFactory = Callable[..., Router]
_FEATURES = 6
every_granularity = pytest.mark.parametrize("granularity", ["token", "subject"])
either_mode = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])


class RouterTestCase:
    """What every router must fulfil.

    Attributes:
        ks: Values of the option `k` to try, for a router that selects k of its experts; empty for one without that option.
        learns_from_task: Whether the task's gradient reaches the router's parameters. If not, it must be exactly zero.
    """

    ks: ClassVar[tuple[int, ...]] = ()
    learns_from_task: ClassVar[bool] = True

    @pytest.fixture
    def router(self) -> RouterFactory:
        """Return a factory `(features, experts, **options)` of the router under test: override this fixture."""
        raise NotImplementedError

    def routers(self, router: RouterFactory, experts: int, **options: object) -> list[Router]:
        """Return a router with each possible `k`, or the only one; their parameters are moved at random."""
        choices = [{"k": k} for k in self.ks if k <= experts] if self.ks else [{}]
        return [_perturbed(router, experts, **choice, **options) for choice in choices]

    @either_mode
    @every_granularity
    @pytest.mark.parametrize("experts", [1, 2, 5])
    def test_gates_are_weights(self, router: RouterFactory, experts: int, granularity: str, training: bool) -> None:
        for routed in self.routers(router, experts, granularity=granularity):
            routing = routed.train(training)(_tokens())
            for weights in (routing.gates, routing.probabilities):
                assert weights.shape == (4, 7, experts) and weights.dtype == torch.float32
                assert bool((weights >= 0).all())
                torch.testing.assert_close(weights.sum(-1), torch.ones(4, 7))
            torch.testing.assert_close(routing.importance.sum(), torch.tensor(28.0))
            torch.testing.assert_close(routing.usage, routing.gates.mean(1))
            assert routing.load.shape == (experts,) and bool(((routing.load >= 0) & (routing.load < 28.001)).all())

    @either_mode
    @every_granularity
    def test_k_experts_are_selected(self, router: RouterFactory, granularity: str, training: bool) -> None:
        for k, routed in zip(self.ks, self.routers(router, max(self.ks, default=1), granularity=granularity), strict=False):
            assert int((routed.train(training)(_tokens()).gates > 0).sum(-1).max()) == k

    @either_mode
    def test_nothing_is_kept_on_the_router(self, router: RouterFactory, training: bool) -> None:
        for routed in self.routers(router, 4):
            before = _kept(routed.train(training))
            routed(_tokens())
            assert _kept(routed) == before

    @either_mode
    @every_granularity
    def test_identical_experts_are_one(self, router: RouterFactory, granularity: str, training: bool) -> None:
        expert, tokens = nn.Sequential(nn.Linear(_FEATURES, 3), nn.Tanh()), _tokens()
        for experts in (1, 2, 3, 6):
            for routed in self.routers(router, experts, granularity=granularity):
                mixture = MixtureOfExperts([copy.deepcopy(expert) for _ in range(experts)], routed).train(training)
                torch.testing.assert_close(mixture(tokens)[0], expert(tokens), rtol=1e-5, atol=1e-6)

    @every_granularity
    def test_batch_of_two_is_two_singles(self, router: RouterFactory, granularity: str) -> None:
        tokens = _tokens()[:2]
        for routed in self.routers(router, 4, granularity=granularity):
            together = routed.eval()(tokens)
            for i in range(2):
                alone = routed(tokens[i : i + 1])
                torch.testing.assert_close(alone.gates[0], together.gates[i], rtol=1e-5, atol=1e-6)
                torch.testing.assert_close(alone.probabilities[0], together.probabilities[i], rtol=1e-5, atol=1e-6)

    @either_mode
    def test_a_subject_has_one_gate(self, router: RouterFactory, training: bool) -> None:
        for routed in self.routers(router, 4, granularity="subject"):
            routing = routed.train(training)(_tokens())
            assert torch.equal(routing.gates, routing.gates[:, :1].expand(-1, 7, -1))
            assert torch.equal(routing.probabilities, routing.probabilities[:, :1].expand(-1, 7, -1))

    @every_granularity
    def test_the_task_reaches_the_router(self, router: RouterFactory, granularity: str) -> None:
        routed = _perturbed(router, 3, granularity=granularity)
        mixture = _mixture(routed)
        mixture(_tokens())[0].square().sum().backward()
        reached = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in routed.parameters()]
        assert any(reached) if self.learns_from_task else not any(reached)

    @every_granularity
    def test_same_seed_same_result(self, router: RouterFactory, granularity: str) -> None:
        with torch.random.fork_rng(devices=[]):
            for first in self.routers(router, 4, granularity=granularity):
                second = copy.deepcopy(first)
                for routed in (first, second):
                    torch.manual_seed(3)
                    routed.train()(_tokens())
                torch.manual_seed(4)
                one = first(_tokens())
                torch.manual_seed(4)
                two = second(_tokens())
                assert torch.equal(one.gates, two.gates) and torch.equal(one.load, two.load)

    @every_granularity
    def test_evaluation_is_repeatable_and_changes_nothing(self, router: RouterFactory, granularity: str) -> None:
        for routed in self.routers(router, 4, granularity=granularity):
            tokens, before = _tokens(), copy.deepcopy(routed.eval().state_dict())
            one, two = routed(tokens), routed(tokens)
            assert torch.equal(one.gates, two.gates) and torch.equal(one.load, two.load)
            assert torch.equal(tokens, _tokens())
            assert all(torch.equal(value, before[name]) for name, value in routed.state_dict().items())

    def test_state_dict_round_trip(self, router: RouterFactory) -> None:
        used = _perturbed(router, 4)
        for _ in range(3):
            used.train()(_tokens())
        fresh = router(_FEATURES, 4)
        fresh.load_state_dict(used.state_dict())
        assert torch.equal(used.eval()(_tokens()).gates, fresh.eval()(_tokens()).gates)

    def test_autocast_does_not_change_the_gates(self, router: RouterFactory) -> None:
        routed = _perturbed(router, 4).eval()
        expected = routed(_tokens())
        with torch.autocast("cpu", torch.bfloat16):
            routing = routed(_tokens())
        assert routing.gates.dtype == torch.float32 and torch.equal(routing.gates, expected.gates)

    def test_wrong_tokens_raise(self, router: RouterFactory) -> None:
        routed = router(_FEATURES, 3)
        with pytest.raises(ValueError, match=r"`tokens` must have shape \(batch, tokens, 6\), but got \(4, 7, 5\)"):
            routed(_tokens()[..., :5])
        with pytest.raises(ValueError, match=r"`tokens` must have shape \(batch, tokens, 6\), but got \(4, 6\)"):
            routed(_tokens()[:, 0])

    def test_wrong_construction_raises(self, router: RouterFactory) -> None:
        with pytest.raises(ValueError, match="`features` must be at least 1, but got 0"):
            router(0, 3)
        with pytest.raises(ValueError, match="`experts` must be at least 1, but got 0"):
            router(_FEATURES, 0)
        with pytest.raises(ValueError, match="`granularity` must be one of token, subject, but got 'region'"):
            router(_FEATURES, 3, granularity="region")
        for k in (0, 4) if self.ks else ():
            with pytest.raises(ValueError, match=rf"`k` must be in \[1, 3\].*, but got {k}"):
                router(_FEATURES, 3, k=k)


def _tokens() -> torch.Tensor:
    """Return random tokens of 4 subjects whose means over tokens differ."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 7, _FEATURES, generator=generator) + torch.randn(4, 1, _FEATURES, generator=generator)


def _kept(router: Router) -> dict[tuple[str, str], int]:
    """Return the identities of tensors and routings that are plain attributes of a router, neither parameters nor buffers."""
    found = ((name, *held) for name, module in router.named_modules() for held in vars(module).items())
    return {(name, attribute): id(value) for name, attribute, value in found if isinstance(value, torch.Tensor | Routing)}


def _perturbed(router: RouterFactory, experts: int, **options: object) -> Router:
    """Return a router that has preferences: its parameters are moved at random."""
    generator = torch.Generator().manual_seed(1)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        routed = router(_FEATURES, experts, **options)
        for parameter in routed.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return routed


def _mixture(router: Router) -> MixtureOfExperts:
    """Return a mixture of different experts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return MixtureOfExperts([nn.Linear(_FEATURES, 3) for _ in range(router.experts)], router)
