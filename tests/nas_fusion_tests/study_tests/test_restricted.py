"""Restricted spaces: fewer configurations, the same keys and numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import optuna
import pytest

from nas_fusion import Configuration, EvaluationWorker, SearchSpace
from nas_fusion.study.restricted import RestrictedSpace, shared_choices

sys.path.append(str(Path(__file__).parents[1] / "cli_tests" / "plugin"))

from tiny_plugin import TinySpace, tiny_cohort

WHOLE = TinySpace(points=2, modules=("on", "shifted"))
PLAN = {"epochs": 1}


class Conditional(SearchSpace):
    """The second parameter has an effect only where the first is active."""

    def is_active(self, parameter, configuration):  # type: ignore[no-untyped-def]
        return parameter == "a" or configuration["a"] != "none"


def test_its_configurations_are_those_of_the_whole_space_with_one_choice() -> None:
    space = RestrictedSpace(WHOLE, "shifted")
    wanted = {c for c in WHOLE.configurations() if set(c.values()) <= {"none", "shifted"}}
    assert set(space.configurations()) == wanted and space.size == 4 and not space.is_constrained
    assert space.baseline == WHOLE.baseline and space.inherit == WHOLE.inherit and space.name == WHOLE.name
    assert space.options() == WHOLE.options() and space.cohort == "tiny-cohort"
    trial = optuna.create_study().ask()
    assert set(space.suggest(trial).values()) <= {"none", "shifted"}
    with pytest.raises(ValueError, match=r"`configuration` must choose 'p0' from \['none', 'shifted'\], but got 'on'"):
        space.check(Configuration({"p0": "on", "p1": "none"}))


def test_whatever_a_space_may_say_is_said_by_the_whole_space() -> None:
    not_said = {"supernet", "configuration", "index", "n_configurations", "configurations", "check", "suggest"}
    not_said |= {"off", "active", "complete", "canonical", "forward_moves", "backward_moves", "change_moves"}
    not_said |= {"of", "needs_modalities", "inherit", "takes_plugins"}  # of classes, and what the constructor is told
    public = {name for name in vars(SearchSpace) if not name.startswith("_")}
    space = RestrictedSpace(WHOLE, "on")
    assert public - not_said - set(vars(RestrictedSpace)) - set(vars(space)) == set()


def test_parameters_without_effect_stay_so() -> None:
    whole = Conditional({"a": ["none", "x", "y"], "b": ["none", "x", "y"]})
    space = RestrictedSpace(whole, "x")
    assert space.is_constrained and [space.active(c) for c in space.configurations()] == [{}, {"a": "x"}, {"a": "x", "b": "x"}]


def test_keys_and_numbers_are_those_of_the_whole_space() -> None:
    cohort = tiny_cohort()
    worker = EvaluationWorker(WHOLE, cohort, device="cpu", plan=PLAN)
    own = EvaluationWorker(RestrictedSpace(WHOLE, "on"), cohort, device="cpu", plan=PLAN)
    alone = EvaluationWorker(TinySpace(points=2, modules=("on",)), cohort, device="cpu", plan=PLAN)
    for choices in ({}, {"p1": "on"}):
        configuration = WHOLE.complete(choices)
        lineage = worker.lineage(configuration)
        assert own.key(configuration, lineage=lineage) == worker.key(configuration, lineage=lineage)
        assert alone.key(configuration, lineage=lineage) != worker.key(configuration, lineage=lineage)
        value = worker.evaluate(configuration, lineage=lineage).value
        assert own.evaluate(configuration, lineage=lineage).value == value
        assert alone.evaluate(configuration, lineage=lineage).value == value
    for name in ("alone:x", "late_fusion"):
        assert own.reference_key(name) == worker.reference_key(name)


def test_references_of_other_choices_are_left_out() -> None:
    inputs = tiny_cohort().inputs
    assert set(RestrictedSpace(WHOLE, "on").references(inputs)) == set(WHOLE.references(inputs))
    assert set(RestrictedSpace(WHOLE, "shifted").references(inputs)) == {"alone:x", "alone:y", "late_fusion"}


def test_choices_that_every_parameter_offers() -> None:
    assert shared_choices(WHOLE) == ("on", "shifted")
    some = SearchSpace({"a": ["none", "z", "x", "y"], "b": ["off", "x", "z"]})
    assert shared_choices(some) == ("z", "x")
    with pytest.raises(ValueError, match="`choice` must be offered by every parameter, but got 'y'; 'b' offers x, z"):
        RestrictedSpace(some, "y")
