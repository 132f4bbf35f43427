from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces.expert_routing.dropout import Dropout, ReLUDropout
from search_spaces.expert_routing.linear import TokenLinear


@pytest.mark.parametrize("p", [0.1, 0.25, 0.3, 0.5, 0.77, 0.9, 0.9999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_drops_with_its_probability_and_keeps_the_mean(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    n = 400_000
    found = Dropout(p)(torch.ones(4, n // 4, dtype=dtype)).float()
    kept = found[found != 0]
    deviation = math.sqrt(p * (1 - p) / n)
    assert abs(len(kept) / n - (1 - p)) < 4 * deviation + 1e-5
    np.testing.assert_allclose(kept, 1 / (1 - p), rtol=0.1 if p > 0.99 else 5e-3)


@pytest.mark.parametrize("p", [0.5, 0.3])
def test_every_place_of_a_draw_is_dropped_alike_and_independently(p: float) -> None:
    torch.manual_seed(1)
    drawn = (Dropout(p)(torch.ones(50_000, 8)) == 0).double()  # a row is one draw of 64 bits, or two
    deviation = math.sqrt(p * (1 - p) / 50_000)
    assert (drawn.mean(0) - p).abs().max() < 4.5 * deviation
    correlation = torch.corrcoef(drawn.T) - torch.eye(8)
    assert correlation.abs().max() < 4.5 / math.sqrt(50_000)
    ahead = torch.corrcoef(torch.stack([drawn[:-1].flatten(), drawn[1:].flatten()]))[0, 1]
    assert abs(float(ahead)) < 4.5 / math.sqrt(400_000)


def test_two_calls_differ_and_equal_seeds_agree() -> None:
    x, module = torch.ones(3, 50, 7), ReLUDropout(0.3)
    torch.manual_seed(5)
    first, second = module(x), module(x)
    torch.manual_seed(5)
    assert torch.equal(module(x), first) and not torch.equal(first, second)


@pytest.mark.parametrize("p", [0.5, 0.3])
@pytest.mark.parametrize(("kind", "activation"), [(Dropout, nn.Identity()), (ReLUDropout, nn.ReLU())])
def test_gradient_passes_where_values_pass(p: float, kind: type[Dropout], activation: nn.Module) -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 40, 5, requires_grad=True)
    found = kind(p)(x)
    weights = torch.randn_like(found)
    (gradient,) = torch.autograd.grad(found, x, weights)
    factor = torch.where(found != 0, 1 / (1 - p), 0.0)
    torch.testing.assert_close(found, activation(x) * factor, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradient, weights * factor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [Dropout, ReLUDropout])
def test_layouts_and_odd_sizes(kind: type[Dropout]) -> None:
    torch.manual_seed(0)
    x = torch.rand(5, 3, 7).transpose(0, 1) + 1
    found = kind(0.5)(x)
    assert found.shape == x.shape and bool((found == 0).any())
    torch.testing.assert_close(found[found != 0], 2 * x[found != 0])
    assert torch.equal(x, x.abs())  # what went in is untouched


def test_nothing_is_dropped_in_evaluation_or_with_probability_zero() -> None:
    x = torch.randn(3, 4)
    assert torch.equal(Dropout(0.5).eval()(x), x) and torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(ReLUDropout(0.5).eval()(x), x.relu()) and torch.equal(ReLUDropout(0.0)(x), x.relu())


def test_impossible_probability_raises() -> None:
    with pytest.raises(ValueError, match=r"`dropout` must be in \[0, 1\), but got -0.1"):
        Dropout(-0.1)


@pytest.mark.parametrize("shape", [(2, 5, 8), (64, 90, 32)], ids=["product", "convolution"])
def test_linear_map_and_its_gradients_are_those_of_torch(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    module, x = TokenLinear(shape[2], 24), torch.randn(shape, requires_grad=True)
    assert module._pays(x) == (shape[0] == 64)
    upstream = torch.randn(*shape[:2], 24)
    found, wanted = module(x), nn.functional.linear(x, module.weight)
    assert found.is_contiguous()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    mine = torch.autograd.grad(found, (x, module.weight), upstream)
    theirs = torch.autograd.grad(wanted, (x, module.weight), upstream)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
