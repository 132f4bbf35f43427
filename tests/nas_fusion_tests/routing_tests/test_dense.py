from __future__ import annotations

import numpy as np
import scipy.special
import torch

from nas_fusion.routing import DenseRouter


def test_gates_are_a_softmax_of_a_linear_map() -> None:
    router, tokens = DenseRouter(6, 4), torch.randn(3, 5, 6)
    routing = router(tokens)
    expected = scipy.special.softmax(tokens.numpy() @ router.gate.weight.detach().numpy().T, axis=-1)
    np.testing.assert_allclose(routing.gates.detach(), expected, atol=1e-6)
    np.testing.assert_allclose(routing.probabilities.detach(), expected, atol=1e-6)


def test_load_is_importance() -> None:
    routing = DenseRouter(6, 4)(torch.randn(3, 5, 6))
    torch.testing.assert_close(routing.load, routing.importance)
    assert routing.load.requires_grad


def test_experts_that_begin_as_copies_are_told_apart_by_their_gates() -> None:
    gates = DenseRouter(6, 3)(torch.randn(4, 5, 6)).gates.mean((0, 1))
    assert len(set(gates.tolist())) == 3
