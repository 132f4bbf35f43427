from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.routing import TopKRouter, balance_loss

Array = npt.NDArray[np.float64]
every_k = pytest.mark.parametrize("k", [1, 2, 3, 4])


def router_of(k: int, *, experts: int = 4, features: int = 5, seed: int = 0, **options: object) -> TopKRouter:
    """A router in double precision that has preferences, and noise that depends on the token."""
    generator = torch.Generator().manual_seed(seed)
    router = TopKRouter(features, experts, k=k, **options).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in router.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return router


def tokens_of(batch: int, count: int, features: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, count, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference(clean: Array, size: Array, noise: Array, k: int, normalise: str) -> tuple[Array, Array]:
    """Gates and load token by token, as the paper writes them."""
    gates, load = np.zeros_like(clean), np.zeros(clean.shape[-1])
    for place in np.ndindex(clean.shape[:2]):
        noisy = clean[place] + noise[place] * size[place]
        chosen = np.argsort(-noisy)[:k]
        if normalise == "after":
            gates[place][chosen] = scipy.special.softmax(noisy[chosen])
        else:
            kept = scipy.special.softmax(noisy)[chosen]
            gates[place][chosen] = kept / kept.sum()
        for expert in range(len(noisy)):
            if k == len(noisy):
                load[expert] += 1
                continue
            kth_excluding = np.sort(np.delete(noisy, expert))[-k]
            load[expert] += scipy.stats.norm.cdf((clean[place][expert] - kth_excluding) / size[place][expert])
    return gates, load


@every_k
@pytest.mark.parametrize("normalise", ["after", "before"])
def test_gates_and_load_in_training_are_the_papers(k: int, normalise: str) -> None:
    router, tokens = router_of(k, normalise=normalise), tokens_of(3, 6)
    assert router.noise is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        routing = router(tokens)
        torch.manual_seed(5)
        noise = torch.randn(3, 4, 6, dtype=torch.float64).transpose(1, 2).numpy()
    clean = tokens.numpy() @ router.gate.weight.detach().numpy().T
    size = np.logaddexp(0, tokens.numpy() @ router.noise.weight.detach().numpy().T) + 0.01
    gates, load = reference(clean, size, noise, k, normalise)
    np.testing.assert_allclose(routing.gates.detach(), gates, atol=1e-12)
    np.testing.assert_allclose(routing.load.detach(), load, atol=1e-10)
    np.testing.assert_allclose(routing.probabilities.detach(), scipy.special.softmax(clean, axis=-1), atol=1e-12)


@every_k
@pytest.mark.parametrize("normalise", ["after", "before"])
@pytest.mark.parametrize("noise", [True, False])
def test_without_noise_the_load_is_a_count(k: int, normalise: str, noise: bool) -> None:
    router, tokens = router_of(k, normalise=normalise, noise=noise).train(not noise), tokens_of(3, 6)
    clean = tokens.numpy() @ router.gate.weight.detach().numpy().T
    gates, _ = reference(clean, np.zeros_like(clean) + 1e-9, np.zeros_like(clean), k, normalise)
    routing = router(tokens)
    np.testing.assert_allclose(routing.gates.detach(), gates, atol=1e-12)
    np.testing.assert_array_equal(routing.load, (gates > 0).sum((0, 1)))
    assert not routing.load.requires_grad


@pytest.mark.parametrize("k", [1, 2, 3])
def test_load_is_the_expected_number_of_tokens(k: int) -> None:
    """Averaged over the noise, the probabilities of appendix A are the frequencies of being selected."""
    router, tokens = router_of(k), tokens_of(1, 3).expand(20_000, -1, -1)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        routing = router(tokens)
    selected = (routing.gates > 0).double().sum((0, 1))
    assert selected.sum() == k * 60_000
    np.testing.assert_allclose(routing.load / 60_000, selected / 60_000, atol=0.006)


def test_load_has_a_gradient_that_evens_it_out() -> None:
    router, tokens = router_of(2, seed=3), tokens_of(8, 10) + 1
    loads = []
    for _ in range(80):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            routing = router(tokens)
        loads.append(routing.load.detach())
        (gradient,) = torch.autograd.grad(balance_loss(routing), [router.gate.weight])
        with torch.no_grad():
            router.gate.weight -= 0.3 * gradient
    assert loads[0].max() / loads[0].mean() > 1.2
    assert loads[-1].max() / loads[-1].mean() < 1.1


def test_begins_without_preference_and_with_some_noise() -> None:
    router, tokens = TopKRouter(5, 4, k=2), torch.randn(200, 10, 5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        routing = router(tokens)
    assert torch.equal(routing.probabilities, torch.full((200, 10, 4), 0.25))
    np.testing.assert_allclose(routing.load.detach() / 2000, 0.5, atol=0.03)
    np.testing.assert_allclose((routing.gates > 0).float().mean((0, 1)), 0.5, atol=0.05)


def test_of_equal_logits_exactly_k_are_selected_first_ones_first() -> None:
    router = TopKRouter(5, 4, k=2).eval()
    gates = router(torch.randn(3, 7, 5)).gates
    assert torch.equal(gates, torch.tensor([0.5, 0.5, 0, 0]).expand(3, 7, 4))


def test_before_passes_on_the_gradient_of_the_probability_through_a_constant_factor() -> None:
    router, tokens = router_of(1, normalise="before", noise=False), tokens_of(2, 3)
    worth = torch.randn(2, 3, 4, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((router(tokens).gates * worth).sum(), [router.gate.weight])
    clean = tokens.numpy() @ router.gate.weight.detach().numpy().T
    p = scipy.special.softmax(clean, axis=-1)
    expected = np.zeros((4, 5))
    for place in np.ndindex(2, 3):
        best = p[place].argmax()
        by_logit = worth.numpy()[place][best] * ((np.arange(4) == best) - p[place])
        expected += np.outer(by_logit, tokens.numpy()[place])
    np.testing.assert_allclose(gradient, expected, atol=1e-10)


def test_with_k_1_after_only_a_balance_loss_moves_the_router() -> None:
    router, tokens = router_of(1), tokens_of(4, 6)
    assert router.noise is not None
    routing = router(tokens)
    worth = torch.randn(4, 6, 4, dtype=torch.float64)
    task = torch.autograd.grad((routing.gates * worth).sum(), list(router.parameters()), retain_graph=True)
    assert all(torch.equal(gradient, torch.zeros_like(gradient)) for gradient in task)
    balance = torch.autograd.grad(balance_loss(routing), list(router.parameters()))
    assert all(bool(gradient.abs().sum() > 0) for gradient in balance)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    order=st.permutations(range(5)),
    k=st.integers(1, 5),
    normalise=st.sampled_from(["after", "before"]),
    granularity=st.sampled_from(["token", "subject"]),
)
def test_permuting_experts_permutes_gates(seed: int, order: list[int], k: int, normalise: str, granularity: str) -> None:
    router = router_of(k, experts=5, seed=seed, normalise=normalise, granularity=granularity).eval()
    tokens = tokens_of(2, 4, seed=seed + 1)
    before = router(tokens)
    with torch.no_grad():
        router.gate.weight.copy_(router.gate.weight[order].clone())
    after = router(tokens)
    torch.testing.assert_close(after.gates, before.gates[..., order])
    torch.testing.assert_close(after.load, before.load[order])


def test_wrong_options_raise() -> None:
    with pytest.raises(ValueError, match=r"`k` must be in \[1, 3\], the number of experts, but got 4"):
        TopKRouter(5, 3, k=4)
    with pytest.raises(ValueError, match="`normalise` must be one of after, before, but got 'twice'"):
        TopKRouter(5, 3, normalise="twice")
