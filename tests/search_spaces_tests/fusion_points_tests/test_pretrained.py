from __future__ import annotations

import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from monai.networks.nets import resnet
from safetensors.torch import save_file
from torch import nn

from nas_fusion.cohorts import Modality
from nas_fusion.fusion import Stream, TappedModule, build_backbone
from search_spaces.fusion_points.pretrained import OtherShape, load_pretrained, sha256_of

WIDTH = 1 / 16


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def network(depth: int = 18, *, width: float = WIDTH, dims: int = 3) -> nn.Module:
    """A network as those of MedicalNet: without a last layer, no biases, shortcuts by depth."""
    kind = "A" if depth in (18, 34) else "B"
    found: nn.Module = getattr(resnet, f"resnet{depth}")(
        spatial_dims=dims, n_input_channels=1, feed_forward=False, shortcut_type=kind, bias_downsample=False, widen_factor=width
    )
    for buffer in found.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 2)
    return found


def medicalnet(path: Path, depth: int = 18, *, legacy: bool = True, **options: float) -> nn.Module:
    """Write a file in the layout of MedicalNet and return what is in it."""
    trained = network(depth, **options)  # type: ignore[arg-type]
    tensors = OrderedDict((f"module.{name}", tensor) for name, tensor in trained.state_dict().items())
    content = {"epoch": 50, "state_dict": tensors, "optimizer": {"param_groups": [{"lr": 1e-3}]}}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return trained


def stream_of(depth: int = 18, *, channels: int = 1, width: float = WIDTH, dims: int = 3, points: bool = False) -> Stream:
    backbone = build_backbone(f"resnet{depth}", width=width, shortcut="A" if depth in (18, 34) else "B")
    modality = Modality("T1w", "image", (channels, *[16] * dims))
    return backbone.build(modality, 2, backbone.points if points else backbone.stages)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("points", [True, False])
def test_medicalnet_of_18_layers_fits_but_for_the_last_layer(tmp_path: Path, legacy: bool, points: bool) -> None:
    trained = medicalnet(tmp_path / "resnet_18_23dataset.pth", legacy=legacy).eval()
    stream = stream_of(points=points).eval()
    report = load_pretrained(stream, tmp_path / "resnet_18_23dataset.pth")
    assert report.missing == ("head.fc.weight", "head.fc.bias")
    assert report.other_shape == report.unused == report.zeroed == ()
    assert len(report.matched) == len(trained.state_dict())
    x = torch.randn(2, 1, 16, 16, 16)
    torch.testing.assert_close(stream.head.flatten(stream.head.avgpool(stream.advance(x, None, "layer4"))), trained(x))


def test_convolutions_without_bias_stay_without(tmp_path: Path) -> None:
    trained = medicalnet(tmp_path / "resnet_10.pth", 10).eval()
    stream = stream_of(10).eval()
    report = load_pretrained(stream, tmp_path / "resnet_10.pth")
    assert report.zeroed == tuple(f"stages.layer{i}.0.downsample.0.bias" for i in (2, 3, 4))
    assert all(not stream.get_parameter(name).any() for name in report.zeroed)
    x = torch.randn(2, 1, 16, 16, 16)
    torch.testing.assert_close(stream.head.flatten(stream.head.avgpool(stream.advance(x, None, "layer4"))), trained(x))


def test_first_convolution_for_other_channels_stays_fresh(tmp_path: Path) -> None:
    path = tmp_path / "resnet_18_23dataset.pth"
    trained, stream = medicalnet(path), stream_of(channels=2)
    before = stream.get_parameter("stages.stem.conv1.weight").clone()
    report = load_pretrained(stream, path)
    assert report.other_shape == (OtherShape("stages.stem.conv1.weight", (4, 1, 7, 7, 7), (4, 2, 7, 7, 7)),)
    assert torch.equal(stream.get_parameter("stages.stem.conv1.weight"), before)
    assert torch.equal(stream.get_parameter("stages.layer1.0.conv1.weight"), trained.get_parameter("layer1.0.conv1.weight"))
    assert str(report) == (
        "resnet_18_23dataset.pth: 101 of 104 tensors were loaded, 97.9% of the numbers; of another shape, so freshly "
        "initialised: stages.stem.conv1.weight (4 x 1 x 7 x 7 x 7 in the file, 4 x 2 x 7 x 7 x 7 here); not in the file, so "
        "freshly initialised: head.fc.weight, head.fc.bias."
    )
    loaded = json.loads(report.to_json())
    assert loaded["sha256"] == sha256_of(path)
    assert loaded["other_shape"] == [{"name": "stages.stem.conv1.weight", "file": [4, 1, 7, 7, 7], "stream": [4, 2, 7, 7, 7]}]


def test_deeper_files_are_used_in_part(tmp_path: Path) -> None:
    medicalnet(tmp_path / "resnet_34.pth", 34)
    report = load_pretrained(stream_of(18), tmp_path / "resnet_34.pth")
    assert "layer1.2.conv1.weight" in report.unused
    assert "; of the file not used: layer1.2.conv1.weight, layer1.2.bn1.weight and 94 more." in str(report)


def test_safetensors_and_own_names(tmp_path: Path) -> None:
    trained = stream_of()
    halves = {name: t.half() if t.is_floating_point() else t for name, t in trained.state_dict().items()}
    save_file(halves, tmp_path / "a.safetensors")
    stream = stream_of()
    report = load_pretrained(stream, tmp_path / "a.safetensors")
    assert len(report.matched) == len(stream.state_dict())
    assert stream.get_parameter("head.fc.weight").dtype == torch.float32
    torch.testing.assert_close(stream.head.fc.weight, trained.head.fc.weight, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("name", "options"), [("swin", {"width": 1 / 32}), ("vit", {"width": 1 / 64})])
def test_other_families_go_by_monais_names(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    backbone = build_backbone(name, **options)
    modality = Modality("T1w", "image", (1, 16, 16, 16))
    trained, stream = (backbone.build(modality, 2, backbone.stages) for _ in range(2))
    names = trained.original_names
    torch.save({names[key]: tensor for key, tensor in trained.state_dict().items() if key in names}, tmp_path / "a.pt")
    report = load_pretrained(stream, tmp_path / "a.pt")
    assert all(torch.equal(stream.state_dict()[key], tensor) for key, tensor in trained.state_dict().items() if key in names)
    assert all(key.startswith("head.") for key in report.missing)
    assert report.unused == ()


def test_own_networks_go_by_their_own_names(tmp_path: Path) -> None:
    module, trained = (nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)) for _ in range(2))
    torch.save(trained.state_dict(), tmp_path / "a.pt")
    stream = TappedModule(module, ["0"], torch.zeros(2, 5))
    assert load_pretrained(stream, tmp_path / "a.pt").missing == ()
    assert torch.equal(module[0].weight, trained[0].weight)


class Bomb:
    """What would run a command where pickles are trusted."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    torch.save({"state_dict": {"conv1.weight": torch.ones(1)}, "extra": Bomb(tmp_path / "mark")}, tmp_path / "zipped.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Bomb(tmp_path / "mark"), protocol=2))
    for name in ("zipped.pth", "plain.pth"):
        with pytest.raises(
            ValueError, match=r"`pretrained` must be a file of tensors and .* is refused: it holds something else"
        ):
            load_pretrained(stream_of(), tmp_path / name)
    assert not (tmp_path / "mark").exists()


def test_files_that_cannot_be_read_raise(tmp_path: Path) -> None:
    medicalnet(tmp_path / "cut.pth", legacy=False)
    (tmp_path / "cut.pth").write_bytes((tmp_path / "cut.pth").read_bytes()[:-2000])
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.pth").write_text("not tensors")
    for name in ("cut.pth", "cut.safetensors", "empty.pth", "text.pth"):
        with pytest.raises(
            ValueError, match=rf"`pretrained` must be a file of tensors and nothing else, but .*{name}' is refused"
        ):
            load_pretrained(stream_of(), tmp_path / name)
    with pytest.raises(ValueError, match=r"`pretrained` must be a file that can be read, but got '.*absent.pth': No such file"):
        load_pretrained(stream_of(), tmp_path / "absent.pth")
    torch.save({"epoch": 3, "weights": [torch.ones(2)]}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"`pretrained` must be a file with a state dict, but there is none in '.*other.pth'"):
        load_pretrained(stream_of(), tmp_path / "other.pth")


@pytest.mark.parametrize("options", [{"width": 1 / 8}, {"dims": 2}])
def test_files_of_which_nothing_fits_raise_and_change_nothing(tmp_path: Path, options: dict[str, float]) -> None:
    medicalnet(tmp_path / "a.pth")
    stream = stream_of(**options)  # type: ignore[arg-type]
    before = {name: tensor.clone() for name, tensor in stream.state_dict().items()}
    with pytest.raises(ValueError, match=r"`pretrained` must have kernels .* fits: it has layer4.* \(32, 32, 3, 3, 3\)"):
        load_pretrained(stream, tmp_path / "a.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in stream.state_dict().items())


def test_numbers_must_be_finite(tmp_path: Path) -> None:
    state = stream_of().state_dict()
    state["stages.layer1.0.conv1.weight"].fill_(torch.nan)
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(
        ValueError, match=r"`pretrained` must hold finite numbers, but 'stages.layer1.0.conv1.weight' of .* does not"
    ):
        load_pretrained(stream_of(), tmp_path / "a.pt")
