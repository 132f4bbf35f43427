from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import nn

from nas_fusion import EvaluationWorker, MixtureOfExperts, Stage
from nas_fusion.cohorts import Batch
from nas_fusion.evaluation.inheritance import inherit
from search_spaces.expert_routing.initialisation import add_noise
from search_spaces.expert_routing.network import ConnectomeNetwork
from search_spaces.expert_routing.stages import standardise

from .connectomes import batch_of, inputs_of, shaken, taken
from .tiny import narrow, tiny_cohort

INPUTS = inputs_of(SC=6, FC=6)
BRANCHES = ("sc", "fc", "fused")
State = Mapping[str, torch.Tensor]


def stages_of(choices: Mapping[str, str], **options: object) -> dict[str, Stage]:
    space = narrow("full", layers=2, **options)
    return {stage.name: stage for stage in space.stages(space.complete(choices), INPUTS)}


def states_of(stages: Mapping[str, Stage], *names: str) -> dict[str, State]:
    """What earlier stages leave, every number of it random."""
    return {name: shaken(stages[name].model(), seed).state_dict() for seed, name in enumerate(names, 1)}


def start_of(stage: Stage) -> Callable[[Mapping[str, State]], State]:
    assert stage.start is not None
    return stage.start


def expert(state: State, branch: str, layer: int, number: int) -> dict[str, torch.Tensor]:
    prefix = f"branches.{branch}.{layer}.experts.{number}."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def equal(a: State, b: State) -> bool:
    return a.keys() == b.keys() != set() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("choices", [{"sc": "e3k2", "fc": "e2k2", "fused": "e4k2"}, {"fused": "e3dense"}])
def test_experts_are_copies_of_their_own_branchs_single_expert(choices: dict[str, str]) -> None:
    stages = stages_of(choices)
    states = states_of(stages, "encoder:SC", "encoder:FC", "static")
    model = stages["routing"].model()
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    inherit(model, start_of(stages["routing"])(states))
    now, static = model.state_dict(), states["static"]
    for branch in BRANCHES:
        for layer in range(2):
            source = expert(static, branch, layer, 0)
            number = int(choices.get(branch, "e1")[1])
            assert all(equal(expert(now, branch, layer, i), source) for i in range(number))
            assert not expert(now, branch, layer, number)
            others = [expert(static, b, k, 0) for b in BRANCHES for k in range(2) if (b, k) != (branch, layer)]
            assert not any(equal(source, other) for other in others)
    routers = [name for name in now if ".router." in name]
    rest = [name for name in now if ".router." not in name and ".experts." not in name]
    assert routers and all(torch.equal(now[name], fresh[name]) for name in routers)
    assert all(torch.equal(now[name], static[name]) for name in rest)


def test_copied_experts_compute_what_the_single_one_computes() -> None:
    stages = stages_of({"sc": "e3k2", "fused": "e4dense"})
    states = states_of(stages, "static")
    static, routed = stages["static"].model(), stages["routing"].model()
    inherit(static, states["static"])
    inherit(routed, start_of(stages["routing"])(states))
    batch = batch_of(INPUTS, 5)
    with torch.no_grad():
        torch.testing.assert_close(routed.eval()(batch.inputs), static.eval()(batch.inputs), rtol=1e-5, atol=1e-5)


def test_stage_2_starts_from_the_encoders_and_teachers_of_stage_1() -> None:
    stages = stages_of({})
    states = states_of(stages, "encoder:SC", "encoder:FC")
    model = stages["static"].model()
    taken_over = inherit(model, start_of(stages["static"])(states))
    now = model.state_dict()
    assert not taken_over.unused
    for modality in ("SC", "FC"):
        state = states[f"encoder:{modality}"]
        for name, tensor in state.items():
            assert torch.equal(now[f"teachers.{modality}.{name}"], tensor)
            assert name.startswith("heads.") or torch.equal(now[name], tensor)
    assert {name.partition(".")[0] for name in taken_over.taken} == {"encoders", "teachers"}


def test_without_distillation_there_are_no_teachers() -> None:
    for stages in (stages_of({"distillation": "off"}), stages_of({"stage1": "off"})):
        assert not any(name.startswith("teachers.") for name in stages["static"].model().state_dict())
    stages = stages_of({"distillation": "off"})
    found = start_of(stages["static"])(states_of(stages, "encoder:SC", "encoder:FC"))
    assert {name.partition(".")[0] for name in found} == {"encoders"}


def test_without_stage_2_the_encoders_come_from_stage_1_and_experts_differ() -> None:
    stages = stages_of({"stage2": "off", "fused": "e3k2"})
    states = states_of(stages, "encoder:SC", "encoder:FC")
    model = stages["routing"].model()
    inherit(model, start_of(stages["routing"])(states))
    now = model.state_dict()
    for name, tensor in {**states["encoder:SC"], **states["encoder:FC"]}.items():
        assert name.startswith("heads.") or torch.equal(now[name], tensor)
    assert not equal(expert(now, "fused", 0, 0), expert(now, "fused", 0, 1))


# --- copy plus noise ---


def prepared(stage: Stage, state: State) -> nn.Module:
    assert stage.prepare is not None
    model = stage.model()
    inherit(model, state)
    with torch.no_grad():
        stage.prepare(model, batch_of(INPUTS, 6))
    return model


def test_noise_sets_experts_apart_and_leaves_all_else() -> None:
    plain, noisy = stages_of({"fused": "e3k2"}), stages_of({"fused": "e3k2", "init": "copy_noise"}, init_noise=0.5)
    state = start_of(plain["routing"])(states_of(plain, "static"))
    torch.manual_seed(0)
    before = prepared(plain["routing"], state).state_dict()
    torch.manual_seed(0)
    after = prepared(noisy["routing"], state).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    parameters = {name for name, _ in plain["routing"].model().named_parameters()}
    assert changed == {name for name in parameters if name.startswith("branches.fused.") and ".experts." in name}
    assert not equal(expert(after, "fused", 0, 0), expert(after, "fused", 0, 1))


def test_size_of_the_noise_is_relative_to_each_parameter() -> None:
    model = narrow("full", projection=64).build(narrow("full").complete({"sc": "e4k2"}), INPUTS)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    torch.manual_seed(1)
    with torch.no_grad():
        add_noise(model, 0.1)
    experts = {name: p.detach() for name, p in model.named_parameters() if "branches.sc" in name and "experts" in name}
    large = {name: p for name, p in experts.items() if p.numel() > 1000}
    assert len(large) >= 4
    for name, parameter in large.items():
        ratio = (parameter - before[name]).std() / before[name].square().mean().sqrt()
        assert 0.09 < float(ratio) < 0.11, name
    static = [name for name, p in model.named_parameters() if not torch.equal(p, before[name]) and "experts" not in name]
    assert static == []


def test_init_is_repeatable_in_training() -> None:
    losses = []
    for _ in range(2):
        worker = EvaluationWorker(narrow("full", init="copy_noise"), tiny_cohort("SC", "FC"), device="cpu")
        losses.append(worker.evaluate(worker.space.complete({"fused": "e3k2"})).value)
    assert losses[0] == losses[1]


# --- standardisation ---


def test_every_stage_standardises_by_all_training_subjects() -> None:
    stages = stages_of({"fused": "e3k2"})
    batch = batch_of(INPUTS, 8)
    for stage in stages.values():
        one, other = stage.model(), stage.model()
        assert stage.prepare is not None
        stage.prepare(one, batch)
        stage.prepare(other, taken(batch, [3, 1, 0, 2, 7, 6, 5, 4]))
        means = {name: x for name, x in one.state_dict().items() if name.endswith("features.mean")}
        assert means and all(x.abs().sum() > 0 for x in means.values())
        assert all(torch.allclose(other.state_dict()[name], x, atol=1e-6) for name, x in means.items())


def test_standardise_is_for_networks_of_this_space() -> None:
    batch: Batch = batch_of(INPUTS, 2)
    with pytest.raises(AssertionError, match="Should not reach"):
        standardise(nn.Linear(1, 1), batch)
    model = narrow().build(narrow().baseline, INPUTS)
    assert isinstance(model, ConnectomeNetwork) and not any(isinstance(m, MixtureOfExperts) for m in model.modules())


def test_a_parents_weights_go_first_and_a_single_expert_of_its_becomes_all_experts() -> None:
    stages = stages_of({"sc": "e3k2", "fused": "e3k2"})
    parent = stages_of({"sc": "e3k2"})["routing"].model()
    states = states_of(stages, "encoder:SC", "encoder:FC", "static")
    states["parent"] = shaken(parent, 9).state_dict()
    found = start_of(stages["routing"])(states)
    for layer in range(2):
        assert all(equal(expert(found, "sc", layer, i), expert(states["parent"], "sc", layer, i)) for i in range(3))
        single = expert(states["parent"], "fused", layer, 0)
        assert all(equal(expert(found, "fused", layer, i), single) for i in range(3))
    assert all(torch.equal(found[name], states["parent"][name]) for name in states["parent"])
