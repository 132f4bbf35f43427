"""Gates: the concrete distribution on a point's choices, and the network that has them at all points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from scipy.stats import kstest
from torch import nn

from nas_fusion.fusion import FusionModule, FusionNetwork, GatedFusion, GatedNetwork, Stream, build_module
from nas_fusion.testing import FreshIdentityTestCase, FusionModuleTestCase


class Shift(FusionModule):
    """Adds a number to all features: what a gate lets through can be read off."""

    def __init__(self, channels: Sequence[int], amount: float) -> None:
        super().__init__(channels, spatial_dims=0)
        self.amount = amount

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return [feature + self.amount for feature in features]


def gated(names: Sequence[str], channels: Sequence[int], *, spatial_dims: int = 3) -> GatedFusion:
    return GatedFusion({name: build_module(name, channels, spatial_dims=spatial_dims) for name in names})


class TestConformance(FusionModuleTestCase, FreshIdentityTestCase):
    @pytest.fixture
    def module(self) -> Callable[..., FusionModule]:
        return partial(gated, ("mmtm", "concat_conv"))


def shifts() -> GatedFusion:
    return GatedFusion({"ten": Shift([2, 3], 10.0), "hundred": Shift([2, 3], 100.0)})


def opened(module: GatedFusion) -> float:
    """Return by how much zeros are shifted."""
    first, second = module([torch.zeros(4, 2), torch.zeros(4, 3)])
    assert first.unique().numel() == second.unique().numel() == 1
    return float(first.detach().flatten()[0])


def test_evaluation_weighs_candidates_by_their_probability() -> None:
    module = shifts()
    with torch.no_grad():
        module.gate.logits.copy_(torch.tensor([0.5, 0.2, 0.3]).log())
    module.gate.draw(0.1, torch.Generator().manual_seed(0))
    assert opened(module.eval()) == pytest.approx(0.2 * 10 + 0.3 * 100)
    assert module.gate().tolist() == pytest.approx([0.5, 0.2, 0.3])


def test_without_noise_the_temperature_sharpens() -> None:
    module = shifts()
    with torch.no_grad():
        module.gate.logits.copy_(torch.tensor([0.0, 1.0, 2.0]))
    for temperature in (2.0, 0.5):
        module.gate.draw(temperature)
        weights = np.exp(np.array([0.0, 1.0, 2.0]) / temperature)
        assert opened(module) == pytest.approx(float(weights @ [0, 10, 100] / weights.sum()), rel=1e-5)


def test_noise_is_drawn_from_the_generator_alone_and_held() -> None:
    module = shifts()
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    module.gate.draw(1.0, torch.Generator().manual_seed(7))
    first = module.gate()
    assert torch.equal(module.gate(), first)
    module.gate.draw(1.0, torch.Generator().manual_seed(8))
    assert not torch.equal(module.gate(), first)
    module.gate.draw(1.0, torch.Generator().manual_seed(7))
    assert torch.equal(module.gate(), first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_cold_gates_are_samples_of_the_choices() -> None:
    module, generator = shifts(), torch.Generator().manual_seed(0)
    wanted = torch.tensor([0.5, 0.2, 0.3])
    with torch.no_grad():
        module.gate.logits.copy_(wanted.log())
    drawn = []
    for _ in range(2000):
        module.gate.draw(1e-4, generator)
        drawn.append(module.gate().detach())
    found = torch.stack(drawn)
    assert bool(((found < 1e-3) | (found > 1 - 1e-3)).all(1).float().mean() > 0.99)  # one choice each
    standard_error = (wanted * (1 - wanted) / len(drawn)).sqrt()
    assert bool(((found.mean(0) - wanted).abs() < 4 * standard_error).all())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_gates_of_two_choices_are_binary_concrete(temperature: float) -> None:
    """Maddison et al., appendix B: the gate is the logistic function of (log odds + logistic noise) / temperature."""
    module, generator = GatedFusion({"ten": Shift([2, 3], 10.0)}), torch.Generator().manual_seed(0)
    with torch.no_grad():
        module.gate.logits.copy_(torch.tensor([0.0, 0.7]))
    drawn = []
    for _ in range(2000):
        module.gate.draw(temperature, generator)
        drawn.append(float(module.gate()[1].detach()))
    uniform = expit(temperature * logit(np.array(drawn)) - 0.7)
    assert kstest(uniform, "uniform").pvalue > 0.01


def test_logits_learn_what_helps() -> None:
    module = shifts()
    (first, _) = module([torch.zeros(4, 2), torch.zeros(4, 3)])
    (first.mean() - 100).square().backward()
    assert module.gate.logits.grad is not None
    off, ten, hundred = module.gate.logits.grad.tolist()
    assert hundred < 0 < ten < off


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_temperature_is_above_zero(temperature: float) -> None:
    with pytest.raises(ValueError, match="`temperature` must be a finite number above 0, but got"):
        shifts().gate.draw(temperature)


def test_candidates_are_for_the_same_streams() -> None:
    with pytest.raises(ValueError, match="`candidates` must be modules for the same streams, at least one, but got"):
        GatedFusion({})
    with pytest.raises(ValueError, match=r"`candidates` must be modules for the same streams.*\(2, 3\).*\(2, 4\)"):
        GatedFusion({"a": Shift([2, 3], 1.0), "b": Shift([2, 4], 1.0)})


def network(gates: bool) -> FusionNetwork:
    torch.manual_seed(0)
    taps = [("early", 4, 1), ("late", 4, 1)]
    streams = {
        name: Stream({"early": nn.Linear(3, 4), "late": nn.Sequential(nn.Linear(4, 4), nn.ReLU())}, nn.Linear(4, 2), taps)
        for name in ("a", "b")
    }
    if not gates:
        return FusionNetwork(streams)
    return GatedNetwork(streams, {point: gated(("mmtm",), (4, 4), spatial_dims=0) for point in ("early", "late")})


def test_supernet_begins_as_the_baseline_and_shares_its_names() -> None:
    baseline, supernet = network(gates=False), network(gates=True)
    assert isinstance(supernet, GatedNetwork)
    supernet.load_state_dict(baseline.state_dict(), strict=False)
    supernet.draw(0.5, torch.Generator().manual_seed(0))
    inputs = {"a": torch.randn(5, 3), "b": torch.randn(5, 3)}
    assert torch.equal(baseline(inputs), supernet(inputs))
    assert set(baseline.state_dict()) < set(supernet.state_dict())


def test_architecture_is_the_logits_of_each_point() -> None:
    supernet = network(gates=True)
    assert isinstance(supernet, GatedNetwork)
    assert {point: tuple(logits.shape) for point, logits in supernet.architecture.items()} == {"early": (2,), "late": (2,)}
    own = {id(parameter) for parameter in supernet.parameters()}
    assert {id(logits) for logits in supernet.architecture.values()} < own


def test_points_draw_noise_of_their_own() -> None:
    supernet = network(gates=True)
    assert isinstance(supernet, GatedNetwork)
    supernet.draw(1.0, torch.Generator().manual_seed(0))
    first, second = (module for module in supernet.fusion.values() if isinstance(module, GatedFusion))
    assert not torch.equal(first.gate(), second.gate())


def test_penalties_count_as_much_as_their_gates_are_open_and_do_not_move_them() -> None:
    options = {"a": 0.1, "b": 0.3}
    candidates = {n: build_module("channel_exchange", [4, 4], spatial_dims=0, sparsity=weight) for n, weight in options.items()}
    module, logits = GatedFusion(candidates).eval(), torch.tensor([0.5, 1.0, -1.0])
    with torch.no_grad():
        module.gate.logits.copy_(logits)
    penalty, weights = module.penalty(), logits.softmax(0)
    assert penalty is not None
    torch.testing.assert_close(penalty, weights[1] * 0.1 * 4 + weights[2] * 0.3 * 4)  # four scales of 1 may fall
    torch.autograd.backward([penalty])
    assert module.gate.logits.grad is None and candidates["a"].get_parameter("scales").grad is not None
