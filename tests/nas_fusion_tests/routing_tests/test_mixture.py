from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas_fusion.routing import BalancedRouter, DenseRouter, MixtureOfExperts, TopKRouter, build_router


def experts_of(number: int, features: int = 5, out: int = 3) -> list[nn.Module]:
    return [nn.Sequential(nn.Linear(features, out), nn.Tanh()) for _ in range(number)]


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(["top_k", "dense", "balanced"]),
    granularity=st.sampled_from(["token", "subject"]),
    experts=st.integers(2, 5),
    batch=st.integers(1, 3),
    count=st.integers(1, 6),
)
def test_output_is_the_gated_sum(seed: int, name: str, granularity: str, experts: int, batch: int, count: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mixture = MixtureOfExperts(experts_of(experts), build_router(name, 5, experts, granularity=granularity)).double()
        tokens = torch.randn(batch, count, 5, dtype=torch.float64)
        output, routing = mixture(tokens)
    expected = np.zeros((batch, count, 3))
    for i, expert in enumerate(mixture.experts):
        linear = expert.get_submodule("0")
        weight, bias = (parameter.detach().numpy() for parameter in linear.parameters())
        expected += routing.gates[..., i, None].detach().numpy() * np.tanh(tokens.numpy() @ weight.T + bias)
    np.testing.assert_allclose(output.detach(), expected, atol=1e-12)


def test_gradients_of_the_gated_sum() -> None:
    """What is summed in place is differentiated as if it were not."""
    tokens = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    mixture = MixtureOfExperts(experts_of(3), DenseRouter(5, 3)).double()
    assert torch.autograd.gradcheck(lambda x: mixture(x)[0], [tokens])
    gates = torch.rand(2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: mixture(tokens, g)[0], [gates])


def test_scale_does_not_depend_on_the_number_of_experts() -> None:
    """The defect of averaging after gating: 1/2, 1/4, 1/8 of the output for 2, 4, 8 identical experts."""
    expert, tokens = nn.Linear(5, 3), torch.randn(2, 4, 5)
    for number in (2, 4, 8):
        output, _ = MixtureOfExperts([expert] * number, TopKRouter(5, number, k=2))(tokens)
        torch.testing.assert_close(output, expert(tokens))


def test_an_expert_that_nobody_selects_gets_no_gradient() -> None:
    mixture = MixtureOfExperts(experts_of(3), TopKRouter(5, 3, k=1)).eval()
    mixture(torch.randn(2, 4, 5))[0].sum().backward()
    used = [bool(next(expert.parameters()).grad.abs().sum() > 0) for expert in mixture.experts]  # type: ignore[union-attr]
    assert used == [True, False, False]


def test_a_shared_router_learns_from_both_mixtures() -> None:
    router, tokens = DenseRouter(5, 2), torch.randn(2, 4, 5)
    one, two = MixtureOfExperts(experts_of(2), router), MixtureOfExperts(experts_of(2), router)
    both = nn.ModuleList([one, two])
    assert sum(p is router.gate.weight for p in both.parameters()) == 1
    assert torch.equal(one(tokens)[1].gates, two(tokens)[1].gates)
    gradients = [torch.autograd.grad(m(tokens)[0].square().sum(), [router.gate.weight])[0] for m in (one, two)]
    (one(tokens)[0].square().sum() + two(tokens)[0].square().sum()).backward()
    torch.testing.assert_close(router.gate.weight.grad, gradients[0] + gradients[1])


def test_nothing_is_left_on_modules() -> None:
    mixture = MixtureOfExperts(experts_of(3), TopKRouter(5, 3))
    before = {name: set(vars(module)) for name, module in mixture.named_modules()}
    mixture(torch.randn(2, 4, 5))
    assert {name: set(vars(module)) for name, module in mixture.named_modules()} == before


@pytest.mark.parametrize("shape", [(4, 6), (1, 6), (4, 1), (1, 1)])
def test_given_gates_replace_the_routers(shape: tuple[int, int]) -> None:
    mixture, tokens = MixtureOfExperts(experts_of(3), BalancedRouter(5, 3)), torch.randn(4, 6, 5)
    gates = torch.rand(*shape, 3)
    output, routing = mixture(tokens, gates)
    expected = sum(gates[..., i, None] * expert(tokens) for i, expert in enumerate(mixture.experts))
    torch.testing.assert_close(output, expected)
    assert torch.equal(routing.gates, gates.expand(4, 6, 3))
    torch.testing.assert_close(routing.load, gates.expand(4, 6, 3).sum((0, 1)))
    assert torch.equal(mixture.router.get_buffer("bias"), torch.zeros(3))


def test_half_precision_experts_are_summed_in_single() -> None:
    mixture, tokens = MixtureOfExperts([nn.Linear(5, 3) for _ in range(3)], DenseRouter(5, 3)), torch.randn(2, 4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        output, routing = mixture(tokens)
    assert output.dtype == routing.gates.dtype == torch.float32
    torch.testing.assert_close(output, mixture(tokens)[0], rtol=0.02, atol=0.02)


def test_wrong_use_raises() -> None:
    with pytest.raises(ValueError, match="`experts` must be as many as the router's 3, but got 2"):
        MixtureOfExperts(experts_of(2), DenseRouter(5, 3))
    mixture, tokens = MixtureOfExperts(experts_of(3), DenseRouter(5, 3)), torch.randn(4, 6, 5)
    for wrong in (torch.rand(4, 6, 2), torch.rand(3, 6, 3), torch.rand(6, 3)):
        with pytest.raises(ValueError, match=r"`gates` must have shape \(4, 6, 3\), or 1 for batch or tokens, but got"):
            mixture(tokens, wrong)
    pooling = MixtureOfExperts([nn.Flatten()], DenseRouter(5, 1))
    with pytest.raises(ValueError, match=r"`experts\[0\]` must return one row a token, \(4, 6\), but got \(4, 30\)"):
        pooling(tokens)
