from __future__ import annotations

import pytest
import torch
from monai.networks.nets import ResNet, resnet18

from nas_fusion.cohorts import Modality
from nas_fusion.fusion import build_backbone
from search_spaces.fusion_points.backbones import POINTS, RESNETS
from search_spaces.fusion_points.presets import PRESETS


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def volume(edge: int, spatial_dims: int = 3) -> Modality:
    return Modality("T1w", "image", (1, *[edge] * spatial_dims))


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", RESNETS)
@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize("cut", [False, True])
def test_stream_computes_what_monais_network_computes(name: str, spatial_dims: int, cut: bool) -> None:
    backbone = build_backbone(name, width=1 / 16, stem_kernel=3, stem_stride=2)
    stream = backbone.build(volume(16, spatial_dims), 2, backbone.points if cut else POINTS)
    whole = RESNETS[name](
        spatial_dims=spatial_dims, n_input_channels=1, num_classes=2, conv1_t_size=3, conv1_t_stride=2, widen_factor=1 / 16
    )
    names = [*whole.state_dict()]  # in the order in which both run
    assert [t.shape for t in stream.state_dict().values()] == [t.shape for t in whole.state_dict().values()]
    if not cut:
        assert [n.removeprefix("stages.").removeprefix("stem.").removeprefix("head.") for n in stream.state_dict()] == names
    whole.load_state_dict(dict(zip(names, stream.state_dict().values(), strict=True)))
    stream, whole = stream.double(), whole.double()
    x = torch.randn(4, 1, *[16] * spatial_dims, dtype=torch.float64)
    for mode in (True, False):
        torch.testing.assert_close(stream.train(mode)(x), whole.train(mode)(x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", RESNETS)
@pytest.mark.parametrize(("stride", "pool"), [(1, True), (2, True), (2, False)])
def test_taps_tell_the_truth(name: str, stride: int, pool: bool) -> None:
    backbone = build_backbone(name, width=1 / 32, stem_stride=stride, max_pool=pool)
    stream, points = backbone.build(volume(32), 2, backbone.points).eval(), backbone.points
    x = torch.randn(1, 1, 32, 32, 32)
    assert tuple(stream.taps) == points
    for point in points:
        features, tap = stream.advance(x, None, point), stream.taps[point]
        assert features.shape[1] == tap.channels
        assert features.shape[2] == max(1, 32 // tap.reduction)


def test_paper_preset_is_monais_resnet18_at_full_width() -> None:
    stream = build_backbone("resnet18", **PRESETS["paper"].backbones["resnet18"]).build(volume(16), 2, POINTS)
    expected = resnet18(spatial_dims=3, n_input_channels=1, num_classes=2)
    assert [tuple(t.shape) for t in stream.state_dict().values()] == [tuple(t.shape) for t in expected.state_dict().values()]
    assert [stream.taps[point].channels for point in POINTS] == [64, 128, 256, 512]


def test_small_preset_is_the_network_that_the_embedded_cohort_was_designed_with() -> None:
    stream = build_backbone("resnet18", **PRESETS["small"].backbones["resnet18"]).build(volume(32), 2, POINTS).eval()
    expected = ResNet(
        "basic",
        [2, 2, 2, 2],
        [8, 16, 32, 64],
        spatial_dims=3,
        n_input_channels=1,
        num_classes=2,
        conv1_t_size=3,
        conv1_t_stride=2,
    )
    assert [tuple(t.shape) for t in stream.state_dict().values()] == [tuple(t.shape) for t in expected.state_dict().values()]
    assert parameters(stream) == 519_290
    x = torch.randn(1, 1, 32, 32, 32)
    assert [tuple(stream.advance(x, None, point).shape[2:]) for point in POINTS] == [(8,) * 3, (4,) * 3, (2,) * 3, (1,) * 3]


def test_layout_changes_no_value_and_no_name() -> None:
    stream = build_backbone("resnet18", **PRESETS["small"].backbones["resnet18"]).build(volume(16), 2, POINTS).double()
    x = torch.randn(4, 1, 16, 16, 16, dtype=torch.float64)
    assert stream.stages["stem"].layout(torch.randn(2, 8, 4, 4, 4)).is_contiguous(memory_format=torch.channels_last_3d)
    with_layout = stream(x)
    del stream.stages["stem"].layout
    torch.testing.assert_close(stream(x), with_layout, rtol=1e-6, atol=1e-8)
    assert all(tensor.is_contiguous() for tensor in stream.state_dict().values())
    assert not hasattr(build_backbone("resnet18", width=0.25).build(volume(16), 2, POINTS).stages["stem"], "layout")


def test_perceptron_for_vectors_has_the_same_points() -> None:
    stream = build_backbone("perceptron", hidden=5).build(Modality("clinical", "vector", (7,)), 3, POINTS)
    assert {point: tap.channels for point, tap in stream.taps.items()} == dict.fromkeys(POINTS, 5)
    assert stream.spatial_dims == 0
    assert tuple(stream(torch.randn(4, 7)).shape) == (4, 3)


def test_points_of_backbones() -> None:
    assert build_backbone("resnet10").points == build_backbone("resnet10").stages == POINTS
    assert build_backbone("resnet18").points == (
        *("layer1_block1", "layer1", "layer2_block1", "layer2"),
        *("layer3_block1", "layer3", "layer4_block1", "layer4"),
    )
    assert len(build_backbone("resnet34").points) == len(build_backbone("resnet50").points) == 16


def test_perceptron_has_a_layer_for_each_point() -> None:
    points = ("layer1", "layer2_block1", "layer2")
    stream = build_backbone("perceptron", hidden=5).build(Modality("clinical", "vector", (7,)), 3, points)
    assert tuple(stream.taps) == points
    assert tuple(stream(torch.randn(4, 7)).shape) == (4, 3)


@pytest.mark.parametrize("kind", ["matrix", "covariance"])
def test_matrix_is_a_plane_of_one_channel(kind: str) -> None:
    stream = build_backbone("resnet18", **PRESETS["small"].backbones["resnet18"]).build(
        Modality("SC", kind, (20, 20)), 2, POINTS
    )
    assert stream.spatial_dims == 2
    assert tuple(stream(torch.randn(4, 20, 20)).shape) == (4, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, r"`width` must be in \[1/64, 16\], but got 0"),
        ({"width": 1e9}, r"`width` must be in \[1/64, 16\]"),
        ({"stem_kernel": 4}, "`stem_kernel` must be odd and positive, but got 4"),
        ({"stem_stride": 0}, "`stem_stride` must be at least 1, but got 0"),
    ],
)
def test_wrong_options_raise(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_backbone("resnet18", **options)


def test_unknown_backbones_raise() -> None:
    with pytest.raises(
        ValueError, match=r"`backbone` must be one of .*resnet10, resnet18, .* but got 'resnet81'. Did you mean"
    ):
        build_backbone("resnet81")
