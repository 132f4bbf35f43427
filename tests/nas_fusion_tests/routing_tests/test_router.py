from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.stats
import torch

from nas_fusion import plugins
from nas_fusion.routing import BalancedRouter, DenseRouter, Router, Routing, TopKRouter, build_router, register_router


class ByPlace(Router):
    """Sends the first tokens to the first expert, the next to the second, and so on."""

    def route(self, tokens: torch.Tensor) -> Routing:
        batch, count, _ = tokens.shape
        expert = torch.arange(count) * self.experts // count
        gates = torch.nn.functional.one_hot(expert, self.experts).float().expand(batch, -1, -1)
        return Routing(gates, gates, gates.sum((0, 1)))


@pytest.fixture
def registered() -> Iterator[str]:
    register_router("by_place")(ByPlace)
    yield "by_place"
    plugins._registered["routers"].pop("by_place")


def test_shipped_routers_are_found_by_name() -> None:
    built = build_router("top_k", 4, 5, k=3, noise=False, normalise="before", granularity="subject")
    assert isinstance(built, TopKRouter)
    assert (built.features, built.experts, built.k, built.normalise, built.granularity) == (4, 5, 3, "before", "subject")
    assert [name for name, _ in built.named_parameters()] == ["gate.weight"]
    assert isinstance(build_router("dense", 4, 5), DenseRouter)
    balanced = build_router("balanced", 4, 5, k=1, rate=0.5)
    assert isinstance(balanced, BalancedRouter) and (balanced.k, balanced.rate) == (1, 0.5)


def test_a_registered_router_is_built_by_name(registered: str) -> None:
    routing = build_router(registered, 3, 2)(torch.randn(5, 4, 3))
    assert routing.gates[0].tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert routing.load.tolist() == [10, 10]
    with pytest.raises(ValueError, match="`name` must be free among routers, but 'by_place' is"):
        register_router(registered)(DenseRouter)


def test_unknown_names_and_options_raise() -> None:
    with pytest.raises(
        ValueError, match=r"`router` must be one of balanced, dense, top_k, but got 'topk'\. Did you mean 'top_k'\?"
    ):
        build_router("topk", 4, 4)
    with pytest.raises(ValueError, match=r"`options` must be options of the router 'dense', but got \{'k': 2\}"):
        build_router("dense", 4, 4, k=2)


def test_route_must_be_written() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?route'?"):
        Router(4, 2)  # type: ignore[abstract]


def test_a_subject_is_routed_by_the_mean_of_its_tokens() -> None:
    tokens = torch.randn(3, 6, 4)
    router = DenseRouter(4, 3, granularity="subject")
    weight = router.gate.weight.detach().numpy()
    expected = scipy.special.softmax(tokens.numpy().mean(1) @ weight.T, axis=1)
    routing = router(tokens)
    for token in range(6):
        np.testing.assert_allclose(routing.gates[:, token].detach(), expected, atol=1e-6)
    np.testing.assert_allclose(routing.load.detach(), 6 * expected.sum(0), rtol=1e-5)
    np.testing.assert_allclose(routing.importance.detach(), 6 * expected.sum(0), rtol=1e-5)


def test_statistics_of_a_routing() -> None:
    generator = np.random.default_rng(0)
    gates = generator.dirichlet([0.5, 1, 2], size=(4, 5))
    gates[0, 0], gates[0, 1] = [0, 1, 0], [1 / 3] * 3
    routing = Routing(torch.from_numpy(gates), torch.from_numpy(gates), torch.zeros(3))
    np.testing.assert_allclose(routing.importance, gates.sum((0, 1)))
    np.testing.assert_allclose(routing.usage, gates.mean(1))
    np.testing.assert_allclose(routing.entropy, scipy.stats.entropy(gates, axis=-1), atol=1e-12)
    assert routing.entropy[0, 0] == 0 and routing.entropy[0, 1] == pytest.approx(np.log(3))


def test_a_routing_cannot_be_changed() -> None:
    routing = DenseRouter(4, 3)(torch.randn(2, 2, 4))
    with pytest.raises(AttributeError, match="cannot assign to field 'gates'"):
        routing.gates = routing.probabilities  # type: ignore[misc]


def test_double_precision_stays_double() -> None:
    for name in ("top_k", "dense", "balanced"):
        routing = build_router(name, 4, 3).double()(torch.randn(2, 5, 4, dtype=torch.float64))
        assert {routing.gates.dtype, routing.probabilities.dtype, routing.load.dtype} == {torch.float64}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", ["top_k", "dense", "balanced"])
def test_all_is_on_the_gpu(name: str) -> None:
    router, tokens = build_router(name, 4, 3), torch.randn(2, 5, 4)
    expected = router.eval()(tokens).gates
    router.cuda().train()(tokens.cuda())
    routing = router.eval()(tokens.cuda())
    assert {x.device.type for x in (routing.gates, routing.probabilities, routing.load)} == {"cuda"}
    torch.testing.assert_close(routing.gates.cpu(), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cuda", torch.bfloat16):
        assert router.train()(tokens.cuda()).gates.dtype == torch.float32
