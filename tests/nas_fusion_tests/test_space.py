from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.space import Configuration, SearchSpace, check_inherit

TWO = {"layer1": ["none", "mmtm"], "layer2": ["none", "mmtm", "concat_conv"]}


class Gated(SearchSpace):
    """Each parameter has an effect only if the one before it is on."""

    def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
        names = list(self.parameters)
        before = names.index(parameter) - 1
        return before < 0 or configuration[names[before]] != self.off(names[before])


@st.composite
def parameters(draw: st.DrawFn, *, most: int = 4) -> dict[str, list[str]]:
    sizes = draw(st.lists(st.integers(2, most), min_size=1, max_size=5))
    return {f"p{i}": ["off", *(f"c{j}" for j in range(1, size))] for i, size in enumerate(sizes)}


@st.composite
def positions(draw: st.DrawFn, kind: type[SearchSpace] = SearchSpace, *, most: int = 4) -> tuple[SearchSpace, int]:
    space = kind(draw(parameters(most=most)))
    return space, draw(st.integers(0, space.size - 1))


# --- laws ---


@settings(deadline=None)
@given(positions())
def test_index_and_configuration_are_inverse(position: tuple[SearchSpace, int]) -> None:
    space, index = position
    assert space.index(space.configuration(index)) == index
    assert space.index(dict(reversed([*space.configuration(index).items()]))) == index


@settings(deadline=None)
@given(positions())
def test_active_and_complete_are_inverse(position: tuple[SearchSpace, int]) -> None:
    space, index = position
    configuration = space.configuration(index)
    assert space.complete(space.active(configuration)) == configuration


@pytest.mark.parametrize("kind", [SearchSpace, Gated])
@settings(deadline=None)
@given(data=st.data())
def test_canonical_is_idempotent(kind: type[SearchSpace], data: st.DataObject) -> None:
    space, index = data.draw(positions(kind))
    canonical = space.canonical(space.configuration(index))
    assert space.canonical(canonical) == canonical
    assert all(space.is_active(p, canonical) for p in space.active(canonical))


@settings(deadline=None)
@given(positions(most=2))
def test_forward_and_backward_moves_are_inverse_on_binary_spaces(position: tuple[SearchSpace, int]) -> None:
    space, index = position
    here = space.configuration(index)
    assert all(here in space.backward_moves(there) for there in space.forward_moves(here))
    assert all(here in space.forward_moves(there) for there in space.backward_moves(here))
    assert len(space.forward_moves(here)) + len(space.backward_moves(here)) == len(space.parameters)


@pytest.mark.parametrize("kind", [SearchSpace, Gated])
@settings(deadline=None)
@given(data=st.data())
def test_moves_lead_to_canonical_configurations_with_one_more_or_fewer_active(
    kind: type[SearchSpace], data: st.DataObject
) -> None:
    space, index = data.draw(positions(kind))
    here = space.canonical(space.configuration(index))
    forward, backward = space.forward_moves(here), space.backward_moves(here)
    assert all(space.canonical(move) == move for move in (*forward, *backward))
    assert all(len(space.active(move)) == len(space.active(here)) + 1 for move in forward)
    assert all(len(space.active(move)) < len(space.active(here)) for move in backward)
    assert len(set(forward)) == len(forward) and len(set(backward)) == len(backward)


@pytest.mark.parametrize("kind", [SearchSpace, Gated])
@settings(deadline=None)
@given(data=st.data())
def test_change_moves_go_both_ways_and_keep_what_is_active(kind: type[SearchSpace], data: st.DataObject) -> None:
    space, index = data.draw(positions(kind))
    here = space.canonical(space.configuration(index))
    changes = space.change_moves(here)
    assert len(set(changes)) == len(changes) == sum(len(space.parameters[p]) - 2 for p in space.active(here))
    assert all(here in space.change_moves(there) for there in changes)
    assert all(space.active(there).keys() == space.active(here).keys() for there in changes)


@pytest.mark.parametrize("kind", [SearchSpace, Gated])
@settings(deadline=None)
@given(data=st.data())
def test_forward_moves_reach_every_canonical_configuration(kind: type[SearchSpace], data: st.DataObject) -> None:
    space, _ = data.draw(positions(kind, most=3))
    reached, front = {space.baseline}, [space.baseline]
    while front:
        front = [move for here in front for move in space.forward_moves(here) if move not in reached]
        reached |= set(front)
    assert reached == set(space.configurations())


@settings(deadline=None)
@given(positions())
def test_json_and_pickle_bring_a_configuration_back(position: tuple[SearchSpace, int]) -> None:
    space, index = position
    configuration = space.configuration(index)
    assert Configuration.from_json(configuration.to_json()) == configuration
    assert pickle.loads(pickle.dumps(configuration)) == configuration
    assert list(Configuration.from_json(configuration.to_json())) == list(space.parameters)


# --- configurations ---


def test_a_configuration_is_a_hashable_mapping() -> None:
    configuration = Configuration({"a": "x", "b": "y"})
    assert dict(configuration) == configuration == {"a": "x", "b": "y"}
    assert configuration == Configuration({"b": "y", "a": "x"})
    assert hash(configuration) == hash(Configuration({"b": "y", "a": "x"}))
    assert configuration != Configuration({"a": "x", "b": "z"})
    assert configuration != "a"
    assert repr(configuration) == "Configuration({'a': 'x', 'b': 'y'})"
    assert copy.deepcopy(configuration) == configuration


def test_a_configuration_cannot_be_changed() -> None:
    choices = {"a": "x"}
    configuration = Configuration(choices)
    choices["a"] = "y"
    assert configuration["a"] == "x"
    with pytest.raises(TypeError, match="does not support item assignment"):
        configuration["a"] = "y"  # type: ignore[index]


def test_replace() -> None:
    configuration = Configuration({"a": "x", "b": "y"})
    assert configuration.replace(a="z") == {"a": "z", "b": "y"}
    assert configuration == {"a": "x", "b": "y"}
    with pytest.raises(ValueError, match=r"`choices` must name parameters among \['a', 'b'\], but got 'c'"):
        configuration.replace(c="z")


# --- spaces ---


def test_mixed_radix_the_first_parameter_varies_fastest() -> None:
    space = SearchSpace(TWO)
    assert space.size == 6
    assert [tuple(space.configuration(i).values()) for i in range(6)] == [
        ("none", "none"),
        ("mmtm", "none"),
        ("none", "mmtm"),
        ("mmtm", "mmtm"),
        ("none", "concat_conv"),
        ("mmtm", "concat_conv"),
    ]
    assert space.configuration(0) == space.baseline
    assert list(space.configurations()) == [space.configuration(i) for i in range(6)]


def test_forward_moves_go_from_off_to_a_choice_only() -> None:
    space = SearchSpace(TWO)
    here = space.complete({"layer2": "mmtm"})
    assert space.forward_moves(here) == [space.complete({"layer1": "mmtm", "layer2": "mmtm"})]
    assert space.backward_moves(here) == [space.baseline]


def test_change_moves_go_from_a_choice_to_another_that_is_not_off() -> None:
    space = SearchSpace(TWO)
    here = space.complete({"layer1": "mmtm", "layer2": "mmtm"})
    assert space.change_moves(here) == [space.complete({"layer1": "mmtm", "layer2": "concat_conv"})]
    assert space.change_moves(space.baseline) == []


def test_a_change_that_takes_the_effect_from_another_parameter_is_no_move() -> None:
    class NotWithB(SearchSpace):
        def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
            return parameter == "first" or configuration["first"] != "b"

    space = NotWithB({"first": ["off", "a", "b", "c"], "second": ["off", "on"]})
    assert space.change_moves(space.complete({"first": "a"})) == [space.complete({"first": c}) for c in "bc"]
    assert space.change_moves({"first": "a", "second": "on"}) == [space.complete({"first": "c", "second": "on"})]


def test_canonical_configurations_of_a_gated_space() -> None:
    space = Gated({"a": ["off", "on"], "b": ["off", "on"], "c": ["off", "on"]})
    assert space.canonical({"a": "off", "b": "on", "c": "on"}) == space.baseline
    assert [space.active(c) for c in space.configurations()] == [
        {},
        {"a": "on"},
        {"a": "on", "b": "on"},
        {"a": "on", "b": "on", "c": "on"},
    ]
    assert space.backward_moves({"a": "on", "b": "on", "c": "on"}) == [
        space.baseline,
        space.complete({"a": "on"}),
        space.complete({"a": "on", "b": "on"}),
    ]


def test_suggest_declares_every_parameter_and_returns_the_canonical_configuration() -> None:
    space = Gated({"a": ["off", "on"], "b": ["off", "on"]})
    trial = optuna.trial.FixedTrial({"a": "off", "b": "on"})
    assert space.suggest(trial) == space.baseline
    assert trial.params == {"a": "off", "b": "on"}
    assert [d.choices for d in trial.distributions.values()] == [("off", "on")] * 2  # type: ignore[attr-defined]


def test_a_mapping_is_a_space_and_a_space_is_itself() -> None:
    space = SearchSpace.of(TWO)
    assert space.options() == {"parameters": TWO}
    assert SearchSpace.of(space) is space
    assert SearchSpace(**space.options()).parameters == space.parameters
    assert repr(space) == f"SearchSpace({TWO})"


@pytest.mark.parametrize("kind", [SearchSpace, Gated])
def test_spaces_can_be_pickled(kind: type[SearchSpace]) -> None:
    space = pickle.loads(pickle.dumps(kind(TWO, inherit="parent")))
    assert type(space) is kind
    assert (space.parameters, space.inherit, space.baseline) == (kind(TWO).parameters, "parent", kind(TWO).baseline)
    with pytest.raises(TypeError, match="does not support item assignment"):
        space.parameters["layer3"] = ("none", "mmtm")


def test_a_space_of_choices_only_has_no_models() -> None:
    space = SearchSpace(TWO)
    with pytest.raises(TypeError, match="SearchSpace describes choices only: it has no model to build"):
        space.build(space.baseline, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="SearchSpace describes choices only: it has no training stages"):
        space.stages(space.baseline, None)  # type: ignore[arg-type]
    assert space.references(None) == {}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_parameters", "error", "message"),
    [
        ({}, ValueError, "`parameters` must name at least one parameter, but got none"),
        ({"a": ["x"]}, ValueError, r"`parameters` must give 'a' at least two different choices, but got \['x'\]"),
        ({"a": ["x", "x"]}, ValueError, r"`parameters` must give 'a' at least two different choices, but got \['x', 'x'\]"),
        ({"a": "xy"}, TypeError, "`parameters` must map 'a' to a sequence of strings, but got 'xy'"),
        ({"a": [0, 1]}, TypeError, r"`parameters` must map 'a' to a sequence of strings, but got \[0, 1\]"),
        ({1: ["x", "y"]}, TypeError, "`parameters` must have strings for names, but got 1"),
    ],
)
def test_wrong_parameters(given_parameters: dict[str, list[str]], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SearchSpace(given_parameters)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"layer1": "none"}, r"must choose exactly for \['layer1', 'layer2'\], but got \['layer1'\]"),
        ({"layer1": "none", "layer2": "none", "x": "y"}, r"must choose exactly for .* but got \['layer1', 'layer2', 'x'\]"),
        ({"layer1": "none", "layer2": "sum"}, r"must choose 'layer2' from \['none', 'mmtm', 'concat_conv'\], but got 'sum'"),
    ],
)
def test_wrong_configurations(configuration: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchSpace(TWO).index(configuration)


@pytest.mark.parametrize("index", [-1, 6])
def test_index_out_of_range(index: int) -> None:
    with pytest.raises(ValueError, match=rf"`index` must be in \[0, 6\), but got {index}"):
        SearchSpace(TWO).configuration(index)


def test_wrong_inherit() -> None:
    assert check_inherit("baseline") == "baseline"
    with pytest.raises(ValueError, match="`inherit` must be one of parent, baseline, none, but got 'father'"):
        SearchSpace(TWO, inherit="father")
