from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import nn

from nas_fusion import Configuration, EvaluationWorker, Stage, replaced_gates
from nas_fusion.cohorts import Inputs
from search_spaces.expert_routing import ExpertRoutingSpace
from search_spaces.expert_routing.stages import observe

from .connectomes import batch_of, shaken
from .tiny import narrow, tiny_cohort

COHORT = tiny_cohort("SC", "FC")
INPUTS = COHORT.inputs
EVERYWHERE = dict.fromkeys(("sc", "fc", "fused"), "e3k2")


def stages_of(space: ExpertRoutingSpace, inputs: Inputs = INPUTS, **choices: str) -> dict[str, Stage]:
    return {stage.name: stage for stage in space.stages(space.complete(choices), inputs)}


# --- which stages there are, and what they depend on ---


def test_three_stages_of_every_configuration() -> None:
    space = narrow()
    for configuration in space.configurations():
        stages = {stage.name: stage for stage in space.stages(configuration, INPUTS)}
        assert list(stages) == ["encoder:SC", "encoder:FC", "static", "routing"]
        assert [dict(stage.depends_on) for stage in stages.values()] == [{}, {}, {}, dict(configuration)]
        assert not any(stage.takes_over for name, stage in stages.items() if name != "routing")
    assert list(stages_of(narrow(modalities=("MS", "SC", "FC")), tiny_cohort("MS", "SC", "FC").inputs)) == [
        *("encoder:MS", "encoder:SC", "encoder:FC", "static", "routing"),
    ]


def test_what_stages_depend_on_in_the_full_scope() -> None:
    space = narrow("full")
    choices = {**EVERYWHERE, "threshold": "0.02", "layers": "3", "beta": "0.9", "alpha": "0.2", "distillation": "off"}
    stages = stages_of(space, **choices)
    encoder = {"pooling": "add", "threshold": "0.02"}
    static = {**encoder, "layers": "3", "expert": "linear", "stage1": "on", "contrastive": "on"}
    assert dict(stages["encoder:SC"].depends_on) == dict(stages["encoder:FC"].depends_on) == encoder
    assert dict(stages["static"].depends_on) == {**static, "distillation": "off", "beta": "0.9"}
    assert stages["routing"].depends_on == space.complete(choices)


def test_only_what_the_first_stages_depend_on_changes_them() -> None:
    """A change of one option changes the model, loss or start of a stage only if the stage depends on it."""
    space = narrow("full")
    here = space.complete({**EVERYWHERE, "layers": "2"})
    before = space.stages(here, INPUTS)
    for parameter, choices in space.parameters.items():
        changed = space.canonical(here.with_choices({parameter: next(c for c in choices if c != here[parameter])}))
        for old, new in zip(before, space.stages(changed, INPUTS), strict=False):
            if old.name == new.name != "routing" and old.depends_on == new.depends_on:
                assert (old.loss, old.plan, old.trains, old.precompute) == (new.loss, new.plan, new.trains, new.precompute)
                assert str(old.model()) == str(new.model()), f"{parameter} changes {old.name}"
                assert (old.start is None) == (new.start is None)


def test_stages_can_be_left_out() -> None:
    space = narrow("full")
    assert list(stages_of(space, stage1="off")) == ["static", "routing"]
    assert list(stages_of(space, stage2="off")) == ["encoder:SC", "encoder:FC", "routing"]
    assert list(stages_of(space, stage1="off", stage2="off")) == ["routing"]
    assert stages_of(space, stage1="off")["static"].start is None
    assert stages_of(space, stage1="off", stage2="off")["routing"].start is None


# --- stages 1 and 2 are shared ---


def trainings(worker: EvaluationWorker, configurations: Iterable[Configuration]) -> tuple[Counter[str], Counter[str]]:
    """Evaluate configurations; return how often each stage was needed, and how often it was really trained."""
    needed, trained = Counter[str](), Counter[str]()
    for configuration in configurations:
        for part in worker.store.details(worker.evaluate(configuration).key)["folds"]:
            needed.update(part["stages"].keys())
            trained.update(name for name, stage in part["stages"].items() if not stage["shared"])
    return needed, trained


def test_31_configurations_train_the_first_stages_once() -> None:
    """31 * 4 = 124 trainings without sharing, 31 + 3 = 34 with it."""
    worker = EvaluationWorker(narrow(), COHORT, device="cpu")
    needed, trained = trainings(worker, worker.space.configurations())
    assert needed == dict.fromkeys(("encoder:SC", "encoder:FC", "static", "routing"), 31)
    assert trained == {"encoder:SC": 1, "encoder:FC": 1, "static": 1, "routing": 31}
    assert (needed.total(), trained.total()) == (124, 34)


def test_each_fold_and_seed_has_first_stages_of_its_own() -> None:
    worker = EvaluationWorker(narrow(), tiny_cohort("SC", "FC", folds=2), seeds=2, device="cpu")
    _, trained = trainings(worker, [worker.space.baseline, worker.space.complete({"fused": "e2k2"})])
    assert trained == {"encoder:SC": 4, "encoder:FC": 4, "static": 4, "routing": 8}


def test_options_of_stage_3_share_the_first_stages() -> None:
    worker = EvaluationWorker(narrow("full"), COHORT, device="cpu")
    space = worker.space
    worker.evaluate(space.complete(EVERYWHERE))
    third = ("alpha", "granularity", "noise", "normalise", "router", "init", "balance", "disentanglement", "stage3_trainable")
    for parameter in third:
        evaluation = worker.evaluate(space.complete({**EVERYWHERE, parameter: space.parameters[parameter][1]}))
        stages = worker.store.details(evaluation.key)["folds"][0]["stages"]
        assert {name: stage["shared"] for name, stage in stages.items()} == {
            **dict.fromkeys(("encoder:SC", "encoder:FC", "static"), True),
            "routing": False,
        }


def test_the_workers_plan_overrides_every_stage() -> None:
    worker = EvaluationWorker(narrow(stage2_epochs=5), COHORT, plan={"epochs": 2}, device="cpu")
    evaluation = worker.evaluate(worker.space.baseline)
    stages = worker.store.details(evaluation.key)["folds"][0]["stages"]
    assert {name: stage["epochs"] for name, stage in stages.items()} == dict.fromkeys(stages, 2)


# --- freezing ---


def test_fusion_only_leaves_encoders_and_projections_bit_equal() -> None:
    worker = EvaluationWorker(narrow("full", stage3_epochs=3), COHORT, device="cpu")
    choices = {**EVERYWHERE, "stage3_trainable": "fusion_only"}
    key = worker.evaluate(worker.space.complete(choices)).key
    static = worker.store.weights(worker.store.details(key)["folds"][0]["stages"]["static"]["key"])
    now = worker.model(key).state_dict()
    frozen = [name for name in now if name.startswith(("encoders.", "specific.", "shared."))]
    assert any(name.endswith("running_mean") for name in frozen) and any(
        name.endswith("num_batches_tracked") for name in frozen
    )
    assert all(torch.equal(now[name], static[name]) for name in frozen)
    assert sum(name.startswith("branches.") for name in static) > 20
    for name in static:
        if name.startswith(("branches.", "anchor.", "classifier.", "norms.")):
            assert not torch.equal(now[name], static[name]), name


def test_without_freezing_everything_is_trained() -> None:
    worker = EvaluationWorker(narrow("full", stage3_epochs=3), COHORT, device="cpu")
    key = worker.evaluate(worker.space.complete(EVERYWHERE)).key
    static = worker.store.weights(worker.store.details(key)["folds"][0]["stages"]["static"]["key"])
    now = worker.model(key)
    same = [n for n, p in now.named_parameters() if n in static and n != "temperature" and torch.equal(p, static[n])]
    assert same == []


def test_teachers_are_frozen_in_stage_2() -> None:
    trains = stages_of(narrow())["static"].trains
    assert trains is not None and not trains("teachers.SC.heads.SC.weight") and trains("encoders.SC.layers.0.weight")
    assert stages_of(narrow(distillation="off"))["static"].trains is None


# --- values ---


def test_alpha_alone_cannot_change_a_value() -> None:
    """With a learning rate of 0 in stage 3 the model is the same for every alpha: so is its value, the plain cross-entropy."""
    values, terms = [], []
    for alpha in (0.2, 0.8):
        worker = EvaluationWorker(narrow(alpha=alpha, stage3_learning_rate=0.0, dropout=0.0), COHORT, device="cpu")
        evaluation = worker.evaluate(worker.space.complete({"fused": "e2k2"}))
        validation = COHORT.positions(COHORT.splits.folds[0].validation)  # type: ignore[union-attr]
        with torch.no_grad():
            logits = worker.model(evaluation.key)({name: x[validation] for name, x in COHORT.modalities.items()})
        plain = nn.functional.cross_entropy(logits.double(), COHORT.labels[validation])
        assert abs(evaluation.value - float(plain)) < 1e-6
        values.append(evaluation.value)
        terms.append(worker.store.details(evaluation.key)["folds"][0]["terms"])
    assert values[0] == values[1]
    assert terms[0]["task"] == terms[1]["task"]
    for name, weights in {"disentanglement": (0.8, 0.2), "balance": (0.2, 0.8)}.items():
        ratio = terms[0][name][0] / terms[1][name][0]
        assert abs(ratio - weights[0] / weights[1]) < 1e-4, name


def test_what_is_observed() -> None:
    space = narrow(layers=2)
    model = shaken(space.build(space.complete({"sc": "e3k2", "fused": "e2k2", "granularity": "subject"}), INPUTS)).eval()
    batch = batch_of(INPUTS, 5)
    with torch.no_grad():
        logits, found = observe(model, batch)
        assert torch.equal(logits, model(batch.inputs))
    assert {name: tuple(values.shape) for name, values in found.items()} == {
        **{name: (5, 3) for name in ("sc.0", "sc.1")},
        **{name: (5, 2) for name in ("fused.0", "fused.1")},
        **{f"{name}:entropy": (5,) for name in ("sc.0", "sc.1", "fused.0", "fused.1")},
    }
    for name in ("sc.0", "sc.1", "fused.0", "fused.1"):
        torch.testing.assert_close(found[name].sum(1), torch.ones(5))
    for name in ("sc.0", "sc.1"):  # gates, not the probabilities before the selection: one of three experts never runs
        assert bool(((found[name] == 0).sum(1) == 1).all())
    gates = torch.tensor([[[0.25, 0.75]]])
    with torch.no_grad(), replaced_gates(model, {"branches.fused.0": gates}):
        _, given = observe(model, batch)
    torch.testing.assert_close(given["fused.0"], gates[0].expand(5, 2))
    torch.testing.assert_close(given["fused.0:entropy"], torch.full((5,), 0.5623351))


def test_usage_of_each_layer_is_kept_for_each_epoch() -> None:
    worker = EvaluationWorker(narrow(stage3_epochs=3), COHORT, device="cpu")
    key = worker.evaluate(worker.space.complete({"sc": "e3k2"})).key
    observed = worker.store.details(key)["folds"][0]["observed"]
    assert observed.keys() == {"sc.0", "sc.0:entropy"}
    assert [len(values) for values in observed["sc.0"]] == [3, 3, 3]
    assert all(abs(sum(values) - 1) < 1e-5 for values in observed["sc.0"])
    assert stages_of(narrow())["routing"].observe is None
