"""Which taps meet at a point, in which order points are passed, and what a network of such points computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import permutations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from nas_fusion.fusion import FusionNetwork, GatedFusion, GatedNetwork, Meeting, Stream, build_module
from nas_fusion.fusion.joins import joins

STREAMS = {"T1w": ("a", "b", "c"), "FLAIR": ("a", "b"), "clinical": ("hidden",)}
DIMS = {"T1w": 2, "FLAIR": 1, "clinical": 0}
CONVOLUTIONS: tuple[Callable[[int, int], nn.Module], ...] = (
    nn.Linear,
    lambda inputs, outputs: nn.Conv1d(inputs, outputs, kernel_size=3, padding=1),
    lambda inputs, outputs: nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
)
Table = Mapping[str, Mapping[str, str]]


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(2) if x.ndim > 2 else x


def streams() -> dict[str, Stream]:
    """Streams of three kinds and depths: 5, 6, 7 channels in the image, 8, 9 in the signal, 10 in the table."""
    torch.manual_seed(0)
    built, width = dict[str, Stream](), 5
    for name, names in STREAMS.items():
        stages, taps, inputs = dict[str, nn.Module](), list[tuple[str, int, float]](), 2
        for tap in names:
            stages[tap] = nn.Sequential(CONVOLUTIONS[DIMS[name]](inputs, width), nn.Tanh())
            taps.append((tap, width, 1))
            inputs, width = width, width + 1
        built[name] = Stream(stages, nn.Sequential(Mean(), nn.Linear(inputs, 3)), taps, spatial_dims=DIMS[name])
    return built


def network(table: Table, modules: Mapping[str, str]) -> FusionNetwork:
    parts = streams()
    found = {point: table[point] for point in modules}
    built = {}
    for point, name in modules.items():
        members = [modality for modality in parts if modality in found[point]]
        channels = [parts[modality].taps[found[point][modality]].channels for modality in members]
        built[point] = build_module(name, channels, spatial_dims=max(DIMS[modality] for modality in members))
    return FusionNetwork(parts, built, taps=table)


def data() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(4, 2, *[6 - i] * DIMS[name], generator=generator) for i, name in enumerate(STREAMS)}


def perturb(model: nn.Module) -> None:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))


rows = st.fixed_dictionaries({}, optional={name: st.sampled_from(taps) for name, taps in STREAMS.items()})
tables = st.dictionaries(st.sampled_from("pqrst"), rows.filter(lambda row: len(row) >= 2), min_size=1)
fusions = st.sampled_from(["mmtm", "concat_conv"])


def crossing(table: Table) -> bool:
    try:
        joins([], table, STREAMS)
    except ValueError:
        return True
    return False


@settings(deadline=None, max_examples=60)
@given(tables)
def test_every_stream_passes_its_taps_in_order(table: Table) -> None:
    assume(not crossing(table))
    found = joins([], table, STREAMS)
    assert {point: dict(taps) for point, taps in table.items()} == found
    for modality, taps in STREAMS.items():
        passed = [taps.index(row[modality]) for row in found.values() if modality in row]
        assert passed == sorted(passed)


@settings(deadline=None, max_examples=60)
@given(tables)
def test_only_tables_without_an_order_are_refused(table: Table) -> None:
    def agrees(order: tuple[str, ...]) -> bool:
        return all(
            (passed := [taps.index(table[p][modality]) for p in order if modality in table[p]]) == sorted(passed)
            for modality, taps in STREAMS.items()
        )

    assert crossing(table) == (not any(agrees(order) for order in permutations(table)))


@settings(deadline=None, max_examples=40)
@given(tables, st.data())
def test_fresh_modules_leave_the_baseline_bit_equal(table: Table, draw: st.DataObject) -> None:
    assume(not crossing(table))
    chosen = draw.draw(st.dictionaries(st.sampled_from(sorted(table)), fusions))
    inputs = data()
    present = torch.tensor([[True, True, True], [True, False, True], [False, True, False], [False, False, True]])
    baseline, model = FusionNetwork(streams()), network(table, chosen)
    assert torch.equal(model(inputs), baseline(inputs))
    assert torch.equal(model(inputs, present), baseline(inputs, present))
    assert list(model.points) == [point for point in joins([], table, STREAMS) if point in chosen]


@settings(deadline=None, max_examples=40)
@given(tables, st.data())
def test_activating_a_point_leaves_a_trained_network_bit_equal(table: Table, draw: st.DataObject) -> None:
    assume(not crossing(table))
    chosen = draw.draw(st.dictionaries(st.sampled_from(sorted(table)), fusions, min_size=1))
    added = draw.draw(st.sampled_from(sorted(chosen)))
    parent, child = network(table, {p: m for p, m in chosen.items() if p != added}), network(table, chosen)
    perturb(parent)
    child.load_state_dict(parent.state_dict(), strict=False)
    assert torch.equal(child(data()), parent(data()))


@settings(deadline=None, max_examples=20)
@given(tables, fusions)
def test_a_modality_hears_those_it_meets_and_nobody_else(table: Table, module: str) -> None:
    point = next(iter(table))
    model = network({point: table[point]}, {point: module})
    perturb(model)
    inputs = {name: x.requires_grad_() for name, x in data().items()}
    for target, logits in model.by_stream(inputs).items():
        gradients = torch.autograd.grad(logits.square().sum(), list(inputs.values()), retain_graph=True, allow_unused=True)
        heard = {name for name, x in zip(inputs, gradients, strict=True) if x is not None and bool(x.abs().sum() > 0)}
        assert heard == (set(table[point]) if target in table[point] else {target})


def test_taps_of_different_depths_meet() -> None:
    """Checked against the streams run by hand."""
    parts = streams()
    table = {"late": {"T1w": "c", "clinical": "hidden"}, "early": {"T1w": "b", "FLAIR": "a"}}
    early = build_module("concat_conv", [6, 8], spatial_dims=2)
    late = build_module("mmtm", [7, 10], spatial_dims=2)
    model, inputs = FusionNetwork(parts, {"late": late, "early": early}, taps=table), data()
    perturb(model)
    assert model.points == ("early", "late")
    image = parts["T1w"].advance(inputs["T1w"], None, "b")
    signal = parts["FLAIR"].advance(inputs["FLAIR"], None, "a")
    image, signal = early([image, signal.unsqueeze(3)])
    image, table_features = parts["T1w"].advance(image, "b", "c"), parts["clinical"].advance(inputs["clinical"], None, "hidden")
    image, vector = late([image, table_features[..., None, None]])
    logits = [
        parts["T1w"].advance(image, "c", None),
        parts["FLAIR"].advance(signal.squeeze(3), "a", None),
        parts["clinical"].advance(vector[..., 0, 0], "hidden", None),
    ]
    assert torch.equal(model(inputs), torch.stack(logits).sum(0) / 3)


def test_points_at_the_same_tap_are_passed_in_the_order_of_the_table() -> None:
    table = {
        "second": {"T1w": "b", "FLAIR": "b"},
        "first": {"T1w": "b", "clinical": "hidden"},
        "zero": {"T1w": "a", "FLAIR": "b"},
    }
    assert list(joins([], table, STREAMS)) == ["zero", "second", "first"]
    modules = {"first": "mmtm", "second": "mmtm"}
    assert network(table, modules).points == ("second", "first")
    model = network(table, {**modules, "zero": "mmtm"})
    assert model.points == ("zero", "second", "first")
    perturb(model)
    assert bool(model(data()).isfinite().all())


def test_names_of_tensors_say_point_and_label() -> None:
    table = {"layer.1": {"T1w": "b", "FLAIR": "a", "clinical": "hidden"}}
    module = Meeting(build_module("mmtm", [6, 10], spatial_dims=2), [6, 8, 10], members=(0, 2))
    model = FusionNetwork(streams(), {"layer.1": module}, taps=table)
    assert {name.split(".")[1] for name in model.state_dict() if name.startswith("fusion.")} == {"layer%2E1-MMTM(0,2)"}


def test_a_gated_network_takes_the_same_table() -> None:
    table = {"early": {"T1w": "b", "clinical": "hidden"}}
    gated = GatedFusion({name: build_module(name, [6, 10], spatial_dims=2) for name in ("mmtm", "concat_conv")})
    model = GatedNetwork(streams(), {"early": gated}, taps=table)
    assert torch.equal(model(data()), FusionNetwork(streams())(data()))
    assert list(model.architecture) == ["early"] and model.joins == {"early": {"T1w": "b", "clinical": "hidden"}}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"p": {"T1w": "a", "PET": "a"}},
            r"`taps` must name modalities among \['T1w', 'FLAIR', 'clinical'\], but got 'PET' at 'p'",
        ),
        ({"p": {"T1w": "a", "FLAIR": "c"}}, r"`taps` must name taps of 'FLAIR', \['a', 'b'\], but got 'c' at 'p'"),
        ({"p": {"T1w": "a"}}, r"`taps` must let at least two modalities meet at each point, but got \['T1w'\] at 'p'"),
        (
            {"early": {"T1w": "a", "FLAIR": "b"}, "late": {"T1w": "b", "FLAIR": "a"}},
            "`taps` must let all streams pass the points in one order, "
            "but got 'early' before 'late' in 'T1w' and 'late' before 'early' in 'FLAIR'",
        ),
    ],
)
def test_wrong_tables_raise(table: Table, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusionNetwork(streams(), taps=table)


def test_circles_of_three_are_refused_with_all_names() -> None:
    order = {"x": ("1", "2"), "y": ("1", "2"), "z": ("1", "2")}
    table = {"p": {"x": "1", "z": "2"}, "q": {"x": "2", "y": "1"}, "r": {"y": "2", "z": "1"}}
    with pytest.raises(ValueError, match=r"one order, but got '.' before '.' in '.' and '.' before '.' in '.' and '.' before"):
        joins([], table, order)


def test_a_module_fits_those_who_meet() -> None:
    module = build_module("mmtm", [5, 8, 10], spatial_dims=2)
    message = (
        r"`modules` must fit the streams at 'p', \(5, 10\) channels with 2 spatial axes, but got a module for \(5, 8, 10\)"
    )
    with pytest.raises(ValueError, match=message):
        FusionNetwork(streams(), {"p": module}, taps={"p": {"T1w": "a", "clinical": "hidden"}})
    with pytest.raises(ValueError, match=r"`modules` must sit at taps of 'clinical', \['hidden'\], but got 'a'"):
        FusionNetwork(streams(), {"a": module})
