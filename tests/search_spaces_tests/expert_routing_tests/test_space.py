from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nas_fusion import Router, TrainingPlan, load_space, plugins
from nas_fusion.cohorts import Inputs, Modality
from search_spaces.expert_routing import PRESETS, ExpertRoutingSpace, Method, Mixture, ModelOptions

CLASSES = ("control", "patient")


def connectomes(*names: str, regions: int = 8) -> Inputs:
    return Inputs(tuple(Modality(name, "matrix", (regions, regions)) for name in names), CLASSES)


PAIR = connectomes("SC", "FC")


def test_the_space_is_found_by_name() -> None:
    space = load_space("expert-routing", preset="as_published", alpha=0.4)
    assert isinstance(space, ExpertRoutingSpace)
    assert (space.name, space.inherit, space.cohort) == ("expert-routing", "none", "simulated-connectomes")
    assert space.presets == ("small", "as_published")
    assert space.design.method.alpha == 0.4
    assert space.words.baseline == "the static model"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scope": "full", "modalities": ["SC", "FC", "MS"], "preset": "as_released", "stage1_epochs": 3},
        {"measures": ["degree"], "anchor": None, "patience": None, "noise": "off", "balance": False, "beta": 1},
        {"modalities": "SC,FC", "measures": "degree,strength", "threshold_by": "none", "gating": "balanced"},
    ],
)
def test_options_round_trip_through_json(options: dict[str, object]) -> None:
    space = load_space("expert-routing", **options)
    written = json.loads(json.dumps(space.options()))
    again = load_space("expert-routing", **written)
    assert isinstance(space, ExpertRoutingSpace) and isinstance(again, ExpertRoutingSpace)
    assert (again.design, again.parameters, again.options()) == (space.design, space.parameters, written)
    assert {name: written[name] for name in options if name != "modalities"} == {
        name: value for name, value in options.items() if name != "modalities"
    }


def test_options_reach_what_they_belong_to() -> None:
    space = ExpertRoutingSpace(
        hidden=12, measures=("degree",), alpha=1, noise="off", stage1="off", balance=True, init_noise=0.2
    )
    model, method = PRESETS["small"].model, PRESETS["small"].method
    assert space.design.model == replace(model, hidden=12, measures=("degree",))
    assert space.design.method == replace(method, alpha=1.0, noise=False, stage1=False, init_noise=0.2)
    assert space.design.plans == PRESETS["small"].plans


def test_training_options_are_for_all_stages_or_for_one() -> None:
    plans = ExpertRoutingSpace(
        epochs=7, stage2_epochs=3, stage3_learning_rate=0.5, patience=2, stage1_patience=None
    ).design.plans
    assert [plan.epochs for plan in plans] == [7, 3, 7]
    assert [plan.patience for plan in plans] == [None, 2, 2]
    assert plans[2].learning_rate == 0.5 != plans[1].learning_rate == PRESETS["small"].plans[1].learning_rate


def test_as_published_is_the_papers() -> None:
    preset = PRESETS["as_published"]
    model = preset.model
    assert (model.encoder, model.encoder_layers, model.hidden, model.layers, model.threshold) == ("gcn", 4, 128, 2, 0.12)
    assert (model.output_scale, preset.always_top_1) == (False, False)
    shared = TrainingPlan(
        epochs=500, batch_size=128, learning_rate=5e-4, weight_decay=1e-4, optimiser="adam", schedule="step", patience=150
    )
    assert preset.plans == (replace(shared, learning_rate=1e-3), shared, shared)
    assert preset.method == Method()


def test_small_is_trained_in_seconds() -> None:
    preset = PRESETS["small"]
    model = preset.model
    assert (model.encoder_layers, model.hidden, model.layers, model.pooling, model.threshold) == (2, 64, 1, "add", 0.2)
    assert [plan.epochs for plan in preset.plans] == [3, 12, 8]
    assert preset.method == Method(alpha=0.9, beta=0.03)


def test_as_released_differs_in_what_is_said_and_in_nothing_else() -> None:
    released, published = PRESETS["as_released"], PRESETS["as_published"]
    assert replace(released, model=published.model, always_top_1=False) == published
    assert released.model == replace(published.model, output_scale=True)
    assert released.method.stage3_trainable == "all"


def test_configurations_become_mixtures() -> None:
    space = ExpertRoutingSpace()
    design = space.design_of(space.complete({"sc": "e3k2", "fused": "e4k2", "granularity": "subject"}))
    assert design.mixtures == {
        "sc": Mixture(3, 2, granularity="subject"),
        "fc": None,
        "fused": Mixture(4, 2, granularity="subject"),
    }
    assert design.model == space.design.model and design.plans == space.design.plans


def test_configurations_of_the_full_scope_change_network_and_method() -> None:
    space = ExpertRoutingSpace("full")
    choices = {"fc": "e6dense", "fused": "e4k1", "noise": "off", "normalise": "before", "layers": "3", "threshold": "0.06"}
    rest = {"alpha": "0.2", "distillation": "off", "stage3_trainable": "fusion_only", "router": "shared", "init": "copy_noise"}
    design = space.design_of(space.complete({**choices, **rest}))
    assert design.model == replace(space.design.model, layers=3, threshold=0.06)
    assert design.method == replace(
        space.design.method,
        **{"noise": False, "normalise": "before", "alpha": 0.2, "distillation": False},
        **{"stage3_trainable": "fusion_only", "router": "shared", "init": "copy_noise"},
    )
    assert design.mixtures == {
        "sc": None,
        "fc": Mixture(6, None, noise=False, normalise="before"),
        "fused": Mixture(4, 1, noise=False, normalise="before"),
    }


def test_another_router_can_gate() -> None:
    space = ExpertRoutingSpace(gating="balanced")
    network = space.build(space.complete({"fused": "e3k2"}), PAIR)
    assert type(network.branches["fused"][0].router).__name__ == "BalancedRouter"  # type: ignore[index, union-attr]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scope": "branch"}, "`scope` must be one of branches, full, but got 'branch'. Did you mean 'branches'"),
        ({"preset": "as_publised"}, "`preset` must be one of small, as_published, as_released, but got .*mean 'as_published'"),
        ({"modalities": ("SC",)}, r"`modalities` must be at least two to fuse, but got \['SC'\]"),
        ({"modalities": ()}, r"`modalities` must be names, but got \(\)"),
        ({"modalities": 3}, "`modalities` must be names, but got 3"),
        ({"modalities": ("SC", "sc")}, r"`modalities` must differ in lower case .*, but got \['SC', 'sc'\]"),
        ({"modalities": ("SC", "Fused")}, "`modalities` must differ in lower case from each other, from 'fused'"),
        ({"modalities": ("SC", "noise")}, "`modalities` must differ .* from the options granularity, noise, .*"),
        ({"epochen": 3}, r"`options` must be among encoder, .*\(of training.*\), but got 'epochen'. Did you mean 'epochs'"),
        ({"stage4_epochs": 3}, "`options` must be among .*, but got 'stage4_epochs'. Did you mean 'stage[1-3]_epochs'"),
        ({"output_scale": True}, "`options` must be among .*, but got 'output_scale'"),
        ({"flips": [0]}, "`options` must be among .*, but got 'flips'"),
        ({"hidden": 1.5}, "`hidden` must be a whole number, but got 1.5"),
        ({"alpha": "high"}, "`alpha` must be a number, but got 'high'"),
        ({"alpha": 1.5}, r"`alpha` must be in \[0, 1\], but got 1.5"),
        ({"alpha": float("nan")}, r"`alpha` must be in \[0, 1\], but got nan"),
        ({"beta": -1}, "`beta` must be a finite number of at least 0, but got -1"),
        ({"init_noise": 0}, "`init_noise` must be a finite number above 0, but got 0"),
        ({"noise": "maybe"}, "`noise` must be on or off, but got 'maybe'"),
        ({"stage1": 1}, "`stage1` must be on or off, but got 1"),
        ({"granularity": "token"}, "`granularity` must be one of node, subject, but got 'token'"),
        ({"init": "copynoise"}, "`init` must be one of copy, copy_noise, but got 'copynoise'. Did you mean 'copy_noise'"),
        ({"gating": "topk"}, "`gating` must be one of .*, but got 'topk'. Did you mean 'top_k'"),
        ({"gating": "dense"}, "`gating` must select some experts, but got 'dense'"),
        ({"stage3_trainable": "fusion"}, "`stage3_trainable` must be one of all, fusion_only, but got 'fusion'"),
        ({"measures": 3}, "`measures` must be a list of names, but got 3"),
        ({"pooling": "sum"}, "`pooling` must be one of mean, add, max, but got 'sum'"),
        ({"stage2_epochs": 0}, "`epochs` must be at least 1, but got 0"),
        (
            {"scope": "full", "alpha": 1},
            r"`alpha` must be in \(0, 1\) and `beta` above 0 in scope 'full'.* got 1.0 and 0.03",
        ),
        ({"anchor": 32, "projection": 16}, "`anchor` must be as wide as `projection` for disentanglement, 16, but got 32"),
        ({"scope": "full", "beta": 0}, r"`alpha` must be in \(0, 1\) and `beta` above 0 in scope 'full'.*but got 0.9 and 0.0"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExpertRoutingSpace(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (connectomes("SC", "FC", "MS"), "`modalities` must be those of the cohort, SC, FC, MS, but got SC, FC"),
        (connectomes("SC"), "`modalities` must be those of the cohort, SC, but got SC, FC"),
        (Inputs(PAIR.modalities, ("all",)), r"`inputs` must have at least two classes, but got \['all'\]"),
        (
            Inputs((Modality("SC", "matrix", (8, 8)), Modality("FC", "vector", (8,))), CLASSES),
            "`inputs` must be connectomes, but 'FC' is of the kind 'vector'",
        ),
    ],
)
def test_cohorts_that_the_space_is_not_for(inputs: Inputs, message: str) -> None:
    space = ExpertRoutingSpace()
    for use in (
        space.references,
        lambda inputs: space.build(space.baseline, inputs),
        lambda i: space.stages(space.baseline, i),
    ):
        with pytest.raises(ValueError, match=message):
            use(inputs)


def test_modalities_may_come_in_another_order() -> None:
    space = ExpertRoutingSpace()
    network = space.build(space.complete({"sc": "e3k2"}), connectomes("FC", "SC"))
    assert list(network.encoders) == ["FC", "SC"]
    assert len(network.branches["sc"][0].experts) == 3  # type: ignore[index, union-attr, arg-type]


def test_model_options_are_public() -> None:
    assert ModelOptions(standardise="modality") == PRESETS["as_published"].model


def test_a_router_that_cannot_select_is_refused_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Everything(Router):
        def __init__(self, features: int, experts: int, *, granularity: str = "token") -> None:
            super().__init__(features, experts, granularity=granularity)

    monkeypatch.setattr(plugins, "names", lambda kind: ("everything", "top_k"))
    monkeypatch.setattr(plugins, "load", lambda kind, name: Everything)
    with pytest.raises(ValueError, match=r"`gating` must be a router with an option k, .*, but 'everything' has none"):
        ExpertRoutingSpace(gating="everything")
