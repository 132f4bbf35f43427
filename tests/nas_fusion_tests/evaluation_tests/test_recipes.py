"""Keys and seeds: what they depend on and what not."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest
import torch

from nas_fusion import EvaluationWorker, Stage, TrainingPlan
from nas_fusion.cohorts import Fold, Splits
from nas_fusion.evaluation.keys import digest, seed_of
from nas_fusion.evaluation.recipes import _LATER, _facts_of
from tests.nas_fusion_tests.evaluation_tests.tiny import BOTH, FIRST, OFF, PLAN, SECOND, TinySpace, tiny_cohort

COHORT = tiny_cohort()


def worker(space: TinySpace | None = None, **options: Any) -> EvaluationWorker:
    return EvaluationWorker(space or TinySpace(), options.pop("cohort", COHORT), device="cpu", **options)


def resplit() -> Any:
    fold = COHORT.splits.folds[0]  # type: ignore[union-attr]
    moved = Fold(fold.train[1:], (*fold.validation, fold.train[0]))
    return replace(COHORT, splits=Splits((moved,), COHORT.splits.test))  # type: ignore[union-attr]


def renamed(stages: list[Stage]) -> list[Stage]:
    return [replace(stages[0], name="other")]


KEY = worker().key(FIRST, lineage=(OFF,))
OTHERS = {
    "configuration": lambda: worker().key(SECOND, lineage=(OFF,)),
    "parent": lambda: worker().key(FIRST),
    "grandparent": lambda: worker().key(FIRST, lineage=(SECOND, OFF)),
    "seed": lambda: worker(seed=1).key(FIRST, lineage=(OFF,)),
    "fingerprint": lambda: worker(cohort=replace(COHORT, fingerprint="other")).key(FIRST, lineage=(OFF,)),
    "split": lambda: worker(cohort=resplit()).key(FIRST, lineage=(OFF,)),
    "folds": lambda: worker(cohort=tiny_cohort(folds=3)).key(FIRST, lineage=(OFF,)),
    "precision": lambda: worker(precision="bf16").key(FIRST, lineage=(OFF,)),
    "stage names": lambda: worker(TinySpace(edit=renamed)).key(FIRST, lineage=(OFF,)),
    "space options": lambda: worker(TinySpace(width=9)).key(FIRST, lineage=(OFF,)),
}
PLANS = {
    "epochs": 5,
    "inherited_epochs": 2,
    "batch_size": 4,
    "learning_rate": 0.1,
    "weight_decay": 0.0,
    "optimiser": "sgd",
    "schedule": "cosine",
    "patience": 2,
    "modality_dropout": 0.3,
    "inherited_learning_rate": 0.1,
}


@pytest.mark.parametrize("ingredient", OTHERS)
def test_the_key_changes_with_each_ingredient(ingredient: str) -> None:
    assert OTHERS[ingredient]() != KEY


@pytest.mark.parametrize("field", PLANS)
def test_the_key_changes_with_each_field_of_the_plan(field: str) -> None:
    changed = {field: PLANS[field]}
    assert worker(plan=changed).key(FIRST, lineage=(OFF,)) != KEY
    assert worker(TinySpace(replace(PLAN, **changed))).key(FIRST, lineage=(OFF,)) == worker(plan=changed).key(
        FIRST, lineage=(OFF,)
    )


def test_every_field_of_a_plan_is_tested() -> None:
    assert {field.name for field in dataclasses.fields(TrainingPlan)} == {*PLANS, "flips"}


def test_the_key_does_not_depend_on_what_changes_no_number() -> None:
    assert worker(inherit="none", store=None).key(dict(reversed(FIRST.items())), lineage=[OFF]) == KEY
    others = replace(COHORT.splits, test=COHORT.splits.test[:3])  # type: ignore[type-var]
    assert worker(cohort=replace(COHORT, splits=others)).key(FIRST, lineage=(OFF,)) == KEY
    assert worker(plan={"inherited_epochs": 2}).key(OFF) == worker().key(OFF)


def test_fields_that_came_later_leave_keys_as_they_were() -> None:
    facts = _facts_of(Stage("joint", TrainingPlan(), torch.nn.Identity, OFF))
    assert facts["plan"].keys() == {field.name for field in dataclasses.fields(TrainingPlan)} - set(_LATER)
    dropping = _facts_of(Stage("joint", TrainingPlan(modality_dropout=0.2), torch.nn.Identity, OFF))
    assert dropping["plan"] == {**facts["plan"], "modality_dropout": 0.2}


def test_keys_of_references_and_members() -> None:
    ours = worker()
    names = ("alone:a", "alone:b", "late_fusion", "ensemble_of_placements")
    assert len({ours.reference_key(name) for name in names} | {ours.key(OFF), ours.key(FIRST)}) == 6
    assert ours.members("late_fusion") == (ours.reference_key("alone:a"), ours.reference_key("alone:b"))
    assert ours.members("alone:a") == (ours.reference_key("alone:a"),)
    assert ours.members("ensemble_of_placements") == (ours.key(FIRST, lineage=[OFF]), ours.key(SECOND, lineage=[OFF]))
    alone = worker(inherit="none")
    assert alone.members("ensemble_of_placements") == (alone.key(FIRST), alone.key(SECOND))


def test_lineage_that_nobody_wrote() -> None:
    for inherit in ("parent", "baseline"):
        assert worker(inherit=inherit).lineage(BOTH) == (OFF,)
        assert worker(inherit=inherit).lineage(OFF) == ()
    assert worker(inherit="none").lineage(BOTH) == ()


def test_what_seeds_derive_from() -> None:
    def seeds(configuration: dict[str, str], *lineage: dict[str, str], fold: int = 0, seed: int = 0) -> tuple[int, int]:
        book = worker(seed=seed)._book
        recipe = book.of(configuration, lineage)
        return book.initial_seed(recipe, recipe.stages[0]), book.order_seed(recipe, recipe.stages[0], fold)

    recipes = [(OFF,), (FIRST,), (SECOND,), (FIRST, OFF), (SECOND, OFF), (BOTH, OFF, FIRST), (BOTH, OFF, SECOND)]
    initial = {seeds(*recipe, seed=seed)[0] for recipe in recipes for seed in (0, 1)}
    assert len(initial) == 2 * len(recipes)  # (seed, configuration, lineage)
    assert seeds(FIRST, OFF)[1] == seeds(SECOND, OFF)[1]
    order = {seeds(*recipe, fold=fold, seed=seed)[1] for recipe in recipes for fold in (0, 1) for seed in (0, 1)}
    assert len(order) == 2 * 2 * 4  # (seed, parent, fold); parents: none, OFF, FIRST, SECOND
    assert seeds(FIRST, OFF, fold=1)[0] == seeds(FIRST, OFF)[0]


def test_initial_weights_follow_from_the_seed() -> None:
    def weights(seed: int) -> torch.Tensor:
        ours = worker(seed=seed)
        recipe = ours._book.of(FIRST)
        return ours._trainer.build(recipe, recipe.stages[0], {})[0].state_dict()["first.0.0.weight"]

    assert torch.equal(weights(0), weights(0)) and not torch.equal(weights(0), weights(1))


def test_digest_and_seed() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
    assert seed_of("a", 0) == seed_of("a", 0) != seed_of("a", 1)
    assert 0 <= seed_of("a") < 2**63


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plan": {"epoch": 5}}, "`plan` must override fields among epochs, .*, but got 'epoch'"),
        ({"plan": {"epochs": 0}}, "`epochs` must be at least 1, but got 0"),
        ({"plan": {"epochs": 2.5}}, "`epochs` must be a whole number, but got 2.5"),
        ({"plan": {"batch_size": None}}, "`batch_size` must be a whole number, but got None"),
        ({"plan": {"learning_rate": -1.0}}, "`learning_rate` must be a finite number of at least 0, but got -1.0"),
        ({"plan": {"learning_rate": "fast"}}, "`learning_rate` must be a finite number of at least 0, but got 'fast'"),
        ({"plan": {"weight_decay": float("nan")}}, "`weight_decay` must be a finite number of at least 0, but got nan"),
        ({"plan": {"flips": "01"}}, "`flips` must be a tuple of axes, but got '01'"),
        ({"plan": {"schedule": "steps"}}, "`schedule` must be one of one_cycle, .*, but got 'steps'"),
        ({"inherit": "child"}, "`inherit` must be one of parent, baseline, none, but got 'child'"),
        ({"precision": "fp8"}, "`precision` must be one of auto, fp32, bf16, but got 'fp8'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        worker(**options)


def test_flips_need_images() -> None:
    with pytest.raises(ValueError, match=r"`flips` must be spatial axes of every image, in \[0, 0\), but got \[0\]"):
        worker(plan={"flips": [0]}).key(OFF)


def test_unknown_configurations_and_references_are_refused() -> None:
    with pytest.raises(ValueError, match="`configuration` must choose 'layer1' from"):
        worker().key({"layer1": "product", "layer2": "none"})
    with pytest.raises(ValueError, match="`configuration` must choose exactly for"):
        worker().evaluate(FIRST, lineage=({"layer1": "none"},))
    with pytest.raises(ValueError, match=r"`name` must be one of the references alone:a, .*, but got 'early'"):
        worker().evaluate_reference("early")
