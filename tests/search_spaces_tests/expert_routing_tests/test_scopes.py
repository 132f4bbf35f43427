from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion import Configuration
from search_spaces.expert_routing import ExpertRoutingSpace, Mixture, ModelOptions
from search_spaces.expert_routing.losses import RoutingLoss
from search_spaces.expert_routing.network import ConnectomeNetwork
from search_spaces.expert_routing.scopes import Composite, composite

from .connectomes import batch_of, inputs_of

FULL = ExpertRoutingSpace("full")
GATING = ("granularity", "noise", "normalise", "router", "init", "balance")
TERMS = ("contrastive", "distillation", "disentanglement", "balance")


@st.composite
def configurations(draw: st.DrawFn, space: ExpertRoutingSpace = FULL) -> Configuration:
    return Configuration({p: draw(st.sampled_from(choices)) for p, choices in space.parameters.items()})


def meaning(choices: Mapping[str, str], branches: tuple[str, ...] = ("sc", "fc", "fused")) -> object:
    """Return what a configuration trains, written down independently of the rules: equal for equivalent configurations."""
    mixtures = {b: composite(choices[b]) for b in branches}
    routed = [(b, m) for b, m in mixtures.items() if m]
    sparse = [m for _, m in routed if m.k]
    has_stage1, has_stage2 = choices["stage1"] == "on", choices["stage2"] == "on"
    second: dict[str, str] = {}
    if has_stage2:
        second = {t: choices["beta"] for t in TERMS[:2] if choices[t] == "on" and (t == "contrastive" or has_stage1)}
    constant_gates = choices["noise"] == "off" and choices["normalise"] == "after"
    balanced = [m for _, m in routed if not (m.k == 1 and constant_gates)]
    third = {"disentanglement": choices["alpha"]} if choices["disentanglement"] == "on" else {}
    if choices["balance"] == "on" and balanced:
        third["balance"] = choices["alpha"]
    layers = [m for _, m in routed for _ in range(int(choices["layers"]))]
    return {
        "mixtures": mixtures,
        "granularity": routed and choices["granularity"],
        "noise": sparse and choices["noise"],
        "normalise": any(m.k and m.k < m.experts for _, m in routed) and choices["normalise"],
        "router": len(set(layers)) < len(layers) and choices["router"],
        "experts start as": choices["init"] if routed and has_stage2 else "drawn",
        "stages": (has_stage1, has_stage2),
        "second": second,
        "third": third,
        **{p: choices[p] for p in ("stage3_trainable", "layers", "expert", "pooling", "threshold")},
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("static", None), ("e3k2", Composite(3, 2)), ("e4dense", Composite(4, None)), ("e12k1", Composite(12, 1))],
)
def test_composites(choice: str, expected: Composite | None) -> None:
    assert composite(choice) == expected


@pytest.mark.parametrize("choice", ["e3", "k2", "e3k2x", "dense", "E3K2", ""])
def test_what_is_no_composite(choice: str) -> None:
    with pytest.raises(ValueError, match=f"`choice` must be 'static' or look like 'e3k2' or 'e3dense', but got '{choice}'"):
        composite(choice)


# --- scope branches ---


def test_parameters_of_the_default_scope() -> None:
    assert dict(ExpertRoutingSpace().parameters) == {
        "sc": ("static", "e3k2"),
        "fc": ("static", "e3k2"),
        "fused": ("static", "e2k2", "e3k2", "e4k2"),
        "granularity": ("node", "subject"),
    }


def test_there_are_31_canonical_configurations() -> None:
    space = ExpertRoutingSpace()
    found = list(space.configurations())
    assert len(found) == len(set(found)) == space.n_configurations == 31
    assert [c for c in found if c["granularity"] == "subject" and set(c.values()) == {"static", "subject"}] == []
    assert space.canonical({**space.baseline, "granularity": "subject"}) == space.baseline


@pytest.mark.parametrize(("modalities", "count"), [(("SC", "FC", "MS"), 63), (("SC", "FC", "partial", "MS"), 127)])
def test_more_modalities_have_one_parameter_each(modalities: tuple[str, ...], count: int) -> None:
    space = ExpertRoutingSpace(modalities=modalities)
    assert list(space.parameters) == [*(m.lower() for m in modalities), "fused", "granularity"]
    assert space.n_configurations == count == 2 * (2 ** len(modalities) * 4 - 1) + 1


def test_as_released_runs_one_expert() -> None:
    space = ExpertRoutingSpace(preset="as_released")
    assert dict(space.parameters)["sc"] == ("static", "e3k1")
    assert dict(space.parameters)["fused"] == ("static", "e2k1", "e3k1", "e4k1")
    assert space.n_configurations == 31
    assert dict(ExpertRoutingSpace("full", preset="as_released").parameters)["fused"] == (
        "static",
        "e2k1",
        "e3k1",
        "e4k1",
        "e6k1",
    )


def test_every_forward_move_reaches_a_configuration_and_every_configuration_is_reached() -> None:
    space = ExpertRoutingSpace()
    reached, front = {space.baseline}, [space.baseline]
    while front:
        front = [move for here in front for move in space.forward_moves(here) if move not in reached]
        reached |= set(front)
    assert reached == set(space.configurations())


def test_changes_of_a_mixture() -> None:
    space = ExpertRoutingSpace()
    here = space.complete({"fused": "e3k2", "granularity": "subject"})
    assert [space.active(move)["fused"] for move in space.change_moves(here)] == ["e2k2", "e4k2"]
    assert all(move["granularity"] == "subject" for move in space.change_moves(here))


# --- scope full ---


def test_first_choices_are_the_presets() -> None:
    published = ExpertRoutingSpace("full", preset="as_published").baseline
    assert dict(published) == {
        **dict.fromkeys(("sc", "fc", "fused"), "static"),
        **{"granularity": "node", "noise": "on", "normalise": "after", "router": "per_branch", "init": "copy"},
        **dict.fromkeys(("stage1", "stage2", *TERMS), "on"),
        **{"alpha": "0.6", "beta": "0.3", "stage3_trainable": "all"},
        **{"layers": "2", "expert": "linear", "pooling": published["pooling"], "threshold": "0.12"},
    }
    given = ExpertRoutingSpace("full", alpha=0.5, stage1="off", layers=3, threshold=0.2).parameters
    assert given["alpha"] == ("0.5", "0.2", "0.4", "0.6", "0.8")
    assert given["stage1"] == ("off", "on")
    assert given["layers"] == ("3", "1", "2")
    assert given["threshold"] == ("0.2", "0.02", "0.06", "0.12", "0.3")


def test_full_has_all_composites() -> None:
    assert FULL.parameters["sc"] == FULL.parameters["fused"]
    assert set(FULL.parameters["sc"]) == {
        *("static", "e2k1", "e2k2", "e3k1", "e3k2", "e3dense", "e4k1", "e4k2", "e4dense", "e6k1", "e6k2", "e6dense"),
    }


@settings(deadline=None, max_examples=150)
@given(configurations(), st.data())
def test_configurations_are_canonically_equal_where_they_mean_the_same_and_only_there(
    one: Configuration, data: st.DataObject
) -> None:
    changed = data.draw(st.sampled_from(list(FULL.parameters)))
    other = one.with_choices({changed: data.draw(st.sampled_from(FULL.parameters[changed]))})
    assert meaning(FULL.canonical(one)) == meaning(one)
    assert (FULL.canonical(one) == FULL.canonical(other)) == (meaning(one) == meaning(other))


@settings(deadline=None, max_examples=25)
@given(configurations())
def test_moves_stay_canonical_in_the_full_scope(configuration: Configuration) -> None:
    here = FULL.canonical(configuration)
    for move in (*FULL.backward_moves(here), *FULL.forward_moves(here)[:10], *FULL.change_moves(here)[:10]):
        assert FULL.canonical(move) == move != here
    assert all(here in FULL.change_moves(there) for there in FULL.change_moves(here)[:5])


@pytest.mark.parametrize(
    ("choices", "without_effect"),
    [
        ({}, GATING),
        ({"fused": "e3dense"}, ("noise", "normalise", "router")),
        ({"fused": "e2k2"}, ("normalise", "router")),
        ({"fused": "e3k1", "noise": "off"}, ("balance", "router")),
        ({"fused": "e3k2", "stage2": "off"}, ("init", "contrastive", "distillation", "beta", "router")),
        ({"fused": "e3k2", "sc": "e4k2", "stage1": "off"}, ("distillation", "router")),
        ({"fused": "e3k2", "sc": "e3k2"}, ()),
        ({"fused": "e3k2", "layers": "2"}, ()),
        (
            {"contrastive": "off", "distillation": "off"},
            ("beta", *GATING),
        ),
        ({"disentanglement": "off"}, ("alpha", *GATING)),
    ],
)
def test_what_has_no_effect(choices: dict[str, str], without_effect: tuple[str, ...]) -> None:
    configuration = FULL.complete(choices)
    assert {p for p in FULL.parameters if not FULL.is_active(p, configuration)} == set(without_effect)


def test_noise_and_normalisation_belong_to_noisy_top_k() -> None:
    space = ExpertRoutingSpace("full", gating="balanced")
    assert {"noise", "normalise"}.isdisjoint(space.parameters)
    assert space.is_active("balance", space.complete({"fused": "e3k1"}))


def test_a_threshold_that_is_no_fraction_is_not_searched() -> None:
    assert "threshold" not in ExpertRoutingSpace("full", threshold_by="none").parameters
    assert "threshold" not in ExpertRoutingSpace("full", threshold_by="absolute").parameters


# --- the rules against the network ---


def gradients(mixture: Mixture, loss: RoutingLoss) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the loss of a network in training with a mixture in its fused branch, and the gradients of its parameters."""
    torch.manual_seed(0)
    inputs = inputs_of(SC=5, FC=5)
    model = ConnectomeNetwork(inputs, ModelOptions(hidden=4, projection=4, encoder_layers=1, layers=1), {"fused": mixture})
    torch.manual_seed(1)
    total = sum(loss(model, batch_of(inputs)).values(), start=torch.zeros(()))
    torch.autograd.backward(total)
    return float(total.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


PLAIN, BALANCED = RoutingLoss(0.5, balance=False), RoutingLoss(0.5, balance=True)


@pytest.mark.parametrize(
    ("one", "other", "losses"),
    [
        (Mixture(2, 2), Mixture(2, 2, normalise="before"), (BALANCED, BALANCED)),
        (Mixture(3, None), Mixture(3, None, noise=False, normalise="before"), (BALANCED, BALANCED)),
        (Mixture(3, 1, noise=False), Mixture(3, 1, noise=False), (PLAIN, BALANCED)),
    ],
)
def test_what_has_no_effect_changes_no_gradient(one: Mixture, other: Mixture, losses: tuple[RoutingLoss, RoutingLoss]) -> None:
    (value, first), (again, second) = gradients(one, losses[0]), gradients(other, losses[1])
    assert losses[0] != losses[1] or abs(value - again) < 1e-6
    for name in first.keys() & second.keys():
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-6)
    assert all(not gradient.any() for name, gradient in second.items() if name not in first)


@pytest.mark.parametrize(
    ("one", "other", "losses"),
    [
        (Mixture(3, 1), Mixture(3, 1, normalise="before"), (PLAIN, PLAIN)),
        (Mixture(2, 2), Mixture(2, 2, noise=False), (PLAIN, PLAIN)),
        (Mixture(3, 1), Mixture(3, 1), (PLAIN, BALANCED)),
        (Mixture(3, 1, noise=False, normalise="before"),) * 2 + ((PLAIN, BALANCED),),
    ],
)
def test_what_has_an_effect_changes_a_gradient(one: Mixture, other: Mixture, losses: tuple[RoutingLoss, RoutingLoss]) -> None:
    (_, first), (_, second) = gradients(one, losses[0]), gradients(other, losses[1])
    zero = torch.zeros(())
    names = first.keys() | second.keys()
    assert any(not torch.allclose(first.get(name, zero), second.get(name, zero), atol=1e-7) for name in names)
