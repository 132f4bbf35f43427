from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.routing import DenseRouter, Routing, balance_loss


def routing_of(gates: np.ndarray, load: np.ndarray) -> Routing:
    return Routing(torch.from_numpy(gates), torch.from_numpy(gates), torch.from_numpy(load))


def test_values() -> None:
    gates = np.random.default_rng(0).dirichlet([1, 2, 3], size=(4, 5))
    load = np.array([3.0, 9.0, 12.0])
    expected = scipy.stats.variation(gates.sum((0, 1))) ** 2 + scipy.stats.variation(load) ** 2
    assert balance_loss(routing_of(gates, load)).item() == pytest.approx(expected, rel=1e-12)
    assert scipy.stats.variation(load) ** 2 == pytest.approx(((-5) ** 2 + 1 + 16) / 3 / 64)


@pytest.mark.parametrize("experts", [1, 2, 5])
def test_ends_of_the_scale(experts: int) -> None:
    even = np.full((2, 3, experts), 1 / experts)
    alone = np.zeros((2, 3, experts))
    alone[..., 0] = 1
    assert balance_loss(routing_of(even, even.sum((0, 1)))).item() == pytest.approx(0, abs=1e-12)
    assert balance_loss(routing_of(alone, alone.sum((0, 1)))).item() == pytest.approx(2 * (experts - 1))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), copies=st.integers(1, 4), order=st.permutations(range(4)))
def test_neither_the_number_of_subjects_nor_the_order_of_experts_matters(seed: int, copies: int, order: list[int]) -> None:
    gates = np.random.default_rng(seed).dirichlet([0.5] * 4, size=(3, 2))
    load = gates.sum((0, 1))
    once = balance_loss(routing_of(gates, load)).item()
    again = balance_loss(routing_of(np.tile(gates, (copies, 1, 1))[..., order], copies * load[order])).item()
    assert again == pytest.approx(once, rel=1e-9, abs=1e-12)


def test_descending_it_evens_out_the_importance() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens, router = torch.rand(4, 6, 5, generator=generator), DenseRouter(5, 3)
    with torch.no_grad():
        router.gate.weight.copy_(torch.tensor([[0.8], [0.0], [-0.8]]).expand(3, 5))
    losses = []
    for _ in range(100):
        loss = balance_loss(router(tokens))
        losses.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, [router.gate.weight])
        with torch.no_grad():
            router.gate.weight -= gradient
    assert losses[0] > 1 and losses[-1] < 0.01
    torch.testing.assert_close(router(tokens).importance, torch.full((3,), 8.0), rtol=0.1, atol=0)
