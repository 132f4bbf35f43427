"""The suite of supernets: it accepts one that is right, and catches those that are wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from nas_fusion import Stage
from nas_fusion.cohorts import Inputs
from nas_fusion.testing import SupernetSpaceTestCase
from nas_fusion.testing.pytest_spaces import SpaceFactory
from tests.nas_fusion_tests.evaluation_tests.products import GatedProducts, ProductSpace, product_cohort

INPUTS = product_cohort().inputs


class TestProducts(SupernetSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return ProductSpace

    @pytest.fixture
    def inputs(self) -> Inputs:
        return INPUTS


class Incomplete(ProductSpace):
    """Its supernet chooses for the first parameter only."""

    def supernet(self, inputs: Inputs) -> Stage:
        return replace(super().supernet(inputs), model=lambda: GatedProducts(inputs, ("p0",)))


class Renamed(ProductSpace):
    """Its supernet has other names than its models."""

    def supernet(self, inputs: Inputs) -> Stage:
        class Wrapped(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = GatedProducts(inputs, ("p0", "p1", "p2"))

        return replace(super().supernet(inputs), model=Wrapped)


class Deaf(GatedProducts):
    """Does not hear of its gates."""

    def openness(self, point: str) -> torch.Tensor:
        return torch.ones(())


class DeafSpace(ProductSpace):
    def supernet(self, inputs: Inputs) -> Stage:
        return replace(super().supernet(inputs), model=lambda: Deaf(inputs, tuple(self.parameters)))


class Careless(GatedProducts):
    """Draws from torch's global generator."""

    def draw(self, temperature: float, generator: torch.Generator | None = None) -> None:
        super().draw(temperature, torch.Generator().manual_seed(int(torch.randint(1000, ()))))


class CarelessSpace(ProductSpace):
    def supernet(self, inputs: Inputs) -> Stage:
        return replace(super().supernet(inputs), model=lambda: Careless(inputs, tuple(self.parameters)))


def test_parameters_that_are_left_out() -> None:
    with pytest.raises(AssertionError):
        SupernetSpaceTestCase().test_architecture_chooses_for_every_parameter(Incomplete, INPUTS)


def test_names_that_weights_cannot_be_inherited_by() -> None:
    with pytest.raises(AssertionError, match="of the baseline have other names in the supernet"):
        SupernetSpaceTestCase().test_supernet_of_the_baselines_weights_computes_what_the_baseline_does(Renamed, INPUTS)


def test_noise_of_the_global_generator() -> None:
    with pytest.raises(AssertionError):
        SupernetSpaceTestCase().test_noise_comes_from_the_generator_alone(CarelessSpace, INPUTS)


def test_gates_without_an_effect() -> None:
    with pytest.raises(AssertionError, match="a choice of p0 has no gradient"):
        SupernetSpaceTestCase().test_every_choice_has_a_gradient(DeafSpace, INPUTS)
    with pytest.raises(AssertionError):
        SupernetSpaceTestCase().test_noise_comes_from_the_generator_alone(DeafSpace, INPUTS)
