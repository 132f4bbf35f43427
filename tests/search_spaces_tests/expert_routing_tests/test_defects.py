"""Known defects of the method's first implementation, one test for each: what ours passes, the planted defect fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from nas_fusion import Cohort, Configuration, Routing, Stage, replaced_gates
from nas_fusion.cohorts import Batch, Fold, Modality, Splits, draw_splits
from nas_fusion.evaluation.metrics import metrics
from nas_fusion.evaluation.training import freeze
from search_spaces.expert_routing import ExpertRoutingSpace, network
from search_spaces.expert_routing.features import RegionFeatures
from search_spaces.expert_routing.graphs import adjacency
from search_spaces.expert_routing.initialisation import from_static
from search_spaces.expert_routing.losses import RoutingLoss, StaticLoss, disentanglement_loss
from search_spaces.expert_routing.network import ConnectomeNetwork, Mixture, ModelOptions
from search_spaces.expert_routing.stages import observe, standardise

from .connectomes import batch_of, functional, inputs_of, shaken, taken

TINY = ModelOptions(encoder_layers=1, hidden=8, projection=8, layers=2, dropout=0.0, threshold=0.2)
INPUTS = inputs_of(SC=10, FC=10)
BRANCHES = ("sc", "fc", "fused")
Array = npt.NDArray[np.float64]
State = Mapping[str, torch.Tensor]


def built(kind: type[ConnectomeNetwork] = ConnectomeNetwork, **mixtures: Mixture | None) -> ConnectomeNetwork:
    torch.manual_seed(0)
    model = kind(INPUTS, TINY, mixtures)
    shaken(model)
    model.prepare(batch_of(INPUTS, 12))
    return model.eval()


# --- rows of different subjects in the fused branch ---


def check_subjects_stay_apart(model: ConnectomeNetwork) -> None:
    batch = batch_of(INPUTS, 4)
    alone = torch.cat([model(taken(batch, [i]).inputs) for i in range(4)])
    assert torch.allclose(model(batch.inputs), alone, rtol=1e-3, atol=1e-4)


class RowsMixed(ConnectomeNetwork):
    """All subjects' SC tokens, then all subjects' FC tokens, taken apart again in blocks of 2N rows."""

    def _run(self, branch: str, tokens: torch.Tensor, routings: dict[str, Routing]) -> torch.Tensor:
        if branch == "fused":
            tokens = torch.cat([half.flatten(0, 1) for half in tokens.chunk(2, dim=1)]).view(tokens.shape)
        return super()._run(branch, tokens, routings)


def test_fused_branch_sees_one_subject_at_a_time() -> None:
    check_subjects_stay_apart(built())
    check_subjects_stay_apart(built(fused=Mixture(3, 2)))
    with pytest.raises(AssertionError):
        check_subjects_stay_apart(built(RowsMixed))


# --- correlations as integers ---


def check_features_keep_correlations(kind: type[RegionFeatures]) -> None:
    correlations = functional(15, 8)
    module = kind(Modality("FC", "matrix", (8, 8)), ModelOptions())
    module.prepare({"FC": correlations})
    given = correlations.double().numpy()
    spread = given.std(0)
    wanted = (given - given.mean(0)) / np.where(spread > 1e-6, spread, np.inf)
    assert np.allclose(module({"FC": correlations}), wanted, atol=1e-4)


class AsIntegers(RegionFeatures):
    """Correlations cast to 16-bit integers."""

    def _describe(self, inputs: State) -> torch.Tensor:
        return super()._describe(inputs).to(torch.int16).float()


def test_features_are_no_integers() -> None:
    check_features_keep_correlations(RegionFeatures)
    with pytest.raises(AssertionError):
        check_features_keep_correlations(AsIntegers)


# --- validation = test ---


@dataclass(frozen=True)
class Parts:
    """Folds and test subjects, unchecked."""

    folds: tuple[Any, ...]
    test: tuple[str, ...]


def check_selection_never_sees_test_subjects(splits: Splits | Parts) -> None:
    assert splits.test
    for fold in splits.folds:
        assert not set(fold.validation) & set(splits.test) and not set(fold.train) & set(splits.test)
        assert not set(fold.train) & set(fold.validation)


def cohort_of(subjects: int = 40) -> Cohort:
    batch = batch_of(INPUTS, subjects)
    return Cohort(
        name="connectomes",
        subjects=tuple(f"sub-{i}" for i in range(subjects)),
        modalities=batch.inputs,
        kinds={"SC": "matrix", "FC": "matrix"},
        labels=batch.labels,
        classes=INPUTS.classes,
        fingerprint="connectomes",
        present=batch.present,
    )


@pytest.mark.parametrize("folds", [1, 5])
def test_validation_is_not_the_test_part(folds: int) -> None:
    for seed in range(5):
        cohort = draw_splits(cohort_of(), folds=folds, seed=seed)
        assert cohort.splits is not None
        check_selection_never_sees_test_subjects(cohort.splits)
        assert not set(cohort.development().subjects) & set(cohort.splits.test)
    train, test = tuple("abcd"), tuple("ef")
    with pytest.raises(AssertionError):
        check_selection_never_sees_test_subjects(Parts((Fold(train, test),), test))
    with pytest.raises(ValueError, match="must be disjoint"):  # it cannot even be written down
        Splits((Fold(train, test),), test)


# --- freezing that does nothing ---


def last_stage(trainable: str) -> Stage:
    space = ExpertRoutingSpace("full", dropout=0.0)
    return space.stages(space.complete({"fused": "e3k2", "stage3_trainable": trainable}), INPUTS)[-1]


def check_freezing_freezes(stage: Stage) -> None:
    torch.manual_seed(0)
    model, batch = stage.model(), batch_of(INPUTS, 12)
    standardise(model, batch)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.AdamW(list(freeze(model, stage)), lr=0.1, weight_decay=0.1)
    terms = stage.loss(model, batch)
    assert isinstance(terms, Mapping)
    torch.stack(list(terms.values())).sum().backward()
    optimiser.step()
    changed = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"branches", "anchor", "classifier"}


def test_frozen_means_frozen() -> None:
    check_freezing_freezes(last_stage("fusion_only"))
    planted = replace(last_stage("fusion_only"), trains=lambda name: name not in ("encoders", "specific", "shared"))
    with pytest.raises(AssertionError):  # whole names of parameters compared with names of modules
        check_freezing_freezes(planted)
    with pytest.raises(AssertionError):  # what trains everything is noticed too
        check_freezing_freezes(last_stage("all"))


# --- fused experts that begin as those of another branch ---

Start = Callable[[Mapping[str, State]], Mapping[str, torch.Tensor]]


def check_experts_begin_as_their_own_branch(start: Start) -> None:
    static, routed = built(), built(sc=Mixture(2), fc=Mixture(3), fused=Mixture(4))
    state = dict(routed.state_dict())
    state |= {name: tensor for name, tensor in start({"static": static.state_dict()}).items() if name in state}
    routed.load_state_dict(state)
    for branch in BRANCHES:
        for layer, single in zip(routed.branches[branch], static.branches[branch], strict=True):
            wanted = single.experts[0].state_dict()
            for expert in layer.experts:
                assert all(torch.equal(wanted[name], tensor) for name, tensor in expert.state_dict().items())


def from_the_wrong_branch(states: Mapping[str, State]) -> dict[str, torch.Tensor]:
    """Fused experts begin as the branch of FC."""
    static = dict(states["static"])
    static |= {name.replace(".fc.", ".fused."): x for name, x in static.items() if name.startswith("branches.fc.")}
    return from_static({"static": static}, experts=4)


def test_experts_begin_as_their_own_branch() -> None:
    space = ExpertRoutingSpace(hidden=8, projection=8)
    stage = space.stages(space.complete({"sc": "e3k2", "fc": "e3k2", "fused": "e4k2"}), INPUTS)[-1]
    assert stage.start is not None
    check_experts_begin_as_their_own_branch(stage.start)
    with pytest.raises(AssertionError):
        check_experts_begin_as_their_own_branch(from_the_wrong_branch)


# --- negatives of disentanglement that are other subjects ---

Disentanglement = Callable[[Mapping[str, torch.Tensor], torch.Tensor], torch.Tensor]


def check_negatives_are_the_subjects_own(loss: Disentanglement) -> None:
    generator = torch.Generator().manual_seed(0)
    branches = {name: torch.randn(6, 5, generator=generator) for name in BRANCHES}
    anchor = torch.randn(6, 5, generator=generator)
    alone = [loss({name: x[i : i + 1] for name, x in branches.items()}, anchor[i : i + 1]) for i in range(6)]
    assert torch.allclose(loss(branches, anchor), torch.stack(alone).mean(), rtol=1e-4)


def regrouped(branches: Mapping[str, torch.Tensor], anchor: torch.Tensor) -> torch.Tensor:
    """Branches one below the other, taken apart again in threes as if they stood side by side."""
    rows = torch.cat(list(branches.values())).view(len(anchor), len(branches), -1)
    return disentanglement_loss(dict(zip(branches, rows.unbind(1), strict=True)), anchor)


def test_disentanglement_compares_branches_of_one_subject() -> None:
    check_negatives_are_the_subjects_own(disentanglement_loss)
    with pytest.raises(AssertionError):
        check_negatives_are_the_subjects_own(regrouped)


# --- top-k that is 1 whatever is asked, and a router that the task cannot teach ---


def check_k_experts_run_and_the_router_learns(mixture: Mixture) -> None:
    model, batch = built(fused=mixture), batch_of(INPUTS, 12)
    found = model.represent(batch.inputs)
    for routing in found.routings.values():
        assert bool(((routing.gates > 0).sum(-1) == mixture.k).all())
    nn.functional.cross_entropy(found.logits, batch.labels).backward()
    for layer in model.branches["fused"]:
        gradient = layer.router.gate.weight.grad
        assert gradient is not None and float(gradient.abs().max()) > 1e-8


class OneWhateverIsAsked(Mixture):
    """Ignores k."""

    def router_options(self) -> tuple[str, dict[str, Any]]:
        name, options = super().router_options()
        return name, {**options, "k": 1}


@pytest.mark.parametrize("choice", ["e3k2", "e2k2", "e4k2", "e6k2"])
def test_as_many_experts_run_as_were_asked_for(choice: str) -> None:
    space = ExpertRoutingSpace("full")
    mixture = space.design_of(space.complete({"fused": choice})).mixtures["fused"]
    assert mixture is not None and (mixture.experts, mixture.k) == (int(choice[1]), int(choice[3]))
    check_k_experts_run_and_the_router_learns(mixture)
    with pytest.raises(AssertionError):
        check_k_experts_run_and_the_router_learns(OneWhateverIsAsked(mixture.experts, mixture.k))


def test_router_of_a_single_expert_a_token_learns_from_the_task_if_gates_are_normalised_before() -> None:
    check_k_experts_run_and_the_router_learns(Mixture(3, 1, normalise="before"))
    check_k_experts_run_and_the_router_learns(Mixture(3, 1, router="balanced"))
    with pytest.raises(AssertionError):  # the softmax of one logit is the constant 1
        check_k_experts_run_and_the_router_learns(Mixture(3, 1, normalise="after"))


# --- outputs that shrink with the number of experts ---


def check_identical_experts_change_nothing(options: ModelOptions) -> None:
    batch, mixtures = batch_of(INPUTS, 6), [Mixture(2), Mixture(4), Mixture(8), Mixture(8, 1), Mixture(8, None)]
    static = built()
    for mixture in mixtures:
        routed = ConnectomeNetwork(INPUTS, options, dict.fromkeys(BRANCHES, mixture)).eval()
        routed.load_state_dict({**routed.state_dict(), **from_static({"static": static.state_dict()}, experts=mixture.experts)})
        assert torch.allclose(routed(batch.inputs), static(batch.inputs), rtol=1e-3, atol=1e-4)


def test_scale_does_not_depend_on_the_number_of_experts() -> None:
    check_identical_experts_change_nothing(TINY)
    with pytest.raises(AssertionError):  # the mean over experts of what the gates have weighted already
        check_identical_experts_change_nothing(replace(TINY, output_scale=True))


def test_only_the_preset_that_says_so_shrinks_its_output() -> None:
    scaled = {preset: ExpertRoutingSpace(preset=preset).design.model.output_scale for preset in ("small", "as_published")}
    assert not any(scaled.values()) and ExpertRoutingSpace(preset="as_released").design.model.output_scale


# --- area under the curve of hard predictions ---


def check_area_is_of_probabilities(area: Callable[[npt.NDArray[np.int64], Array], float]) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    positive = np.clip(0.3 * labels + rng.uniform(size=60), 0, 1.3) / 1.3
    probabilities = np.stack([1 - positive, positive], axis=1)
    assert area(labels, probabilities) == pytest.approx(roc_auc_score(labels, positive))


def test_area_under_the_curve_is_of_probabilities() -> None:
    check_area_is_of_probabilities(lambda labels, probabilities: metrics(labels, probabilities)["auc"])
    with pytest.raises(AssertionError):
        check_area_is_of_probabilities(lambda labels, p: metrics(labels, np.eye(2)[p.argmax(1)])["auc"])


# --- grids whose cells run twice with stale values ---

Cell = tuple[float, float]


def check_each_cell_runs_once_as_asked(run: Callable[[Sequence[float], Sequence[float]], Iterable[Cell]]) -> None:
    alphas, betas = (0.2, 0.4, 0.8), (0.3, 0.9)
    assert sorted(run(alphas, betas)) == sorted(product(alphas, betas))


def trained_with(configuration: Configuration, space: ExpertRoutingSpace) -> Cell:
    """Alpha and beta of the losses that a configuration's stages really minimise."""
    *_, static, routing = space.stages(configuration, INPUTS)
    assert isinstance(static.loss, StaticLoss) and isinstance(routing.loss, RoutingLoss)
    return routing.loss.alpha, static.loss.beta


def whole_grid(alphas: Sequence[float], betas: Sequence[float]) -> list[Cell]:
    cells = []
    for alpha, beta in product(alphas, betas):
        space = ExpertRoutingSpace(alpha=alpha, beta=beta)
        cells.append(trained_with(space.complete({"fused": "e2k2"}), space))
    return cells


def run_while_assigning(alphas: Sequence[float], betas: Sequence[float]) -> list[Cell]:
    """Runs after each assignment of a cell, so also before the cell is complete."""
    cells, current = [], {"alpha": alphas[0], "beta": betas[0]}
    for alpha, beta in product(alphas, betas):
        for name, value in (("alpha", alpha), ("beta", beta)):
            current[name] = value
            space = ExpertRoutingSpace(**current)
            cells.append(trained_with(space.complete({"fused": "e2k2"}), space))
    return cells


def test_what_is_asked_for_is_what_is_trained() -> None:
    check_each_cell_runs_once_as_asked(whole_grid)
    with pytest.raises(AssertionError):
        check_each_cell_runs_once_as_asked(run_while_assigning)


Rows = Mapping[str, tuple[ExpertRoutingSpace, Configuration]]


def check_rows_are_what_their_titles_say(rows: Rows) -> None:
    designs = {title: space.design_of(configuration) for title, (space, configuration) in rows.items()}
    assert len(designs) == 11 and len({repr(design) for design in designs.values()}) == len(designs)
    for term in ("disentanglement", "contrastive alignment", "distillation", "balance"):
        without, name = designs[f"without {term}"].method, term.split()[0]
        assert getattr(designs["full model"].method, name) and not getattr(without, name)
    stages = {title: [stage.name for stage in space.stages(row, INPUTS)] for title, (space, row) in rows.items()}
    assert stages["full model"] == ["encoder:SC", "encoder:FC", "static", "routing"]
    assert stages["without stage 1 (encoders alone)"] == ["static", "routing"]
    assert stages["without stage 2 (static model)"] == ["encoder:SC", "encoder:FC", "routing"]


def test_rows_of_the_ablations_are_distinct_and_what_they_say() -> None:
    rows = ExpertRoutingSpace().ablations()
    check_rows_are_what_their_titles_say(rows)
    titles = list(rows)
    stale = {title: rows[titles[max(0, i - 1)]] for i, title in enumerate(titles)}  # each row trained as the one before it
    with pytest.raises(AssertionError):
        check_rows_are_what_their_titles_say(stale)


# --- statistics of routing that confuse subjects and regions ---

Observe = Callable[[nn.Module, Batch], tuple[torch.Tensor, Mapping[str, torch.Tensor]]]


def check_usage_is_the_subjects_own(look: Observe) -> None:
    model, batch = built(sc=Mixture(3, 2)), batch_of(INPUTS, 3)
    gates = torch.eye(3).unsqueeze(1).expand(3, 10, 3)  # subject i sends all of its regions to expert i
    with replaced_gates(model, {"branches.sc.0": gates}):
        _, observed = look(model, batch)
    assert torch.allclose(observed["sc.0"], torch.eye(3), atol=1e-6)


def node_major(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Usage of gates whose rows, subject after subject, are read as if they were region after region."""
    assert isinstance(model, ConnectomeNetwork)
    found = model.represent(batch.inputs)
    gates = {name.removeprefix("branches."): routing.gates for name, routing in found.routings.items()}
    return found.logits, {n: x.flatten(0, 1).view(x.shape[1], x.shape[0], -1).mean(0) for n, x in gates.items()}


def test_routing_statistics_are_of_the_subject_that_they_name() -> None:
    check_usage_is_the_subjects_own(observe)
    with pytest.raises(AssertionError):
        check_usage_is_the_subjects_own(node_major)


# --- ninety regions and no others ---


def check_any_number_of_regions() -> None:
    for regions in (80, 90, 116):
        inputs = inputs_of(SC=regions, FC=regions)
        model, batch = ConnectomeNetwork(inputs, TINY, {}).eval(), batch_of(inputs, 2)
        found = model.represent(batch.inputs)
        expected = model.shared["SC"](found.tokens["SC"]).mean(1)
        assert found.shared["SC"].shape == expected.shape and torch.allclose(found.shared["SC"], expected, atol=1e-5)
        tokens = torch.cat([project(found.tokens[name]) for name, project in model.shared.items()], dim=1)
        fused = model._run("fused", tokens, {})
        edges = adjacency(batch.inputs["FC"], TINY.rule())
        assert edges.shape[1:] == (regions, regions) and bool(edges[:, -1].any())
        assert fused.shape[1] == 2 * regions and torch.allclose(found.branches["fused"], fused.mean(1), atol=1e-5)


def blocks_of_ninety(tokens: torch.Tensor, how: str) -> torch.Tensor:
    """Means of 90 rows each, whatever the number of regions."""
    rows = tokens.flatten(0, 1)
    found = rows.new_zeros(len(tokens), rows.shape[1])
    for subject, block in enumerate(rows.split(90)[: len(tokens)]):
        found[subject] = block.mean(0)
    return found


def test_number_of_regions_is_nowhere_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    check_any_number_of_regions()
    monkeypatch.setattr(network, "pool", blocks_of_ninety)
    with pytest.raises(AssertionError):
        check_any_number_of_regions()
