from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from nas_fusion import load_space, plugins
from nas_fusion.fusion import MMTM, FusionModule, build_module, register_module
from nas_fusion.fusion import concat_conv as concat_conv_file


class Swap(FusionModule):
    """Two streams change places."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        self.check(features)
        return features[::-1]


@pytest.fixture
def registered() -> Iterator[str]:
    register_module("swap")(Swap)
    yield "swap"
    plugins._registered["modules"].pop("swap")


def test_shipped_modules_are_found_by_name() -> None:
    shipped = {plugin.name: plugin.error for plugin in plugins.available("modules") if plugin.distribution == "nas-fusion"}
    assert shipped == dict.fromkeys(
        [
            "attention_bottleneck",
            "channel_exchange",
            "channel_spatial",
            "concat_conv",
            "cross_attention",
            "film",
            "low_rank_bilinear",
            "mmtm",
            "mmtm_as_published",
            "se_gate",
        ]
    )
    module = build_module("mmtm", [4, 6], spatial_dims=2, ratio=5)
    assert isinstance(module, MMTM)
    assert (module.channels, module.spatial_dims, module.squeeze.out_features) == ((4, 6), 2, 2)
    assert isinstance(build_module("concat_conv", [4, 6]), concat_conv_file.ConcatConv)


def test_a_registered_module_is_a_choice_of_the_space(registered: str) -> None:
    a, b = torch.randn(2, 3), torch.randn(2, 3)
    assert [x is y for x, y in zip(build_module(registered, [3, 3], spatial_dims=0)([a, b]), (b, a), strict=True)] == [
        True,
        True,
    ]
    space = load_space("fusion-points", modules=[registered, "mmtm"])
    assert space.parameters["layer2"] == ("none", "swap", "mmtm")


def test_a_name_is_given_once(registered: str) -> None:
    assert register_module(registered)(Swap) is Swap
    with pytest.raises(ValueError, match="`name` must be free among modules, but 'swap' is"):
        register_module(registered)(MMTM)


def test_unknown_names_and_options_raise() -> None:
    with pytest.raises(ValueError, match=r"`module` must be one of .*mmtm.*, but got 'mtmm'\. Did you mean 'mmtm'\?"):
        build_module("mtmm", [4, 4])
    with pytest.raises(ValueError, match=r"`options` must be options of the module 'concat_conv', but got \{'ratio': 4\}"):
        build_module("concat_conv", [4, 4], ratio=4)


def test_forward_must_be_written() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?forward'?"):
        FusionModule([4, 4])  # type: ignore[abstract]
