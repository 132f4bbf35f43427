"""The conformance suite for spaces: it accepts a space written with public names only, and catches wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from nas_fusion import FusionNetwork, SearchSpace, Stage, Stream, TrainingPlan, build_module
from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.space import Configuration
from nas_fusion.testing import InheritingSpaceTestCase, SearchSpaceTestCase, TrainableSpaceTestCase
from nas_fusion.testing.pytest_spaces import SpaceFactory

TABLES = Inputs((Modality("a", "vector", (3,)), Modality("b", "vector", (4,))), ("no", "yes"))


class TableSpace(SearchSpace):
    """Two points of two perceptrons."""

    def __init__(self, module: str = "concat_conv") -> None:
        self.module = module
        super().__init__({point: ("none", module) for point in ("early", "late")}, inherit="parent")

    def options(self) -> dict[str, Any]:
        return {"module": self.module}

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        self.check(configuration)
        streams = {m.name: self.stream(m, len(inputs.classes)) for m in inputs.modalities}
        active = self.active(configuration).items()
        return FusionNetwork(streams, {point: self.fusion(module) for point, module in active})

    def stream(self, modality: Modality, classes: int) -> Stream:
        stages = {"early": nn.Sequential(nn.Linear(modality.shape[0], 5), nn.Tanh()), "late": nn.Linear(5, 5)}
        return Stream(stages, nn.Linear(5, classes), [("early", 5, 1), ("late", 5, 1)])

    def fusion(self, module: str) -> Any:
        return build_module(module, [5, 5], spatial_dims=0)

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        chosen = Configuration(configuration)
        return [Stage("all", TrainingPlan(), partial(self.build, chosen, inputs), chosen)]


class TestTableSpace(InheritingSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return TableSpace

    @pytest.fixture
    def inputs(self) -> Inputs:
        return TABLES


class TestPlainChoices(SearchSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(SearchSpace, {"a": ["none", "x", "y"], "b": ["none", "x"], "c": ["none", "z"]})


class Disturbing(TableSpace):
    """Its modules are not the identity when they are fresh."""

    def fusion(self, module: str) -> Any:
        return build_module("mmtm", [5, 5], spatial_dims=0, init="default")


class Widening(TableSpace):
    """Its head depends on the configuration."""

    def stream(self, modality: Modality, classes: int) -> Stream:
        self.width = getattr(self, "width", 5) + 1
        stages = {"early": nn.Linear(modality.shape[0], 5), "late": nn.Linear(5, 5)}
        head = nn.Sequential(nn.Linear(5, self.width), nn.Linear(self.width, classes))
        return Stream(stages, head, [("early", 5, 1), ("late", 5, 1)])


class Forgetful(TableSpace):
    """Its options leave the module out."""

    def options(self) -> dict[str, Any]:
        return {}


class MixedUp(TableSpace):
    """Its model subtracts the batch's mean."""

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        model = super().build(configuration, inputs)
        model.register_forward_hook(lambda module, args, logits: logits - logits.mean(0))
        return model


def test_suite_catches_modules_that_disturb() -> None:
    with pytest.raises(AssertionError, match="differs from its parent"):
        InheritingSpaceTestCase().test_activation_leaves_the_logits_bit_equal(Disturbing, TABLES)


def test_suite_catches_tensors_that_change_shape() -> None:
    with pytest.raises(AssertionError, match="assert"):
        InheritingSpaceTestCase().test_shared_tensors_have_the_same_shape(Widening, TABLES)


def test_suite_catches_forgotten_options() -> None:
    with pytest.raises(AssertionError, match="assert"):
        SearchSpaceTestCase().test_options_are_json_and_give_the_space_again(partial(Forgetful, "mmtm"))


def test_suite_catches_mixing_of_subjects() -> None:
    with pytest.raises(AssertionError, match="not close"):
        TrainableSpaceTestCase().test_batch_of_two_is_two_singles(MixedUp, TABLES)


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    TrainableSpaceTestCase().test_same_seed_same_model(TableSpace, TABLES)
    assert torch.equal(torch.get_rng_state(), before)
