from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from nas_fusion.cohorts import Batch
from search_spaces.expert_routing.losses import (
    RoutingLoss,
    StaticLoss,
    contrastive_loss,
    disentanglement_loss,
    distillation_loss,
    task_loss,
)
from search_spaces.expert_routing.network import ConnectomeNetwork, Mixture, UnimodalNetwork

from .connectomes import batch_of, inputs_of
from .test_network import EVERYWHERE, TINY, TWO, network

Array = npt.NDArray[np.float64]


def unit(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def info_nce(shared: list[Array], temperature: float) -> float:
    """Symmetric InfoNCE, subject by subject, from its definition."""
    total = 0.0
    for a, b in combinations([unit(x) for x in shared], 2):
        for query, keys in ((a, b), (b, a)):
            losses = [-log_softmax(keys @ query[i] / temperature)[i] for i in range(len(query))]
            total += float(np.mean(losses)) / 2
    return total


def disentangled(branches: list[Array], anchor: Array) -> float:
    """Disentanglement, subject by subject and branch by branch, from its definition."""
    total = 0.0
    for subject in range(len(anchor)):
        vectors = [unit(x[subject]) for x in branches]
        for i, query in enumerate(vectors):
            keys = [unit(anchor[subject]), *(vector for j, vector in enumerate(vectors) if j != i)]
            total -= log_softmax(np.array([key @ query for key in keys]) / 0.1)[0]
    return total / len(anchor)


@pytest.mark.parametrize("modalities", [2, 3, 4])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_contrastive_loss_is_its_definition(modalities: int, temperature: float) -> None:
    shared = {str(i): drawn(7, 5, seed=i) for i in range(modalities)}
    found = contrastive_loss(shared, torch.tensor(temperature).log())
    assert float(found) == pytest.approx(info_nce([x.double().numpy() for x in shared.values()], temperature), rel=1e-5)


def test_contrastive_temperature_learns_and_cannot_vanish() -> None:
    shared = {"SC": drawn(6, 4), "FC": drawn(6, 4, seed=1)}
    learned = torch.tensor(0.2).log().requires_grad_()
    contrastive_loss(shared, learned).backward()
    assert learned.grad is not None and learned.grad != 0
    assert float(contrastive_loss(shared, torch.tensor(-99.0))) == pytest.approx(
        info_nce([x.double().numpy() for x in shared.values()], 0.01), rel=1e-4
    )


def test_similarities_keep_their_precision_under_autocast() -> None:
    shared = {"SC": drawn(6, 4), "FC": drawn(6, 4, seed=1), "fused": drawn(6, 4, seed=2)}
    temperature, anchor = torch.tensor(0.01).log(), drawn(6, 4, seed=3)
    plain = contrastive_loss(shared, temperature), disentanglement_loss(shared, anchor)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = contrastive_loss(shared, temperature), disentanglement_loss(shared, anchor)
    torch.testing.assert_close(half, plain)


def test_contrastive_loss_of_one_subject_is_zero() -> None:
    assert contrastive_loss({"SC": drawn(1, 4), "FC": drawn(1, 4, seed=1)}, torch.tensor(0.0)) == 0


@pytest.mark.parametrize("branches", [3, 4])
def test_disentanglement_loss_is_its_definition(branches: int) -> None:
    given = {str(i): drawn(6, 5, seed=i) for i in range(branches)}
    anchor = drawn(6, 5, seed=9)
    wanted = disentangled([x.double().numpy() for x in given.values()], anchor.double().numpy())
    assert float(disentanglement_loss(given, anchor)) == pytest.approx(wanted, rel=1e-5)


def test_disentanglement_needs_an_anchor_as_wide_as_the_branches() -> None:
    with pytest.raises(ValueError, match="`anchor` must be as wide as the branches for disentanglement, 5, but got 4"):
        disentanglement_loss({"sc": drawn(6, 5)}, drawn(6, 4))


def with_teachers() -> tuple[ConnectomeNetwork, Batch]:
    return network(teachers=True).train(), batch_of(TWO, 8)


def test_distillation_is_the_divergence_of_what_the_frozen_heads_read() -> None:
    model, batch = with_teachers()
    found = model.represent(batch.inputs)
    wanted = 0.0
    for name, teacher in zip(TWO.names, model.teachers.values(), strict=True):
        assert isinstance(teacher, UnimodalNetwork)
        p = softmax(teacher(batch.inputs).detach().double().numpy() / 3, axis=1)
        head = teacher.heads[name]
        read = nn.functional.linear(found.tokens[name].mean(1), head.weight, head.bias)  # type: ignore[arg-type]
        log_q = log_softmax(read.detach().double().numpy() / 3, axis=1)
        wanted += 9 * float((p * (np.log(p) - log_q)).sum(1).mean())
    assert wanted > 1e-3
    assert distillation_loss(model, found.tokens, batch.inputs).item() == pytest.approx(wanted, rel=1e-4)


def test_encoders_that_have_not_moved_have_nothing_to_distil() -> None:
    model, batch = with_teachers()
    model.eval()
    for name, teacher in zip(TWO.names, model.teachers.values(), strict=True):
        assert isinstance(teacher, UnimodalNetwork)
        model.encoders[name].load_state_dict(teacher.encoders[name].state_dict())
    tokens = model.represent(batch.inputs).tokens
    assert distillation_loss(model, tokens, batch.inputs).item() == pytest.approx(0, abs=1e-6)


def test_distillation_trains_encoders_and_nothing_of_the_teachers() -> None:
    model, batch = with_teachers()
    distillation_loss(model, model.represent(batch.inputs).tokens, batch.inputs).backward()
    moved = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {"encoders"}


def test_distillation_without_teachers_raises() -> None:
    model, batch = network(), batch_of(TWO)
    with pytest.raises(ValueError, match="`network` must have teachers to distil from"):
        StaticLoss()(model, batch)


def test_terms_of_the_static_stage_are_weighted_by_beta() -> None:
    model, batch = with_teachers()
    model.eval()
    found, terms = model.represent(batch.inputs), StaticLoss(beta=0.4)(model, batch)
    assert list(terms) == ["task", "contrastive", "distillation"]
    torch.testing.assert_close(terms["task"], nn.functional.cross_entropy(found.logits, batch.labels))
    torch.testing.assert_close(terms["contrastive"], 0.4 * contrastive_loss(found.shared, model.temperature))
    torch.testing.assert_close(terms["distillation"], 0.4 * distillation_loss(model, found.tokens, batch.inputs))
    assert list(StaticLoss(contrastive=False)(model, batch)) == ["task", "distillation"]
    assert list(StaticLoss(distillation=False)(model, batch)) == ["task", "contrastive"]


def squared_variation(values: Array) -> float:
    return float(values.var() / values.mean() ** 2)


def test_balance_is_the_sum_over_all_mixtures_times_a_hundredth() -> None:
    model, batch = network(), batch_of(TWO)
    found, terms = model.represent(batch.inputs), RoutingLoss(alpha=0.3)(model, batch)
    assert list(terms) == ["task", "balance", "disentanglement"] and len(found.routings) == 6
    wanted = 0.0
    for routing in found.routings.values():
        gates, load = routing.gates.detach().double().numpy(), routing.load.detach().double().numpy()
        wanted += squared_variation(gates.sum((0, 1))) + squared_variation(load)
    assert terms["balance"].item() == pytest.approx(0.3 * 0.01 * wanted, rel=1e-4) and wanted > 0.1
    torch.testing.assert_close(terms["disentanglement"], 0.7 * disentanglement_loss(found.branches, found.anchor))
    torch.testing.assert_close(terms["task"], nn.functional.cross_entropy(found.logits, batch.labels))
    assert list(RoutingLoss(balance=False)(model, batch)) == ["task", "disentanglement"]
    assert list(RoutingLoss(disentanglement=False)(model, batch)) == ["task", "balance"]


def test_balance_without_mixtures_is_zero() -> None:
    terms = RoutingLoss()(network(mixtures={}), batch_of(TWO))
    assert terms["balance"].item() == 0 and terms["balance"].shape == ()


def test_balance_moves_routers() -> None:
    model, batch = network(mixtures={"fused": Mixture(3, 1)}).train(), batch_of(TWO)
    RoutingLoss()(model, batch)["balance"].backward()
    gradient = model.branches["fused"][0].router.gate.weight.grad
    assert gradient is not None and gradient.any()


def test_first_stage_has_the_task_alone() -> None:
    torch.manual_seed(0)
    model, batch = UnimodalNetwork(TWO.modalities[1], 2, TINY).eval(), batch_of(TWO)
    terms = task_loss(model, batch)
    wanted = -log_softmax(model(batch.inputs).detach().double().numpy(), axis=1)[range(6), batch.labels].mean()
    assert list(terms) == ["task"] and terms["task"].item() == pytest.approx(wanted, rel=1e-5)
    with pytest.raises(TypeError, match="`model` must be a ConnectomeNetwork, but got UnimodalNetwork"):
        RoutingLoss()(model, batch)


def test_three_modalities_have_all_terms() -> None:
    inputs = inputs_of(SC=8, FC=9, morphometry=7)
    torch.manual_seed(0)
    model = ConnectomeNetwork(inputs, replace(TINY, dropout=0.5), {"fused": EVERYWHERE["fused"]}, teachers=True)
    batch = batch_of(inputs, 8)
    model.prepare(batch)
    terms = {**StaticLoss()(model, batch), **RoutingLoss()(model, batch)}
    assert sorted(terms) == ["balance", "contrastive", "disentanglement", "distillation", "task"]
    assert all(torch.isfinite(term) and term.shape == () for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
