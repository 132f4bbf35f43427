from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from nas_fusion import Backbone, Stream, TappedModule, load_space, register_backbone
from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.fusion.backbone import Described
from search_spaces.fusion_points import FusionPointSpace
from search_spaces.fusion_points.layout import Layout

VOLUME = Modality("T1w", "image", (1, 16, 16, 16))
TABLE = Modality("clinical", "vector", (5,))
SIGNAL = Modality("ecg", "image", (2, 32))
MATRIX = Modality("FC", "matrix", (12, 12))
CLASSES = ("no", "yes")
EARLY_LATE = {"early": {"T1w": "layer1", "clinical": "layer2"}, "late": {"T1w": "layer3", "clinical": "layer4"}}


def inputs(*modalities: Modality) -> Inputs:
    return Inputs(modalities, CLASSES)


def taps(space: FusionPointSpace, *modalities: Modality) -> dict[str, dict[str, str]]:
    layout: Layout = space.layout
    return layout.taps(inputs(*modalities))


def test_a_table_joins_different_depths() -> None:
    space = FusionPointSpace(EARLY_LATE)
    network = space.build(space.complete({"late": "mmtm"}), inputs(VOLUME, TABLE))
    assert list(space.parameters) == ["early", "late"]
    assert network.joins == {"late": {"T1w": "layer3", "clinical": "layer4"}}
    assert next(iter(network.fusion.values())).channels == (32, 32)
    assert list(network.streams["clinical"].stages) == ["layer1", "layer2", "layer3", "layer4"]
    assert network({"T1w": torch.zeros(2, 1, 16, 16, 16), "clinical": torch.zeros(2, 5)}).shape == (2, 2)


def test_a_table_survives_json() -> None:
    space = load_space("fusion-points", points=EARLY_LATE, backbones={"T1w": "resnet10"}, backbone="resnet34")
    written = json.loads(json.dumps(space.options()))
    assert written == {
        "points": EARLY_LATE,
        "modules": ["mmtm"],
        "preset": "small",
        "backbone": "resnet34",
        "backbones": {"T1w": "resnet10"},
    }
    assert load_space("fusion-points", **written).options() == written


def test_a_table_may_join_some_modalities_only() -> None:
    rows = {"pair": {"ecg": "layer1", "clinical": "layer1"}, "all": {"T1w": "layer2", "ecg": "layer2", "clinical": "layer3"}}
    space = FusionPointSpace(rows, ["mmtm", "film(T1w,clinical)"], meet="pairs")
    assert dict(space.parameters) == {
        "pair": ("none", "mmtm"),
        "all": ("none", "mmtm", "mmtm(T1w,ecg)", "mmtm(T1w,clinical)", "mmtm(ecg,clinical)", "film(T1w,clinical)"),
    }
    found = inputs(SIGNAL, VOLUME, TABLE)
    network = space.build(space.complete({"pair": "mmtm", "all": "film(T1w,clinical)"}), found)
    assert network.joins["pair"] == {"ecg": "layer1", "clinical": "layer1"}
    first, second = network.fusion.values()
    assert (first.spatial_dims, second.spatial_dims) == (1, 3)
    data = {m.name: torch.randn(3, *m.shape) for m in found.modalities}
    assert network(data).shape == (3, 2)


def test_streams_of_other_backbones_are_joined_at_the_stage_of_the_same_number() -> None:
    space = FusionPointSpace("layer1,layer3", backbones={"FC": "graph", "ecg": "resnet10", "T1w": "densenet121"})
    found = taps(space, VOLUME, TABLE, SIGNAL, MATRIX)
    stages = space.layout.backbone("densenet121").stages
    assert found["layer3"] == {"T1w": stages[2], "clinical": "layer3", "ecg": "layer3", "FC": "layer3"}
    assert found["layer1"]["T1w"] == stages[0]


def test_blocks_are_joined_where_every_backbone_has_them() -> None:
    space = FusionPointSpace("layer2_block1", backbones={"ecg": "resnet34"})
    assert taps(space, VOLUME, SIGNAL) == {"layer2_block1": {"T1w": "layer2_block1", "ecg": "layer2_block1"}}


def test_the_perceptron_may_be_the_backbone_of_all() -> None:
    space = FusionPointSpace(backbone="perceptron", layers=6)
    assert list(space.parameters) == [f"layer{i}" for i in range(1, 7)]
    network = space.build(space.complete({"layer6": "mmtm"}), inputs(TABLE, Modality("blood", "vector", (3,))))
    assert list(network.streams["blood"].stages) == list(space.parameters)


def test_sixteen_points() -> None:
    space = FusionPointSpace(FusionPointSpace(backbone="resnet34").layout.points.primary.points, backbone="resnet34")
    assert (len(space.parameters), space.size) == (16, 2**16)
    everything = space.complete(dict.fromkeys(space.parameters, "mmtm"))
    network = space.build(everything, inputs(Modality("a", "image", (1, 24)), Modality("b", "image", (2, 24))))
    assert network.points == tuple(space.parameters)
    assert network({"a": torch.randn(2, 1, 24), "b": torch.randn(2, 2, 24)}).shape == (2, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": {}}, "`points` must have at least one point, but got an empty table"),
        ({"points": {"early": {"T1w": "layer1"}}}, r"`points` must join at least two .* but got \['T1w'\] at 'early'"),
        (
            {"points": {"early": ["T1w", "layer1"]}},
            "`points` must map each point to modalities and their taps, but got .*'early'",
        ),
        ({"points": {"early": {"T1w": 1, "b": 2}}}, "`points` must map each point to modalities and their taps"),
        ({"points": {"": EARLY_LATE["early"]}}, "`points` must have names, but got ''"),
        (
            {"points": "layer2_blok1"},
            "`points` must be places in the backbone, .* 'layer2_blok1'. Did you mean 'layer2_block1'",
        ),
        (
            {"points": EARLY_LATE, "modalities": ["T1w", "clinic"]},
            "`points` must name modalities among T1w, clinic, but got 'clinical'. Did you mean 'clinic'",
        ),
        (
            {"backbones": {"T2": "resnet10"}, "modalities": ["T1w", "T2w"]},
            "`backbones` must name modalities among T1w, T2w, but got 'T2'. Did you mean 'T2w'",
        ),
        ({"backbones": ["resnet10"]}, r"`backbones` must map modalities to names, but got \['resnet10'\]"),
        ({"backbones": {"T1w": "resnet11"}}, "`backbone` must be one of .*, but got 'resnet11'. Did you mean 'resnet1"),
        ({"points": EARLY_LATE, "modules": "mmtm(T1w,ecg)"}, "`modules` must let some who are joined at 'early' meet, but got"),
        (
            {"points": EARLY_LATE, "modules": ["film", "mmtm(T1w,ecg)"]},
            r"`modules` must let modalities meet that some point joins, but got 'mmtm\(T1w,ecg\)'",
        ),
        ({"hidden": 0}, "`hidden` must be at least 1, but got 0"),
        ({"backbones": {"FC": "graph"}, "hidden": "wide"}, "`hidden` must be a whole number, but got 'wide'"),
        ({"layers": 2}, "`layers` must go with a table or with `backbone`='perceptron'"),
    ],
)
def test_wrong_points_and_backbones_raise_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusionPointSpace(**options)


@pytest.mark.parametrize(
    ("options", "modalities", "message"),
    [
        ({"points": EARLY_LATE}, (VOLUME, SIGNAL), "`points` must name modalities among T1w, ecg, but got 'clinical'"),
        (
            {"points": {"early": {"T1w": "layer5", "clinical": "layer1"}}},
            (VOLUME, TABLE),
            "`points` must join 'T1w' at one of layer1_block1, .*, but got 'layer5' at 'early'",
        ),
        (
            {"points": {"a": {"T1w": "layer1", "clinical": "layer4"}, "b": {"T1w": "layer2", "clinical": "layer1"}}},
            (VOLUME, TABLE),
            "`taps` must let all streams pass the points in one order, but got 'a' before 'b' in 'T1w' and 'b' before 'a' in",
        ),
        (
            {"points": "layer2_block1", "backbones": {"ecg": "resnet10"}},
            (VOLUME, SIGNAL),
            r"`points` must be stages \(layer1, .*\) or a table that says where 'resnet10' joins, but got 'layer2_block1'",
        ),
        (
            {"backbone": "perceptron", "layers": 6, "backbones": {"ecg": "resnet10"}},
            (TABLE, SIGNAL),
            "`points` must be stages that 'resnet10' has too, 4 of them, or a table, but got 'layer5'",
        ),
        (
            {"backbones": {"clinical": "resnet10"}},
            (VOLUME, TABLE),
            "`modality` must be of kind image .*'clinical' is of kind 'vec",
        ),
        (
            {},
            (TABLE, Modality("film", "image", (1, 4, 4, 4, 4))),
            "`inputs` must have 2 or 3 or 4 axes where the kind is image, ",
        ),
        ({}, (VOLUME, Modality("age", "vector", (1, 2))), "`inputs` must have 1 axes where the kind is vector, but got"),
        ({"backbone": "perceptron"}, (VOLUME, TABLE), "`modality` must be of kind vector for Perceptron, but 'T1w' is of kind"),
        (
            {"backbones": {"T2w": "resnet10"}},
            (VOLUME, TABLE),
            "`backbones` must name modalities among T1w, clinical, but got 'T2w'",
        ),
        (
            {"modules": "channel_exchange", "hidden": 7},
            (VOLUME, TABLE),
            r"`modules` must fit the streams at 'layer1', but 'channel_exchange' does not: .*\[8, 7\]",
        ),
        (
            {"gate": "softmax"},
            (VOLUME, TABLE),
            r"`modules` must fit the streams at 'layer1', but 'mmtm' does not: `channels` must be equal .*\[8, 32\]",
        ),
    ],
)
def test_cohorts_that_do_not_fit_raise_before_training(
    options: dict[str, object], modalities: tuple[Modality, ...], message: str
) -> None:
    space = FusionPointSpace(**options)
    for ask in (lambda: space.stages(space.baseline, inputs(*modalities)), lambda: space.references(inputs(*modalities))):
        with pytest.raises(ValueError, match=message):
            ask()


class LooksAtValues(nn.Module):
    """A network whose forward pass depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.hidden(x)
        return self.last(features if features.abs().max().item() < 9 else features / 9)


@register_backbone("looks_at_values")
class LooksAtValuesBackbone(Backbone):
    """Its one point is a submodule of it."""

    kinds = ("vector",)
    points = ("hidden",)

    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        return TappedModule(LooksAtValues(), self.points, example=torch.zeros(2, *modality.shape))


def test_a_network_that_looks_at_values_is_checked_in_memory() -> None:
    space, pair = FusionPointSpace(backbone="looks_at_values"), inputs(TABLE, Modality("blood", "vector", (5,)))
    before = torch.random.get_rng_state()
    space.check_inputs(pair)
    assert torch.equal(torch.random.get_rng_state(), before)
    network = space.build(space.complete({"hidden": "mmtm"}), pair)
    assert next(iter(network.fusion.values())).channels == (6, 6)


def test_checks_draw_no_random_numbers() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    FusionPointSpace(modules=["mmtm", "cross_attention"]).check_inputs(inputs(VOLUME, TABLE))
    assert torch.equal(torch.random.get_rng_state(), before)
