from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion import MixtureOfExperts, routings
from nas_fusion.cohorts import Inputs, Modality
from search_spaces.expert_routing.layers import StaticLayer
from search_spaces.expert_routing.network import ConnectomeNetwork, Mixture, ModelOptions, UnimodalNetwork

from .connectomes import CLASSES, batch_of, inputs_of, shaken, taken

TINY = ModelOptions(encoder_layers=2, hidden=8, projection=8, layers=2, dropout=0.0, threshold=0.2)
TWO = inputs_of(SC=12, FC=9)
EVERYWHERE = {"sc": Mixture(2, 1, normalise="before"), "fc": Mixture(3, None), "fused": Mixture(3, 2)}


def network(inputs: Inputs = TWO, options: ModelOptions = TINY, mixtures: object = None, **more: bool) -> ConnectomeNetwork:
    torch.manual_seed(0)
    model = ConnectomeNetwork(inputs, options, EVERYWHERE if mixtures is None else mixtures, **more)  # type: ignore[arg-type]
    shaken(model)
    model.prepare(batch_of(inputs, 12))
    return model.eval()


VARIANTS = {
    "static": {"mixtures": {}},
    "mixtures": {},
    "subject": {"mixtures": {branch: Mixture(3, 2, granularity="subject") for branch in ("sc", "fc", "fused")}},
    "balanced": {"mixtures": {"fused": Mixture(4, 2, router="balanced")}},
    "shared": {"mixtures": dict.fromkeys(("sc", "fc", "fused"), Mixture(3, 2)), "shared_router": True},
    "gin": {"options": replace(TINY, encoder="gin", pooling="add", expert="mlp")},
    "transformer": {"options": replace(TINY, encoder="graph_transformer", pooling="max", output_scale=True)},
    "features": {"options": replace(TINY, sc_transform="rank", fc_transform="fisher", measures=("degree", "eigenvector"))},
    "three": {"inputs": inputs_of(SC=12, FC=9, morphometry=7), "mixtures": {"morphometry": Mixture(2), "fused": Mixture(2)}},
    "four": {"inputs": inputs_of(SC=5, FC=9, FC2=5, **{"SC.late": 6}), "mixtures": {"sc%2Elate": Mixture(2)}},
    "tangent": {"inputs": Inputs((Modality("SC", "matrix", (9, 9)), Modality("FC", "covariance", (7, 7))), CLASSES)},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_batch_is_its_subjects_in_any_order(name: str) -> None:
    model = network(**VARIANTS[name])  # type: ignore[arg-type]
    inputs = VARIANTS[name].get("inputs", TWO)
    assert isinstance(inputs, Inputs)
    batch = batch_of(inputs, 6, seed=9)
    logits = model(batch.inputs, batch.present)
    assert logits.shape == (6, 2) and torch.isfinite(logits).all() and (logits.std(0) > 1e-3).all()
    singles = torch.cat([model(taken(batch, [i]).inputs) for i in range(6)])
    torch.testing.assert_close(logits, singles, rtol=1e-3, atol=1e-4)
    order = [3, 0, 5, 1, 2, 4]
    torch.testing.assert_close(model(taken(batch, order).inputs), logits[order], rtol=1e-3, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_no_subject_changes_another_ones_logits(data: st.DataObject) -> None:
    model = network()
    batch, other = batch_of(TWO, 5, seed=3), batch_of(TWO, 5, seed=77)
    kept = data.draw(st.integers(0, 4))
    mixed = {
        name: torch.cat([v[:kept], batch.inputs[name][kept : kept + 1], v[kept + 1 :]]) for name, v in other.inputs.items()
    }
    torch.testing.assert_close(model(mixed)[kept], model(batch.inputs)[kept], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_precomputation_changes_no_number(name: str) -> None:
    model = network(**VARIANTS[name])  # type: ignore[arg-type]
    inputs = VARIANTS[name].get("inputs", TWO)
    assert isinstance(inputs, Inputs)
    batch = batch_of(inputs)
    graphs = model.options.graphs(inputs.modalities)
    torch.testing.assert_close(model({**batch.inputs, **graphs(batch.inputs)}), model(batch.inputs))


@pytest.mark.parametrize("regions", [80, 90, 116, 400])
def test_any_number_of_regions(regions: int) -> None:
    options = replace(TINY, hidden=4, projection=4)
    inputs = inputs_of(SC=regions, FC=regions)
    model, batch = ConnectomeNetwork(inputs, options, {"fused": Mixture(2, 1)}), batch_of(inputs, 2)
    model.prepare(batch)
    found = model.eval().represent(batch.inputs)
    assert found.tokens["FC"].shape == (2, regions, 4)
    assert found.routings["branches.fused.0"].gates.shape == (2, 2 * regions, 2)
    assert torch.isfinite(found.logits).all()


def test_representation_holds_what_losses_need_of_one_pass() -> None:
    model, batch = network(), batch_of(TWO)
    found = model.represent(batch.inputs)
    assert {name: x.shape for name, x in found.tokens.items()} == {"SC": (6, 12, 8), "FC": (6, 9, 8)}
    assert {name: x.shape for name, x in found.branches.items()} == {"sc": (6, 8), "fc": (6, 8), "fused": (6, 8)}
    torch.testing.assert_close(found.shared["FC"], model.shared["FC"](found.tokens["FC"]).mean(1))
    torch.testing.assert_close(found.anchor, model.anchor(torch.cat(list(found.branches.values()), 1)))
    torch.testing.assert_close(found.logits, model(batch.inputs))
    with routings(model) as seen:
        model(batch.inputs)
    assert list(seen) == list(found.routings) == [f"branches.{b}.{layer}" for b in ("sc", "fc", "fused") for layer in (0, 1)]
    for name, routing in found.routings.items():
        torch.testing.assert_close(routing.gates, seen[name].gates)


def test_branches_are_residual_layers_over_the_tokens_of_their_projections() -> None:
    model, batch = network(mixtures={}), batch_of(TWO)
    found = model.represent(batch.inputs)
    specific = model.specific["FC"](found.tokens["FC"])
    both = torch.cat([model.shared["SC"](found.tokens["SC"]), model.shared["FC"](found.tokens["FC"])], dim=1)
    for branch, tokens in (("fc", specific), ("fused", both)):
        for layer in model.branches[branch]:
            tokens = tokens + layer.experts[0](tokens)
        torch.testing.assert_close(found.branches[branch], tokens.mean(1))


def test_tensor_names_are_those_that_stages_and_users_rest_on() -> None:
    model = network(teachers=True)
    names = set(model.state_dict())
    assert isinstance(model.branches["sc"][0], MixtureOfExperts)
    assert {name.split(".")[0] for name in names} == {
        "encoders", "specific", "shared", "branches", "anchor", "classifier", "temperature", "teachers"
    }  # fmt: skip
    static = set(network(mixtures={}).state_dict())
    assert isinstance(network(mixtures={}).branches["sc"][0], StaticLayer)
    assert static == {name for name in names if "teachers" not in name and "router" not in name and ".experts." not in name} | {
        name for name in names if ".experts.0." in name
    }
    unimodal = UnimodalNetwork(TWO.modalities[0], 2, TINY).state_dict()
    assert {f"teachers.SC.{name}" for name in unimodal} == {name for name in names if name.startswith("teachers.SC.")}
    assert {name for name in unimodal if name.startswith("encoders.")} == {n for n in names if n.startswith("encoders.SC.")}


def test_shared_router_is_one_for_equal_mixtures_only() -> None:
    mixtures = {"sc": Mixture(3, 2), "fc": Mixture(3, 2), "fused": Mixture(2, 2)}
    model = network(mixtures=mixtures, shared_router=True)
    routers = {branch: {layer.router for layer in model.branches[branch]} for branch in mixtures}
    assert routers["sc"] == routers["fc"] and len(routers["sc"]) == 1 and not routers["sc"] & routers["fused"]
    own = network(mixtures=mixtures)
    assert len({layer.router for branch in mixtures for layer in own.branches[branch]}) == 6


def test_output_scale_divides_what_a_mixture_adds() -> None:
    mixtures = {"sc": Mixture(4, None)}
    plain, scaled = network(mixtures=mixtures), network(mixtures=mixtures, options=replace(TINY, output_scale=True))
    tokens = torch.randn(2, 5, 8)
    added = plain._run("sc", tokens, {})
    assert not torch.allclose(scaled._run("sc", tokens, {}), added)
    first = plain.branches["sc"][0](tokens)[0] / 4
    second = plain.branches["sc"][1](tokens + first)[0] / 4
    torch.testing.assert_close(scaled._run("sc", tokens, {}), tokens + first + second)


def test_teachers_stay_frozen_and_evaluate_while_the_rest_trains() -> None:
    model, batch = network(teachers=True).train(), batch_of(TWO)
    assert not any(p.requires_grad for p in model.teachers.parameters())
    assert not any(module.training for module in model.teachers.modules() if module is not model.teachers)
    before = {name: tensor.clone() for name, tensor in model.teachers.state_dict().items()}
    model.teachers["SC"](batch.inputs)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.teachers.state_dict().items())
    assert model.encoders["SC"].training and not model.eval().encoders["SC"].training


def test_learns_in_half_precision_too() -> None:
    model, batch = network().train(), batch_of(TWO)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(batch.inputs, batch.present)
    logits.float().sum().backward()
    gradients = [p.grad for name, p in model.named_parameters() if name.startswith(("encoders", "branches"))]
    assert all(g is None or torch.isfinite(g).all() for g in gradients) and gradients[0] is not None


def test_every_parameter_but_the_temperature_learns_from_the_task() -> None:
    mixtures = {branch: Mixture(3, 2) for branch in ("sc", "fc", "fused")}
    model, batch = network(mixtures=mixtures).train(), batch_of(TWO, 12)
    torch.nn.functional.cross_entropy(model(batch.inputs), batch.labels).backward()
    without = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == {"temperature"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (inputs_of(SC=5), r"`inputs` must have at least two modalities to fuse, but got \['SC'\]"),
        (inputs_of(SC=5, sc=5), r"`inputs` must have names that branches can have, but got \['SC', 'sc'\]"),
        (inputs_of(SC=5, fused=5), r"`inputs` must have names that branches can have, but got \['SC', 'fused'\]"),
        (inputs_of(SC=5, Keys=5), r"`inputs` must have names that branches can have, but got \['SC', 'Keys'\]"),
        (
            Inputs((Modality("SC", "matrix", (5, 5)), Modality("age", "vector", (1,))), CLASSES),
            "`inputs` must be connectomes, but 'age' is of the kind 'vector'",
        ),
    ],
)
def test_wrong_modalities_raise(inputs: Inputs, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConnectomeNetwork(inputs, TINY, {})


def test_wrong_use_raises() -> None:
    model, batch = network(), batch_of(TWO)
    with pytest.raises(ValueError, match="`mixtures` must be for the branches sc, fc, fused, but got 'shared'"):
        ConnectomeNetwork(TWO, TINY, {"shared": Mixture(2)})
    with pytest.raises(ValueError, match=r"`k` must be in \[1, 2\], the number of experts, but got 3"):
        Mixture(2, 3)
    with pytest.raises(ValueError, match=r"`inputs` must hold \['SC', 'FC'\], but \['FC'\] are missing"):
        model({"SC": batch.inputs["SC"]})
    with pytest.raises(ValueError, match="`present` must show every modality for each subject"):
        model(batch.inputs, torch.tensor([[True, False]] * 6))
