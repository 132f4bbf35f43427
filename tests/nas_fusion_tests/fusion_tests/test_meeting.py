"""A meeting of some streams: who meets is changed, everybody else is passed on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.fusion import FusionModule, Meeting, build_module
from nas_fusion.testing import FreshIdentityTestCase, FusionModuleTestCase

CHANNELS = [4, 6, 3, 5]


def meeting(
    members: Sequence[int], name: str = "mmtm", *, spatial_dims: int = 1, channels: Sequence[int] = CHANNELS
) -> Meeting:
    inner = build_module(name, [channels[i] for i in members], spatial_dims=spatial_dims)
    return Meeting(inner, channels, members)


def perturbed(module: FusionModule) -> FusionModule:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def features(channels: Sequence[int] = CHANNELS) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, width, 7 - i, generator=generator) for i, width in enumerate(channels)]


class TestAllMeet(FusionModuleTestCase, FreshIdentityTestCase):
    """Where all streams are members it is a fusion module like any other."""

    @pytest.fixture
    def module(self) -> Callable[..., FusionModule]:
        def build(channels: Sequence[int], *, spatial_dims: int = 3) -> FusionModule:
            return Meeting(build_module("mmtm", channels, spatial_dims=spatial_dims), channels, range(len(channels)))

        return build


@settings(deadline=None, max_examples=40)
@given(st.sets(st.integers(0, 3), min_size=2).map(sorted), st.sampled_from(["mmtm", "concat_conv"]))
def test_members_get_what_the_module_says_and_others_their_own(members: list[int], name: str) -> None:
    module, given_features = meeting(members, name), features()
    perturbed(module)
    fused = module(given_features)
    expected = module.module([given_features[i] for i in members])
    for i, feature in enumerate(fused):
        if i in members:
            assert torch.equal(feature, expected[members.index(i)]) and not torch.equal(feature, given_features[i])
        else:
            assert feature is given_features[i]


@settings(deadline=None, max_examples=20)
@given(st.sets(st.integers(0, 3), min_size=2).map(sorted))
def test_a_stream_that_is_no_member_neither_hears_nor_is_heard(members: list[int]) -> None:
    module = perturbed(meeting(members, "concat_conv"))
    inputs = [x.requires_grad_() for x in features()]
    for target, fused in enumerate(module(inputs)):
        gradients = torch.autograd.grad(fused.square().sum(), inputs, retain_graph=True, allow_unused=True)
        heard = [i for i, gradient in enumerate(gradients) if gradient is not None and bool(gradient.abs().sum() > 0)]
        assert heard == (members if target in members else [target])


def test_label_says_who_meets() -> None:
    assert meeting((0, 2)).label == "MMTM(0,2)"
    assert meeting((1, 2, 3), "concat_conv").label == "ConcatConv(1,2,3)"


def test_penalty_is_the_modules() -> None:
    class Costly(FusionModule):
        def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
            return features

        def penalty(self) -> torch.Tensor:
            return torch.tensor(0.5)

    assert meeting((0, 2)).penalty() is None
    penalty = Meeting(Costly([4, 3]), CHANNELS, (0, 2)).penalty()
    assert penalty is not None and float(penalty) == 0.5


@pytest.mark.parametrize("members", [(), (1,), (0, 0), (2, 0), (0, 4), (-1, 0)])
def test_members_are_at_least_two_of_the_streams_ascending(members: tuple[int, ...]) -> None:
    module = build_module("mmtm", [4, 6], spatial_dims=1)
    message = rf"`members` must be at least two of the streams 0 to 3, ascending, but got \[{', '.join(map(str, members))}\]"
    with pytest.raises(ValueError, match=message):
        Meeting(module, CHANNELS, members)


def test_the_module_is_built_for_the_members() -> None:
    module = build_module("mmtm", [4, 6], spatial_dims=1)
    with pytest.raises(ValueError, match=r"`module` must be built for the members' channels, \(4, 3\), but got \(4, 6\)"):
        Meeting(module, CHANNELS, (0, 2))


def test_all_streams_of_the_point_are_checked() -> None:
    with pytest.raises(ValueError, match="`features` must hold 4 streams, but got 3"):
        meeting((0, 2))(features()[:3])
    with pytest.raises(ValueError, match=r"`features\[1\]` must have shape \(batch, 6, spatial_1\)"):
        meeting((0, 2))(features([4, 5, 3, 5]))
