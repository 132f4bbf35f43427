from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from nas_fusion import plugins
from nas_fusion.fusion import FusionModule, FusionNetwork, Stream, build_module

POINTS = ("layer1", "layer2", "layer3")
CONVOLUTIONS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NAMES = ("T1w", "FLAIR", "T2w", "DWI")
# modules that are the identity when fresh and connect streams of different channels; all but the control let streams exchange
IDENTITIES = [name for name in plugins.names("modules") if name not in ("mmtm_as_published", "channel_exchange")]
EXCHANGES = [name for name in IDENTITIES if name != "se_gate"]


class SpatialMean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(2) if x.ndim > 2 else x


def stream(spatial_dims: int, width: int = 4) -> Stream:
    """A small stream of three stages; its maps keep their size."""

    def stage(inputs: int) -> nn.Module:
        kernel = {} if spatial_dims == 0 else {"kernel_size": 3, "padding": 1}
        return nn.Sequential(CONVOLUTIONS[spatial_dims](inputs, width, **kernel), nn.Tanh())

    stages = {point: stage(2 if i == 0 else width) for i, point in enumerate(POINTS)}
    head = nn.Sequential(SpatialMean(), nn.Linear(width, 3))
    return Stream(stages, head, [(point, width, 1) for point in POINTS], spatial_dims=spatial_dims)


def streams(n: int, spatial_dims: int) -> dict[str, Stream]:
    return {name: stream(spatial_dims, width=8 + i) for i, name in enumerate(NAMES[:n])}


def data(n: int, spatial_dims: int, batch: int = 2) -> dict[str, torch.Tensor]:
    """Streams differ in resolution."""
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(batch, 2, *[4 + i] * spatial_dims, generator=generator) for i, name in enumerate(NAMES[:n])}


def network(n: int, spatial_dims: int, points: Sequence[str] = (), module: str = "mmtm") -> FusionNetwork:
    torch.manual_seed(0)
    parts = streams(n, spatial_dims)
    channels = [[s.taps[point].channels for s in parts.values()] for point in points]
    modules = {p: build_module(module, c, spatial_dims=spatial_dims) for p, c in zip(points, channels, strict=True)}
    return FusionNetwork(parts, modules)


def perturb(model: nn.Module, seed: int = 1) -> None:
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))


every_shape = pytest.mark.parametrize(("n", "spatial_dims"), [(n, d) for n in (2, 3, 4) for d in range(4)])


@every_shape
def test_without_modules_it_is_the_mean_of_plain_streams(n: int, spatial_dims: int) -> None:
    model, inputs = network(n, spatial_dims), data(n, spatial_dims)
    torch.manual_seed(0)
    plain = streams(n, spatial_dims)
    logits = [plain[name](x) for name, x in inputs.items()]
    assert torch.equal(model(inputs), torch.stack(logits).sum(0) / n)
    assert all(torch.equal(a, b) for a, b in zip(model.by_stream(inputs).values(), logits, strict=True))


@every_shape
@pytest.mark.parametrize("module", IDENTITIES)
def test_activation_leaves_the_logits_bit_equal(n: int, spatial_dims: int, module: str) -> None:
    parent, inputs = network(n, spatial_dims, ["layer2"], module), data(n, spatial_dims)
    perturb(parent)
    child = network(n, spatial_dims, POINTS, module)
    child.load_state_dict(parent.state_dict(), strict=False)
    assert parent.state_dict().keys() < child.state_dict().keys()
    assert torch.equal(child(inputs), parent(inputs))


@every_shape
@pytest.mark.parametrize("module", EXCHANGES)
@pytest.mark.parametrize("point", POINTS)
def test_with_one_point_every_stream_hears_every_other(n: int, spatial_dims: int, module: str, point: str) -> None:
    model = network(n, spatial_dims, [point], module)
    perturb(model, seed=4)  # with others the two hidden units of FiLM may be dead
    inputs = {name: x.requires_grad_() for name, x in data(n, spatial_dims, batch=8).items()}
    for target, logits in model.by_stream(inputs).items():
        gradients = torch.autograd.grad(logits[:, 0].sum(), list(inputs.values()), retain_graph=True)
        for source, gradient in zip(inputs, gradients, strict=True):
            assert gradient.abs().sum() > 0, f"{target} does not hear {source} through {point}"


def test_without_a_point_no_stream_hears_another() -> None:
    model, inputs = network(2, 1), {name: x.requires_grad_() for name, x in data(2, 1).items()}
    logits = model.by_stream(inputs)["T1w"].sum()
    own, other = torch.autograd.grad(logits, list(inputs.values()), allow_unused=True)
    assert own.abs().sum() > 0 and other is None


class Marker(FusionModule):
    """Replaces every stream's features by a constant of its own."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return [torch.full_like(x, 0.1 * (i + 1)) for i, x in enumerate(features)]


@pytest.mark.parametrize("point", POINTS)
def test_the_next_stage_of_every_stream_receives_what_the_module_returns(point: str) -> None:
    torch.manual_seed(0)
    parts = streams(3, 2)
    model, inputs = FusionNetwork(parts, {point: Marker([8, 9, 10], spatial_dims=2)}), data(3, 2)
    for i, (name, logits) in enumerate(model.by_stream(inputs).items()):
        features = torch.full((2, 8 + i, 4 + i, 4 + i), 0.1 * (i + 1))
        assert torch.equal(logits, parts[name].advance(features, point, None))


@every_shape
def test_batch_of_two_is_two_singles(n: int, spatial_dims: int) -> None:
    model, inputs = network(n, spatial_dims, POINTS).eval(), data(n, spatial_dims)
    perturb(model)
    present = torch.ones(2, n, dtype=torch.bool)
    present[1, 0] = False
    alone = [model({name: x[i : i + 1] for name, x in inputs.items()}, present[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(torch.cat(alone), model(inputs, present), rtol=1e-5, atol=1e-6)


def test_names_of_tensors_do_not_depend_on_the_points() -> None:
    plain, fused = network(2, 3).state_dict(), network(2, 3, ["layer2"]).state_dict()
    assert plain.keys() < fused.keys()
    assert {name.split(".")[1] for name in fused.keys() - plain.keys()} == {"layer2-MMTM"}
    assert "streams.T1w.stages.layer1.0.weight" in plain


def test_modules_of_two_kinds_share_no_names() -> None:
    a, b = (network(2, 3, ["layer2"], module).state_dict() for module in ("mmtm", "concat_conv"))
    assert {name for name in a.keys() & b.keys() if name.startswith("fusion.")} == set()


@pytest.mark.parametrize("module", IDENTITIES)
@pytest.mark.parametrize("points", [[], ["layer2"], list(POINTS)])
def test_what_stands_in_an_absent_modality_has_no_influence(module: str, points: list[str]) -> None:
    model, inputs = network(3, 2, points, module), data(3, 2)
    perturb(model)
    present = torch.tensor([[True, False, True], [True, True, True]])
    expected = model(inputs, present)
    inputs["FLAIR"] = inputs["FLAIR"].clone()
    inputs["FLAIR"][0] = float("nan")
    assert torch.equal(model(inputs, present), expected)
    torch.testing.assert_close(expected[1], model({k: x[1:] for k, x in inputs.items()})[0])


class Listener(FusionModule):
    """The identity, which remembers what it was given; it fills what it returns for absent modalities too."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        self.heard = [feature.detach() for feature in features]
        return [feature + 1 for feature in features]


def test_modules_get_zeros_for_absent_modalities_at_every_point() -> None:
    parts = streams(3, 2)
    heard = {point: Listener([s.taps[point].channels for s in parts.values()], spatial_dims=2) for point in POINTS}
    model, inputs = FusionNetwork(parts, heard), data(3, 2)
    model(inputs, torch.tensor([[True, False, True], [True, True, True]]))
    for point in POINTS:
        absent, *others = heard[point].heard[1][0], heard[point].heard[0], heard[point].heard[2], heard[point].heard[1][1]
        assert not absent.any() and all(bool(feature.abs().sum() > 0) for feature in others)


def test_logits_of_absent_modalities_do_not_count() -> None:
    model, inputs = network(3, 1), data(3, 1)
    logits = model.by_stream(inputs)
    present = torch.tensor([[True, False, True], [False, True, False]])
    expected = [(logits["T1w"][0] + logits["T2w"][0]) / 2, logits["FLAIR"][1]]
    torch.testing.assert_close(model(inputs, present), torch.stack(expected))


def test_absent_modalities_leave_finite_gradients() -> None:
    model, inputs = network(2, 1, POINTS), data(2, 1)
    perturb(model)
    inputs["FLAIR"][0] = float("nan")
    model(inputs, torch.tensor([[True, False], [True, True]])).sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in model.parameters())


def test_an_image_and_a_table_can_be_fused() -> None:
    torch.manual_seed(0)
    for module in IDENTITIES:
        parts = {"T1w": stream(3, 4), "clinical": stream(0, 5)}
        fusion = {point: build_module(module, [4, 5], spatial_dims=3) for point in POINTS}
        model = FusionNetwork(parts, fusion)
        inputs = {"T1w": torch.randn(2, 2, 3, 3, 3), "clinical": torch.randn(2, 2)}
        plain = (parts["T1w"](inputs["T1w"]) + parts["clinical"](inputs["clinical"])) / 2
        assert torch.equal(model(inputs), plain)


def test_modality_names_with_dots_are_kept() -> None:
    parts = {"T1w.brain": stream(0), "FLAIR": stream(0)}
    model = FusionNetwork(parts)
    assert model.modalities == ("T1w.brain", "FLAIR")
    assert tuple(model({"T1w.brain": torch.zeros(1, 2), "FLAIR": torch.zeros(1, 2)}).shape) == (1, 3)


@pytest.mark.parametrize(
    ("names", "modules", "message"),
    [
        (["T1w"], {}, r"`streams` must be at least two, but got \['T1w'\]"),
        (["T1w", "train"], {}, "`streams` must have names that torch modules may have, but got 'train'"),
        (["T1w", ""], {}, "`streams` must have names that torch modules may have, but got ''"),
        (
            ["a", "b"],
            {"layer9": [4, 4]},
            r"`modules` must sit at taps of 'a', \['layer1', 'layer2', 'layer3'\], but got 'layer9'",
        ),
        (["a", "b"], {"layer1": [4, 5]}, r"`modules` must fit the streams at 'layer1', \(4, 4\) channels with 1 spatial axes"),
    ],
)
def test_wrong_construction_raises(names: list[str], modules: dict[str, list[int]], message: str) -> None:
    fusion = {point: build_module("mmtm", channels, spatial_dims=1) for point, channels in modules.items()}
    with pytest.raises(ValueError, match=message):
        FusionNetwork({name: stream(1) for name in names}, fusion)


def test_wrong_inputs_raise() -> None:
    model, inputs = network(2, 1), data(2, 1)
    with pytest.raises(ValueError, match=r"`inputs` must hold \['T1w', 'FLAIR'\], but \['FLAIR'\] are missing"):
        model({"T1w": inputs["T1w"]})
    with pytest.raises(ValueError, match=r"`present` must have shape \(2, 2\), but got \(2, 3\)"):
        model(inputs, torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="`present` must show at least one modality for each subject"):
        model(inputs, torch.tensor([[True, True], [False, False]]))
