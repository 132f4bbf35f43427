"""What every shipped backbone does, whatever its family."""

from __future__ import annotations

import pytest
import torch

from nas_fusion import plugins
from nas_fusion.cohorts import Modality
from nas_fusion.fusion import Backbone, build_backbone
from nas_fusion.testing import BackboneTestCase

SMALL: dict[str, dict[str, object]] = {
    "resnet10": {"width": 1 / 16, "stem_kernel": 3},
    "resnet50": {"width": 1 / 32, "stem_kernel": 3},
    "densenet121": {"width": 1 / 32, "max_pool": False},
    "efficientnet_b0": {"width": 1 / 8},
    "vit": {"width": 1 / 32, "patch": 8, "depth": 6},
    "swin": {"width": 1 / 16, "window": 3},
    "perceptron": {"hidden": 5, "layers": 3},
    "graph": {"hidden": 5, "layers": 3},
}
MODALITIES = {
    "volume": Modality("T1w", "image", (1, 24, 24, 24)),
    "flat": Modality("T1w", "image", (2, 24, 31, 24)),
    "plane": Modality("slice", "image", (3, 25, 24)),
    "signal": Modality("ECG", "image", (2, 32)),
    "matrix": Modality("SC", "matrix", (24, 24)),
    "covariance": Modality("FC", "covariance", (24, 24)),
    "vector": Modality("clinical", "vector", (7,)),
}
CASES = [
    *(("resnet10", kind) for kind in ("volume", "plane", "signal", "matrix", "covariance")),
    ("resnet50", "volume"),
    ("densenet121", "volume"),
    *(("efficientnet_b0", kind) for kind in ("volume", "flat")),
    *(("vit", kind) for kind in ("volume", "signal")),
    *(("swin", kind) for kind in ("flat", "matrix")),
    ("perceptron", "vector"),
    *(("graph", kind) for kind in ("matrix", "covariance")),
]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class TestShippedBackbones(BackboneTestCase):
    @pytest.fixture(params=CASES, ids="-".join)
    def case(self, request: pytest.FixtureRequest) -> tuple[str, str]:
        return request.param  # type: ignore[no-any-return]

    @pytest.fixture
    def backbone(self, case: tuple[str, str]) -> Backbone:
        return build_backbone(case[0], **SMALL[case[0]])

    @pytest.fixture
    def modality(self, case: tuple[str, str]) -> Modality:
        return MODALITIES[case[1]]


@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if MODALITIES[case[1]].kind == "image"])
def test_taps_are_as_coarse_as_they_say(name: str, kind: str) -> None:
    backbone, modality = build_backbone(name, **SMALL[name]), MODALITIES[kind]
    stream, x = backbone.build(modality, 2, backbone.stages).eval(), torch.zeros(1, *modality.shape)
    for tap in stream.taps.values():
        size = stream.advance(x, None, tap.name).shape[2:]
        found = max(a / b for a, b in zip(x.shape[2:], size, strict=True))
        assert found == pytest.approx(tap.reduction, rel=0.34)  # nominal where a residual network rounds


def test_every_shipped_backbone_is_tested_here() -> None:
    shipped = {plugin.name for plugin in plugins.available("backbones") if plugin.distribution == "nas-fusion"}
    assert shipped - {*SMALL} == {"resnet18", "resnet34"}
    assert all(plugin.error is None for plugin in plugins.available("backbones") if plugin.name in shipped)


def test_finer_stems() -> None:
    backbone = build_backbone("efficientnet_b0", width=1 / 8, stem_stride=1)
    assert [tap.reduction for tap in backbone.find_taps(Modality("T1w", "image", (1, 32)), points=backbone.stages)] == [
        2,
        4,
        8,
        16,
    ]
    backbone = build_backbone("densenet121", width=1 / 32, stem_stride=1, max_pool=False)
    assert [tap.reduction for tap in backbone.find_taps(Modality("T1w", "image", (1, 8)), points=backbone.stages)] == [
        1,
        2,
        4,
        8,
    ]


def test_images_have_four_default_stages() -> None:
    assert {len(build_backbone(name).stages) for name in SMALL if "image" in build_backbone(name).kinds} == {4}


@pytest.mark.parametrize(
    ("name", "n_points"),
    [
        ("resnet10", 4),
        ("resnet18", 8),
        ("resnet34", 16),
        ("densenet121", 58),
        ("efficientnet_b0", 16),
        ("vit", 12),
        ("swin", 12),
    ],
)
def test_single_blocks_are_points(name: str, n_points: int) -> None:
    assert len(build_backbone(name).points) == len(set(build_backbone(name).points)) == n_points


@pytest.mark.parametrize(
    ("name", "modality", "message"),
    [
        (
            "resnet10",
            MODALITIES["vector"],
            "`modality` must be of kind image or matrix or covariance for ResNet10, but 'clinical' is",
        ),
        ("perceptron", MODALITIES["volume"], "`modality` must be of kind vector for Perceptron, but 'T1w' is of kind 'image'"),
        (
            "graph",
            MODALITIES["volume"],
            "`modality` must be of kind matrix or covariance for Graph, but 'T1w' is of kind 'image'",
        ),
        ("swin", MODALITIES["signal"], r"`modality` must have 2 or 3 spatial axes for Swin, but 'ECG' has shape \(2, 32\)"),
        (
            "densenet121",
            MODALITIES["volume"],
            "`modality` must have at least 29 voxels along each axis for DenseNet-121 with stem_stride=2 and max_pool=True",
        ),
        ("vit", Modality("T1w", "image", (1, 15, 24)), r"`patch` must be at most the edge .* \(1, 15, 24\) and got 16"),
    ],
)
def test_modalities_that_do_not_fit_raise(name: str, modality: Modality, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_backbone(name).build(modality, 2, build_backbone(name).stages)


def test_unknown_points_raise() -> None:
    with pytest.raises(
        ValueError, match=r"`points` must be places in the backbone, .* but got 'layer5'. Did you mean 'layer4'"
    ):
        build_backbone("resnet10").build(MODALITIES["volume"], 2, ("layer5",))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet18", {"width": 0}, r"`width` must be in \[1/64, 16\], but got 0"),
        ("resnet18", {"shortcut": "C"}, "`shortcut` must be A or B, but got 'C'"),
        ("resnet18", {"depth": 3}, "`options` must be options of the backbone 'resnet18', but got"),
        ("densenet121", {"width": 5}, r"`width` must be in \[1/32, 4\], but got 5"),
        ("densenet121", {"stem_stride": 0}, "`stem_stride` must be at least 1, but got 0"),
        ("densenet121", {"dropout": 1}, r"`dropout` must be in \[0, 1\), but got 1"),
        ("efficientnet_b0", {"width": 0}, r"`width` must be in \[1/16, 4\], but got 0"),
        ("efficientnet_b0", {"stem_stride": 0}, "`stem_stride` must be at least 1, but got 0"),
        ("efficientnet_b0", {"drop_path": -0.1}, r"`drop_path` must be in \[0, 1\), but got -0.1"),
        ("vit", {"width": 0}, r"`width` must be in \[1/64, 4\], but got 0"),
        ("vit", {"depth": 3}, "`depth` must be at least 4, but got 3"),
        ("vit", {"patch": 0}, "`patch` must be at least 1, but got 0"),
        ("swin", {"window": 1}, "`window` must be at least 2, but got 1"),
        ("swin", {"width": 9}, r"`width` must be in \[1/32, 4\], but got 9"),
        ("swin", {"drop_path": 1}, r"`drop_path` must be in \[0, 1\), but got 1"),
        ("perceptron", {"hidden": 0}, "`hidden` must be at least 1, but got 0"),
        ("graph", {"layers": 0}, "`layers` must be at least 1, but got 0"),
        ("graph", {"density": 0}, r"`density` must be in \(0, 1\], but got 0"),
    ],
)
def test_wrong_options_raise(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_backbone(name, **options)
