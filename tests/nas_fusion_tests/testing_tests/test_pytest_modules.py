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


class Normaliser(Deaf):
    """Divides each stream by its norm, which an absent modality has none of."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return [x / x.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1)) for x in features]


class Widener(Deaf):
    """Returns single precision whatever it was given."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return [x * scale.reshape([1] * x.ndim) for x, scale in zip(features, self.scale, strict=True)]


class Rounder(Deaf):
    """Is the identity in single precision only."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return [x if x.dtype == torch.float32 else x * 1.01 for x in features]


class Overflower(Deaf):
    """Is right in single precision only."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return [(x + 4096 - 4096).to(x.dtype) for x in features]


class VectorPenalty(Deaf):
    """Does not sum its penalty."""

    def penalty(self) -> torch.Tensor:
        return self.scale.abs()


class BrokenPenalty(Deaf):
    """Has a penalty that is not a number."""

    def penalty(self) -> torch.Tensor:
        return (-self.scale).sum().log()


class DetachedPenalty(Deaf):
    """Has a penalty that trains nothing."""

    def penalty(self) -> torch.Tensor:
        return self.scale.detach().sum()


class Dotted(Deaf):
    """Cannot be named in a state dict."""

    label = "a.b"


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


def test_suite_catches_a_control_that_crosses_streams() -> None:
    suite = FusionModuleTestCase()
    suite.crosses_streams = False
    with pytest.raises(AssertionError, match="stream 0 hears stream 1, although `crosses_streams` is False"):
        suite.test_every_stream_receives_from_every_other(partial(build_module, "mmtm"), 2, 1)


def test_suite_catches_an_exchange_that_never_opens() -> None:
    suite = FusionModuleTestCase()
    suite.equal_channels = True
    with pytest.raises(AssertionError, match="stream 0 ignores stream 1"):
        suite.test_every_stream_receives_from_every_other(partial(build_module, "channel_exchange", threshold=1e-6), 2, 1)


def test_suite_catches_what_an_absent_modality_breaks() -> None:
    with pytest.raises(AssertionError, match="a stream of zeros gives numbers that are not finite"):
        FusionModuleTestCase().test_missing_modalities_give_finite_numbers(Normaliser, 2, 1)


@pytest.mark.parametrize("wrong", [Widener, Overflower])
def test_suite_catches_what_autocast_breaks(wrong: ModuleFactory) -> None:
    with pytest.raises(AssertionError, match="assert"):
        FusionModuleTestCase().test_autocast(wrong, 1, torch.bfloat16)


def test_suite_catches_a_module_that_is_the_identity_in_single_precision_only() -> None:
    with pytest.raises(AssertionError, match="assert"):
        FreshIdentityTestCase().test_fresh_module_is_the_identity_under_autocast(Rounder, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (VectorPenalty, "a penalty must be a finite scalar"),
        (BrokenPenalty, "a penalty must be a finite scalar"),
        (DetachedPenalty, "a penalty must have a gradient"),
    ],
)
def test_suite_catches_wrong_penalties(wrong: ModuleFactory, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        FusionModuleTestCase().test_penalty_is_a_finite_scalar_with_a_gradient(wrong, 1)


def test_suite_catches_a_label_that_cannot_be_a_name() -> None:
    with pytest.raises(AssertionError, match=r"'a\.b' cannot be a part of a tensor's name"):
        FusionModuleTestCase().test_label_can_be_a_part_of_a_name(Dotted)


def test_fixture_must_be_overridden() -> None:
    function = FusionModuleTestCase.module
    with pytest.raises(NotImplementedError):
        getattr(function, "__wrapped__", function)(FusionModuleTestCase())
