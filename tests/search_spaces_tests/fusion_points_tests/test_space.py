from __future__ import annotations

import json

import pytest
import torch

from nas_fusion import load_space
from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.fusion import MMTM, ConcatConv
from search_spaces.fusion_points import PRESETS, FusionPointSpace

POINTS = ("layer1", "layer2", "layer3", "layer4")


def volumes(*names: str, edge: int = 16) -> Inputs:
    return Inputs(tuple(Modality(name, "image", (1, edge, edge, edge)) for name in names), ("control", "patient"))


PAIR = volumes("T1w", "FLAIR")


def test_one_parameter_a_point() -> None:
    space = FusionPointSpace(modules=("mmtm", "concat_conv"))
    assert dict(space.parameters) == dict.fromkeys(POINTS, ("none", "mmtm", "concat_conv"))
    assert (space.size, space.name, space.inherit) == (81, "fusion-points", "parent")


def test_points_are_in_the_order_of_the_stages() -> None:
    assert list(FusionPointSpace(points=("layer4", "layer2")).parameters) == ["layer2", "layer4"]
    assert list(FusionPointSpace(points="layer1,layer3").parameters) == ["layer1", "layer3"]
    assert list(FusionPointSpace(points="layer2,layer4_block1,layer2_block1").parameters) == [
        *("layer2_block1", "layer2", "layer4_block1"),
    ]


def test_blocks_of_every_stream_are_joined() -> None:
    space = FusionPointSpace(points=("layer2_block1", "layer2"))
    inputs = Inputs((Modality("T1w", "image", (1, 16, 16, 16)), Modality("clinical", "vector", (5,))), ("control", "patient"))
    network = space.build(space.complete({"layer2_block1": "mmtm"}), inputs)
    assert network.points == ("layer2_block1",)
    assert network({"T1w": torch.zeros(2, 1, 16, 16, 16), "clinical": torch.zeros(2, 5)}).shape == (2, 2)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preset": "paper", "points": ["layer2"], "modules": ["concat_conv", "mmtm"]},
        {"ratio": 8, "gate": "softmax", "width": 0.25, "epochs": 3, "flips": [0, 2], "learning_rate": 0.001},
    ],
)
def test_options_round_trip_through_json(options: dict[str, object]) -> None:
    space = load_space("fusion-points", **options)
    written = json.loads(json.dumps(space.options()))
    again = load_space("fusion-points", **written)
    assert isinstance(space, FusionPointSpace) and isinstance(again, FusionPointSpace)
    assert {name: written[name] for name in options} == options
    assert again.options() == written
    assert (again.layout, again.plan, again.module_options) == (space.layout, space.plan, space.module_options)


def test_options_reach_what_they_belong_to() -> None:
    space = FusionPointSpace(modules=("mmtm", "concat_conv"), ratio=8, stem_stride=1, batch_size=4)
    assert space.module_options == {"mmtm": {"ratio": 8}, "concat_conv": {}}
    assert space.layout.options["resnet18"]["stem_stride"] == 1 and space.plan.batch_size == 4
    model = space.build(space.complete({"layer1": "mmtm", "layer4": "concat_conv"}), PAIR)
    first, last = model.fusion.values()
    assert isinstance(first, MMTM) and first.squeeze.out_features == (8 + 8) // 8
    assert isinstance(last, ConcatConv) and last.channels == (64, 64)
    assert model.points == ("layer1", "layer4")


def test_training_plan_of_the_presets() -> None:
    small, paper = (FusionPointSpace(preset=preset).plan for preset in ("small", "paper"))
    assert (small.optimiser, small.learning_rate, small.weight_decay, small.schedule) == ("adamw", 5e-3, 1e-3, "one_cycle")
    assert (small.batch_size, small.epochs, small.flips) == (16, 10, (0, 1))
    assert paper == PRESETS["paper"].plan and paper.patience == 15


def test_there_is_one_stage_that_depends_on_everything() -> None:
    space = FusionPointSpace()
    configuration = space.complete({"layer2": "mmtm"})
    (stage,) = space.stages(configuration, PAIR)
    assert (stage.plan, stage.depends_on, stage.trains) == (space.plan, configuration, None)
    assert stage.model().points == ("layer2",)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("modality", "flips"),
    [
        (Modality("b", "image", (1, 16, 16)), (0, 1)),
        (Modality("b", "image", (1, 16)), ()),
        (Modality("b", "vector", (3,)), ()),
        (Modality("b", "matrix", (9, 9)), ()),
    ],
)
def test_flips_only_where_they_make_sense(modality: Modality, flips: tuple[int, ...]) -> None:
    inputs = Inputs((Modality("a", "image", (1, 16, 16)), modality), ("x", "y"))
    assert FusionPointSpace().plan_for(inputs).flips == flips
    assert FusionPointSpace(flips=(0,)).plan_for(inputs).flips == (0,)


@pytest.mark.parametrize("module", ["mmtm", "concat_conv"])
@pytest.mark.parametrize("names", [("T1w", "FLAIR"), ("T1w", "FLAIR", "T2w", "DWI")])
@pytest.mark.parametrize("point", POINTS)
def test_with_one_active_point_every_stream_hears_every_other(module: str, names: tuple[str, ...], point: str) -> None:
    torch.manual_seed(0)
    space, inputs = FusionPointSpace(modules=(module,)), volumes(*names)
    model = space.build(space.complete({point: module}), inputs).eval()
    with torch.no_grad():
        for parameter in model.fusion.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    data = {name: torch.randn(4, 1, 16, 16, 16, requires_grad=True) for name in names}
    for target, logits in model.by_stream(data).items():
        gradients = torch.autograd.grad(logits[:, 0].sum(), list(data.values()), retain_graph=True)
        for source, gradient in zip(names, gradients, strict=True):
            assert gradient.abs().sum() > 0, f"{target} does not hear {source} through {point}"


def test_no_active_point_is_the_plain_streams() -> None:
    torch.manual_seed(0)
    space = FusionPointSpace()
    model = space.build(space.baseline, PAIR).eval()
    data = {name: torch.randn(2, 1, 16, 16, 16) for name in PAIR.names}
    plain = [model.streams[name](data[name]) for name in PAIR.names]
    assert torch.equal(model(data), (plain[0] + plain[1]) / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modules": ("mtmm",)}, "`module` must be one of .*concat_conv.*, but got 'mtmm'. Did you mean 'mmtm'"),
        ({"modules": ()}, r"`modules` must be at least one name, each once, but got \[\]"),
        ({"modules": ("mmtm", "mmtm")}, "`modules` must be at least one name, each once"),
        ({"modules": ("none",)}, "`modules` must name fusion modules, but got 'none'"),
        ({"preset": "smal"}, "`preset` must be one of small, paper, but got 'smal'. Did you mean 'small'"),
        ({"points": ("layer5",)}, "`points` must be places in the backbone, layer1_block1, .*, but got 'layer5'. Did you mean"),
        ({"points": ()}, "`points` must be at least one name"),
        ({"points": [["layer1"]]}, r"`points` must be at least one name, each once, but got \[\['layer1'\]\]"),
        ({"epochen": 3}, "`options` must be among epochs, .*, but got 'epochen'. Did you mean 'epochs'"),
        ({"gate": "sigmoid", "modules": ("concat_conv",)}, "`options` must be among .*, but got 'gate'"),
        ({"epochs": 0}, "`epochs` must be at least 1, but got 0"),
        ({"width": "wide"}, "`width` must be a number, but got 'wide'"),
        ({"epochs": 2.5}, "`epochs` must be a whole number, but got 2.5"),
        ({"batch_size": True}, "`batch_size` must be a whole number, but got True"),
        ({"max_pool": "false"}, "`max_pool` must be true or false, but got 'false'"),
        ({"optimiser": None}, "`optimiser` must be a word, but got None"),
        ({"patience": "long"}, "`patience` must be a whole number, but got 'long'"),
        ({"flips": 1}, "`flips` must be a list of axes, but got 1"),
        ({"ratio": 0.1}, "`ratio` must be at least 1, but got 0.1"),
        ({"gate": "tanh"}, "`gate` must be one of sigmoid, softmax, but got 'tanh'"),
        ({"backbone": "vgg"}, "`backbone` must be one of .*resnet10.*, but got 'vgg'"),
    ],
)
def test_wrong_options_raise_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_space("fusion-points", **options)


def test_wrong_cohorts_raise() -> None:
    space = FusionPointSpace()
    for method in (space.build, space.stages):
        with pytest.raises(ValueError, match=r"`inputs` must have at least two modalities to fuse, but got \['T1w'\]"):
            method(space.baseline, volumes("T1w"))
    with pytest.raises(ValueError, match="`inputs` must have at least two modalities to fuse"):
        space.references(volumes("T1w"))
    with pytest.raises(ValueError, match=r"`inputs` must have at least two classes, but got \['only'\]"):
        space.build(space.baseline, Inputs(PAIR.modalities, ("only",)))
    with pytest.raises(ValueError, match="`configuration` must choose 'layer1' from"):
        space.build({**space.baseline, "layer1": "concat_conv"}, PAIR)


def test_loading_an_unknown_space_raises() -> None:
    with pytest.raises(ValueError, match=r"`space` must be one of .*fusion-points.*, but got 'fusion-point'. Did you mean"):
        load_space("fusion-point")
