"""`compare_modules`: one study a module on one pool of evaluations, and what is found where the best point moves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import optuna
import pytest

from nas_fusion.analysis import ModuleComparison, best_points, module_findings, point_table
from nas_fusion.study.module_comparison import compare_modules
from nas_fusion.study.progress import EpochDone, EvaluationDone, Event, PhaseStarted
from tests.nas_fusion_tests.cli_tests.conftest import folder_in_memory

sys.path.append(str(Path(__file__).parents[1] / "cli_tests" / "plugin"))

from tiny_plugin import TinySpace, tiny_cohort

SPACE = TinySpace(points=3, modules=("on", "shifted"))
COHORT = tiny_cohort(train=96, validation=96)
OPTIONS: dict[str, Any] = {"plan": {"epochs": 5, "learning_rate": 0.3}, "device": "cpu"}


Made: TypeAlias = tuple[ModuleComparison, list[Event], optuna.storages.BaseStorage, Path]


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    """A comparison, what was told meanwhile, and where it is kept."""
    events, storage = list[Event](), optuna.storages.InMemoryStorage()
    for folder in folder_in_memory():
        found = compare_modules(SPACE, COHORT, storage=storage, artifacts=folder, listener=events.append, **OPTIONS)
        yield found, events, storage, folder


def test_the_best_point_moves_where_it_is_made_to(made: Made) -> None:
    found = made[0]
    table = point_table(found)
    assert table[table["is_best"]].index.tolist() == [("on", "p0"), ("shifted", "p2")]
    assert [each.candidates for each in best_points(found)] == [("p0",), ("p2",)]
    assert module_findings(found)[0].signature == "best_point_moves"
    assert [found.is_complete(module) for module in found.modules] == [True, True]
    assert len(found.models) >= 1 + 7 + 7 and found.best("on") is not None


def test_everything_is_trained_once(made: Made) -> None:
    found, events, *_ = made
    phases = [event.title for event in events if isinstance(event, PhaseStarted)]
    studies = ["tiny-modules-on-exhaustive", "tiny-modules-shifted-exhaustive", "tiny-modules-joint-sfsa"]
    assert phases[:4] == [*studies, "every module at every point"] and phases[-1] == "test subjects, once"
    trained = [event.label for event in events if isinstance(event, EvaluationDone) and event.trained]
    assert trained.count("none") == 1 and trained.count("alone:x") == 1
    by_the_rule = 1 + 7 + 7  # the baseline, and each module at all subsets of points
    joint = len(found.joint[0].evaluations) - 7  # its first round is known
    assert [found.searches[m][0].trained for m in found.modules] == [8, 7] and found.joint[0].trained == joint
    singles = sum(label in ("alone:x", "alone:y") for label in trained)
    averages = sum(label in ("late_fusion", "all_active", "ensemble_of_placements") for label in trained)
    joint_by_the_rule = len(found.models) - by_the_rule
    assert len(trained) - averages == by_the_rule + joint + joint_by_the_rule + singles and joint_by_the_rule <= 1
    assert found.comparison.trained_for_search == by_the_rule + joint
    assert found.comparison.trained_for_audit == joint_by_the_rule + singles


def test_arms_keep_their_own_landscape(made: Made) -> None:
    found = made[0]
    names = [arm.name for arm in found.comparison.arms]
    assert names[:4] == ["on-exhaustive", "shifted-exhaustive", "joint-sfsa", "A_0"]
    for module in found.modules:
        (arm,) = found.searches[module]
        assert arm.regret == 0 and arm.share_of_exhaustive == 1 and arm.best == found.best(module)
    (joint,) = found.joint
    assert joint.best is not None and joint.landscape_value == found.models[joint.best].evaluation.value
    assert all(arm.test is not None and len(arm.test.subjects) == 32 for arm in found.comparison.arms)
    lineages = {tuple(model.evaluation.lineage) for c, model in found.models.items() if SPACE.active(c)}
    assert lineages == {(SPACE.baseline,)} and found.comparison.landscape_inherit == "baseline"


def test_resumes_without_training_and_refuses_other_settings(made: Made) -> None:
    first, _, storage, folder = made
    events = list[Event]()
    again = compare_modules(SPACE, COHORT, storage=storage, artifacts=folder, listener=events.append, **OPTIONS)
    assert not [event for event in events if isinstance(event, EpochDone)]
    assert [arm.value for arm in again.comparison.arms] == [arm.value for arm in first.comparison.arms]
    assert point_table(again).equals(point_table(first))
    with pytest.raises(ValueError, match="seed=0, but seed=1 was asked for"):
        compare_modules(SPACE, COHORT, storage=storage, artifacts=folder, seed=1, **OPTIONS)


def test_greedy_arms_have_every_single_point_too() -> None:
    space = TinySpace(points=2, modules=("on", "shifted"))
    options: dict[str, Any] = {"device": "cpu", "plan": {"epochs": 1}, "inherit": "none"}
    found = compare_modules(space, tiny_cohort(), samplers=("backward",), joint=None, **options)
    assert point_table(found)["loss"].notna().all() and found.joint == ()
    assert found.comparison.landscape_inherit == "none"
    assert [arm.name for arm in found.comparison.searches] == ["on-backward", "shifted-backward"]


@pytest.mark.filterwarnings("ignore:.*failed 3 times")
def test_points_that_cannot_be_built_are_left_out_and_named() -> None:
    space = TinySpace(points=2, modules=("on", "shifted"), crash="p1")
    found = compare_modules(space, tiny_cohort(), joint=None, plan={"epochs": 1}, device="cpu")
    assert point_table(found)["loss"].isna().tolist() == [False, True, False, True]
    assert module_findings(found)[0].sentence.endswith("not every single point of on and shifted could be evaluated.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": TinySpace(points=2)}, "`modules` must be at least two that every point offers, but got on"),
        ({"space": TinySpace(points=2, modules=("on", "joint"))}, "`modules` must not be called 'joint'"),
        ({"samplers": ()}, "`samplers` must be at least one, each once, but got \\[\\]"),
        ({"samplers": ("sfsa", "sfsa")}, "`samplers` must be at least one, each once"),
        ({"samplers": ("nonsense",)}, "`sampler` must be one of .* but got 'nonsense'"),
        ({"joint": "nonsense"}, "`sampler` must be one of .* but got 'nonsense'"),
        ({"sampler_options": {"width": 3}}, "`sampler_options` must give options of exhaustive, sfsa .*, but got 'width'"),
        ({"samplers": ("differentiable",)}, "needs a supernet, and this space has none"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare_modules(**({"space": SPACE, "cohort": COHORT, "device": "cpu"} | changes))


def test_each_option_goes_to_the_searches_that_take_it() -> None:
    storage = optuna.storages.InMemoryStorage()
    space = TinySpace(points=2, modules=("on", "shifted"))
    options: dict[str, Any] = {"sampler_options": {"width": 2}, "plan": {"epochs": 1}, "device": "cpu"}
    compare_modules(space, tiny_cohort(), joint="beam", storage=storage, study="mine", **options)
    from nas_fusion.study.spec import arms_of, load_study

    studies = ("mine-on-exhaustive", "mine-shifted-exhaustive", "mine-joint-beam")
    specs = [load_study(storage, name)[1] for name in studies]
    assert [spec.sampler_options for spec in specs] == [{}, {}, {"width": 2}]
    assert [spec.module for spec in specs] == ["on", "shifted", "joint"]
    assert arms_of(storage, "mine") == arms_of(storage, None) == ("mine", studies)
    assert arms_of(storage, "mine-on") == ("mine-on", studies[:1])
    assert arms_of(storage, "mine-joint-beam") == ("mine-joint-beam", studies[2:])
