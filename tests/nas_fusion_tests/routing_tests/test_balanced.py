from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import torch
from torch import nn

from nas_fusion.routing import BalancedRouter, MixtureOfExperts, Router, TopKRouter


def skewed_stream(steps: int, seed: int = 0) -> list[torch.Tensor]:
    """Batches whose last feature is always 1, so that a weight on it is a preference that all tokens share."""
    generator = torch.Generator().manual_seed(seed)
    stream = torch.randn(steps, 8, 10, 5, generator=generator) + torch.randn(steps, 8, 1, 5, generator=generator)
    stream[..., -1] = 1
    return list(stream)


def prefer_the_first(router: Router) -> None:
    """Let the first expert be the best by far for nearly all tokens."""
    gate = router.get_submodule("gate")
    assert isinstance(gate, nn.Linear)
    with torch.no_grad():
        gate.weight.copy_(0.2 * torch.randn(gate.weight.shape, generator=torch.Generator().manual_seed(1)))
        gate.weight[0, -1] += 2


def test_gates_and_bias_are_the_papers() -> None:
    router, tokens = BalancedRouter(5, 4, k=2, rate=0.05), skewed_stream(1)[0]
    prefer_the_first(router)
    weight, bias = router.gate.weight.detach().numpy(), np.zeros(4)
    for _ in range(20):
        routing = router(tokens)
        p = scipy.special.softmax(tokens.numpy() @ weight.T, axis=-1)
        chosen = np.argsort(-(p + bias), axis=-1)[..., :2]
        kept = np.zeros_like(p)
        np.put_along_axis(kept, chosen, np.take_along_axis(p, chosen, -1), -1)
        np.testing.assert_allclose(routing.gates.detach(), kept / kept.sum(-1, keepdims=True), atol=1e-5)
        count = (kept > 0).sum((0, 1))
        np.testing.assert_array_equal(routing.load, count)
        bias += 0.05 * np.sign(count.mean() - count)
        np.testing.assert_allclose(router.bias, bias, atol=1e-6)


def test_bias_moves_in_training_only_and_without_gradient() -> None:
    router, tokens = BalancedRouter(5, 4), torch.randn(3, 6, 5)
    router.eval()(tokens)
    assert torch.equal(router.bias, torch.zeros(4))
    router.train()(tokens)
    assert router.bias.abs().max() == pytest.approx(0.001)
    assert not router.bias.requires_grad and "bias" in dict(router.named_buffers()) and "bias" in router.state_dict()


def test_rate_0_is_top_k_normalised_before() -> None:
    router, plain = BalancedRouter(5, 4, k=2, rate=0), TopKRouter(5, 4, k=2, noise=False, normalise="before")
    plain.load_state_dict({"gate.weight": router.gate.weight})
    for tokens in skewed_stream(3):
        torch.testing.assert_close(router(tokens).gates, plain(tokens).gates)


@pytest.mark.parametrize("granularity", ["token", "subject"])
@pytest.mark.parametrize("k", [1, 2])
def test_a_skewed_stream_is_evened_out(k: int, granularity: str) -> None:
    """The same preferences on the same stream: top-k stays skewed, the bias evens the load out."""
    stream, held_out = skewed_stream(400), torch.cat(skewed_stream(20, seed=1))
    skew = {}
    for name, router in {
        "balanced": BalancedRouter(5, 4, k=k, rate=0.005, granularity=granularity),
        "top_k": TopKRouter(5, 4, k=k, noise=False, granularity=granularity),
    }.items():
        prefer_the_first(router)
        with torch.no_grad():
            for tokens in stream:
                router(tokens)
            load = router.eval()(held_out).load
        skew[name] = float(load.max() / load.min())
    assert skew["top_k"] > 2 * skew["balanced"] and skew["balanced"] < 2.2


def test_does_not_collapse_where_top_k_does() -> None:
    """With a task: an expert that is never selected never learns, so top-1 stays with the one that it began with."""
    used = {}
    for name, router in {
        "balanced": BalancedRouter(5, 4, k=1, rate=0.005),
        "top_k": TopKRouter(5, 4, k=1, noise=False, normalise="before"),
    }.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            mixture = MixtureOfExperts([nn.Linear(5, 1) for _ in range(4)], router)
        prefer_the_first(router)
        for tokens in skewed_stream(300):
            loss = (mixture(tokens)[0] - tokens[..., :1].abs()).square().mean()
            gradients = torch.autograd.grad(loss, list(mixture.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(mixture.parameters(), gradients, strict=True):
                    parameter -= 0.02 * gradient
        load = mixture.eval()(torch.cat(skewed_stream(20, seed=1)))[1].load
        used[name] = int((load / load.sum() > 0.05).sum())
    assert used == {"balanced": 4, "top_k": 1}


def test_a_selected_probability_may_have_vanished() -> None:
    router, tokens = BalancedRouter(5, 4, k=1), torch.ones(2, 3, 5)
    with torch.no_grad():
        router.gate.weight.copy_(torch.tensor([[100.0], [0.0], [0.0], [0.0]]).expand(4, 5))
        router.bias[2] = 3
    routing = router(tokens)
    assert torch.equal(routing.gates, torch.tensor([0.0, 0, 1, 0]).expand(2, 3, 4))
    assert routing.probabilities[..., 2].max() == 0
    routing.gates.square().sum().backward()
    assert router.gate.weight.grad is not None and bool(router.gate.weight.grad.isfinite().all())


def test_wrong_options_raise() -> None:
    with pytest.raises(ValueError, match="`rate` must be a finite number of at least 0, but got -1"):
        BalancedRouter(5, 3, rate=-1)
    with pytest.raises(ValueError, match="`rate` must be a finite number of at least 0, but got nan"):
        BalancedRouter(5, 3, rate=float("nan"))
    with pytest.raises(ValueError, match=r"`k` must be in \[1, 3\], the number of experts, but got 0"):
        BalancedRouter(5, 3, k=0)
