"""Conformance suite for the supernets of search spaces."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import nn

from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.evaluation.supernet import Supernet
from nas_fusion.space import SearchSpace
from nas_fusion.testing.pytest_spaces import SpaceFactory, example, seeded, trained


class SupernetSpaceTestCase:
    """What the supernet of a search space must fulfil. Combine with `InheritingSpaceTestCase`."""

    @pytest.fixture
    def space(self) -> SpaceFactory:
        """Return a factory, without arguments, of the search space under test: override this fixture."""
        raise NotImplementedError

    @pytest.fixture
    def inputs(self) -> Inputs:
        """Return the modalities and classes that the models are built for."""
        return Inputs((Modality("T1w", "image", (1, 12, 12, 12)), Modality("FLAIR", "image", (1, 12, 12, 12))), ("no", "yes"))

    def test_architecture_chooses_for_every_parameter(self, space: SpaceFactory, inputs: Inputs) -> None:
        s = space()
        stage = s.supernet(inputs)
        model = seeded(stage.model)
        assert isinstance(model, Supernet)
        assert stage.depends_on == s.baseline
        assert {name: tuple(logits.shape) for name, logits in model.architecture.items()} == {
            name: (len(choices),) for name, choices in s.parameters.items()
        }
        own = {id(parameter) for parameter in model.parameters()}
        assert all(id(logits) in own for logits in model.architecture.values())

    def test_supernet_of_the_baselines_weights_computes_what_the_baseline_does(
        self, space: SpaceFactory, inputs: Inputs
    ) -> None:
        s, data = space(), example(inputs, batch=3)
        baseline = trained(s, s.baseline, inputs)
        model = seeded(s.supernet(inputs).model)
        wrong = model.load_state_dict(baseline.state_dict(), strict=False).unexpected_keys
        assert wrong == [], f"{wrong} of the baseline have other names in the supernet"
        assert torch.equal(model.eval()(data), baseline(data))

    def test_noise_comes_from_the_generator_alone(self, space: SpaceFactory, inputs: Inputs) -> None:
        model, data = _perturbed(space(), inputs), example(inputs, batch=4)
        torch.manual_seed(0)
        before = torch.random.get_rng_state()
        logits = []
        for seed in (0, 1, 0):
            cast(Supernet, model).draw(1.0, torch.Generator().manual_seed(seed))
            assert torch.equal(torch.random.get_rng_state(), before)
            with torch.random.fork_rng(devices=[]):
                logits.append(model(data).detach())
        assert torch.equal(logits[0], logits[2]) and not torch.equal(logits[0], logits[1])

    def test_every_choice_has_a_gradient(self, space: SpaceFactory, inputs: Inputs) -> None:
        model, data = _perturbed(space(), inputs), example(inputs, batch=4)
        cast(Supernet, model).draw(1.0, torch.Generator().manual_seed(0))
        torch.autograd.backward(nn.functional.cross_entropy(model(data), torch.tensor([0, 1, 0, 1])))
        for name, logits in cast(Supernet, model).architecture.items():
            assert logits.grad is not None and bool((logits.grad != 0).all()), f"a choice of {name} has no gradient"


def _perturbed(space: SearchSpace, inputs: Inputs) -> nn.Module:
    """Return a supernet in training mode whose candidates are no longer what they are at birth."""
    model = seeded(space.supernet(inputs).model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.train()
