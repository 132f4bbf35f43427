"""The conformance suite itself: it accepts every registered module, and each of its tests catches a module that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from nas_fusion import plugins
from nas_fusion.fusion import ChannelExchange, FusionModule, SEGate, build_module
from nas_fusion.testing import FreshIdentityTestCase, FusionModuleTestCase

BY_THEMSELVES = ("mmtm_as_published", "se_gate", "channel_exchange")  # each has a class of its own below
ModuleFactory = Callable[..., FusionModule]


@pytest.mark.parametrize("name", [name for name in plugins.names("modules") if name not in BY_THEMSELVES])
class TestRegisteredModules(FusionModuleTestCase, FreshIdentityTestCase):
    @pytest.fixture
    def module(self, name: str) -> ModuleFactory:
        return partial(build_module, name)


@pytest.mark.parametrize("init", ["identity", "default"])
class TestSoftmaxGate(FusionModuleTestCase):
    equal_channels = True

    @pytest.fixture
    def module(self, init: str) -> ModuleFactory:
        return partial(build_module, "mmtm", gate="softmax", init=init)


class TestSoftmaxGateAtBirth(FreshIdentityTestCase):
    equal_channels = True

    @pytest.fixture
    def module(self) -> ModuleFactory:
        return partial(build_module, "mmtm", gate="softmax")


class TestAsPublished(FusionModuleTestCase):
    equal_channels = True

    @pytest.fixture
    def module(self) -> ModuleFactory:
        return partial(build_module, "mmtm_as_published")


class TestSEGate(FusionModuleTestCase, FreshIdentityTestCase):
    crosses_streams = False

    @pytest.fixture
    def module(self) -> ModuleFactory:
        return SEGate


class TestChannelExchange(FusionModuleTestCase, FreshIdentityTestCase):
    equal_channels = True

    @pytest.fixture
    def module(self) -> ModuleFactory:
        return ChannelExchange

    def perturb(self, fusion: FusionModule) -> None:
        """Close the first channel of each stream's own part."""
        scales = fusion.get_parameter("scales")
        for i in range(len(scales)):
            scales[i, -(-i * scales.shape[1] // len(scales))] = 0


class Deaf(FusionModule):
    """Scales each stream by itself: no stream hears another."""

    def __init__(self, channels: list[int], *, spatial_dims: int = 3) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        self.scale = nn.Parameter(torch.ones(len(channels)))

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        self.check(features)
        return [scale * feature for scale, feature in zip(self.scale, features, strict=True)]


class HalfDeaf(Deaf):
    """Passes something from the first stream on, and nothing back."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        first = features[0].flatten(1).mean(1)
        return [features[0], *(x * (1 + first).reshape(-1, *[1] * (x.ndim - 1)) for x in features[1:])]


class BatchMixer(Deaf):
    """Subtracts the batch's mean: what a subject gets depends on the others."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return [x - x.mean(0, keepdim=True) for x in features]


class Overwriter(Deaf):
    """Changes its inputs in place."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return [x.mul_(0.5) for x in features]


@pytest.mark.parametrize("wrong", [Deaf, HalfDeaf])
def test_suite_catches_streams_that_do_not_hear(wrong: ModuleFactory) -> None:
    with pytest.raises(AssertionError, match="stream 0 ignores stream 1"):
        FusionModuleTestCase().test_every_stream_receives_from_every_other(wrong, 2, 1)


def test_suite_catches_mixing_of_subjects() -> None:
    with pytest.raises(AssertionError, match="not close"):
        FusionModuleTestCase().test_batch_of_two_is_two_singles(BatchMixer, 2, 1)


def test_suite_catches_changed_inputs() -> None:
    with pytest.raises(AssertionError, match="assert"):
        FusionModuleTestCase().test_inputs_are_not_changed(Overwriter, 1)


def test_suite_catches_a_module_that_is_not_the_identity() -> None:
    with pytest.raises(AssertionError, match="assert"):
        FreshIdentityTestCase().test_fresh_module_is_the_identity(partial(build_module, "mmtm", init="default"), 2, 1)


def test_fixture_must_be_overridden() -> None:
    function = FusionModuleTestCase.module
    with pytest.raises(NotImplementedError):
        getattr(function, "__wrapped__", function)(FusionModuleTestCase())
