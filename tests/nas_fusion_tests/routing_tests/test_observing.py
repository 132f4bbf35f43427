from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_fusion.routing import DenseRouter, MixtureOfExperts, TopKRouter, replaced_gates, routings


class Model(nn.Module):
    """Two mixtures, one after the other, that give away nothing of their routing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([MixtureOfExperts([nn.Linear(5, 5), nn.Linear(5, 5)], DenseRouter(5, 2)) for _ in range(2)])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            tokens, _ = layer(tokens)
        return tokens.mean(1)


def test_routings_of_the_last_pass() -> None:
    model, tokens = Model(), torch.randn(3, 4, 5)
    with routings(model) as found:
        assert found == {}
        model(torch.randn(2, 4, 5))
        expected = model(tokens)
    assert list(found) == ["layers.0", "layers.1"]
    first, routing = model.layers[0](tokens)
    assert torch.equal(found["layers.0"].gates, routing.gates)
    assert torch.equal(found["layers.1"].gates, model.layers[1](first)[1].gates)
    assert torch.equal(expected, model(tokens))


def test_routings_are_part_of_the_graph() -> None:
    model = Model()
    with routings(model) as found:
        model(torch.randn(3, 4, 5))
    found["layers.1"].gates.square().sum().backward()
    assert all(p.grad is not None for p in model.layers[0].parameters())


def test_nothing_is_observed_afterwards() -> None:
    model = Model()
    with routings(model) as found, routings(model.layers[0]) as inner:
        model(torch.randn(3, 4, 5))
    assert list(inner) == [""]
    gates = found["layers.0"].gates
    model(torch.randn(3, 4, 5))
    assert found["layers.0"].gates is gates
    with pytest.raises(RuntimeError, match="stop"), routings(model) as failed:
        raise RuntimeError("stop")
    model(torch.randn(3, 4, 5))
    assert failed == {}


def test_replaced_gates_give_the_expected_output() -> None:
    model, tokens = Model(), torch.randn(3, 4, 5)
    own = model(tokens)
    gates = torch.tensor([0.25, 0.75]).expand(1, 1, 2)
    with replaced_gates(model, {"layers.0": gates}), routings(model) as found:
        output = model(tokens)
    a, b = (expert(tokens) for expert in model.layers[0].get_submodule("experts").children())
    expected, routing = model.layers[1](0.25 * a + 0.75 * b)
    torch.testing.assert_close(output, expected.mean(1))
    torch.testing.assert_close(found["layers.1"].gates, routing.gates)
    assert torch.equal(found["layers.0"].gates, gates.expand(3, 4, 2))
    assert torch.equal(model(tokens), own) and not torch.allclose(output, own)


def test_a_models_own_gates_change_nothing_and_anothers_do() -> None:
    model, tokens = Model().eval(), torch.randn(3, 4, 5)
    with routings(model) as found:
        own = model(tokens)
    gates = {name: routing.gates for name, routing in found.items()}
    with replaced_gates(model, gates):
        torch.testing.assert_close(model(tokens), own)
    with replaced_gates(model, {name: given.roll(1, 0) for name, given in gates.items()}):
        assert not torch.allclose(model(tokens), own)


def test_gates_come_back_after_a_failure() -> None:
    model, tokens = Model(), torch.randn(3, 4, 5)
    own = model(tokens)
    wrong = {"layers.1": torch.ones(3, 5, 2)}
    with pytest.raises(ValueError, match=r"`gates` must have shape \(3, 4, 2\)"), replaced_gates(model, wrong):
        model(tokens)
    assert torch.equal(model(tokens), own)


def test_wrong_models_and_names_raise() -> None:
    with pytest.raises(ValueError, match="`model` must have a MixtureOfExperts inside, but got Linear without one"):
        routings(nn.Linear(2, 2)).__enter__()
    with pytest.raises(
        ValueError, match=r"`gates` must be for mixtures of the model, layers.0, layers.1, but got \['layers.2'\]"
    ):
        replaced_gates(Model(), {"layers.2": torch.ones(1, 1, 2)}).__enter__()
    with pytest.raises(ValueError, match=r"`gates` must be for mixtures of the model, \(none\), but got \[''\]"):
        replaced_gates(TopKRouter(5, 3), {"": torch.ones(1, 1, 3)}).__enter__()
