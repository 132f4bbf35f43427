"""Forced-in and grouped points, and the moves that they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.samplers.moves import Moves
from nas_fusion.space import Configuration, SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, points
from tests.nas_fusion_tests.samplers_tests.test_lattice import SWITCHES

SPACE = SearchSpace(choices(4))


def reached(configurations: Sequence[Configuration]) -> list[tuple[int, ...]]:
    return [points(c) for c in configurations]


def on(*numbers: int, space: SearchSpace = SPACE) -> Configuration:
    return space.complete({f"layer{i}": "mmtm" for i in numbers})


def test_unrestricted_moves_are_the_spaces_own() -> None:
    for space in (SPACE, SearchSpace(choices(3, ("mmtm", "concat_conv"))), SWITCHES):
        moves = Moves(space)
        assert not moves.is_restricted and moves.start == space.baseline
        assert list(moves.configurations()) == list(space.configurations())
        assert [moves.configuration(index) for index in range(moves.size)] == [
            space.configuration(index) for index in range(space.size)
        ]
        for configuration in moves.configurations():
            assert moves.forward(configuration) == space.forward_moves(configuration)
            assert moves.backward(configuration) == space.backward_moves(configuration)
            assert moves.index(configuration) == space.index(configuration)


def test_forced_points_stay_as_they_are() -> None:
    moves = Moves(SPACE, forced={"layer2": "mmtm", "layer4": "none"})
    assert points(moves.start) == (2,)
    assert reached(list(moves.configurations())) == [(2,), (1, 2), (2, 3), (1, 2, 3)]
    assert reached(moves.forward(moves.start)) == [(1, 2), (2, 3)]
    assert reached(moves.backward(on(1, 2, 3))) == [(2, 3), (1, 2)]
    assert points(moves.everything()) == (1, 2, 3)
    assert (moves.size, moves.n_active(on(1, 2)), moves.n_modules(on(1, 2))) == (4, 1, [1])


def test_groups_are_switched_together() -> None:
    moves = Moves(SPACE, groups=[["layer3", "layer1"]])
    assert moves.units == (("layer2",), ("layer1", "layer3"), ("layer4",))
    assert reached(list(moves.configurations())) == [(), (2,), (1, 3), (1, 2, 3), (4,), (2, 4), (1, 3, 4), (1, 2, 3, 4)]
    assert reached(moves.forward(on(4))) == [(2, 4), (1, 3, 4)]
    assert reached(moves.backward(on(1, 3, 4))) == [(4,), (1, 3)]
    assert not moves.is_allowed(on(1))


def test_a_group_takes_one_module() -> None:
    space = SearchSpace(choices(3, ("mmtm", "concat_conv")))
    moves = Moves(space, groups=[["layer1", "layer2"]])
    assert moves.size == 9
    assert [space.active(c) for c in moves.forward(moves.start)][:2] == [
        {"layer1": "mmtm", "layer2": "mmtm"},
        {"layer1": "concat_conv", "layer2": "concat_conv"},
    ]
    assert not moves.is_allowed(space.complete({"layer1": "mmtm", "layer2": "concat_conv"}))


def test_what_is_forced_for_one_of_a_group_is_so_for_all() -> None:
    moves = Moves(SPACE, forced={"layer1": "mmtm"}, groups=[["layer1", "layer2"]])
    assert points(moves.start) == (1, 2)
    assert moves.units == (("layer3",), ("layer4",))


def test_parameters_without_effect_are_not_reached() -> None:
    moves = Moves(SWITCHES, forced={"a": "on"})
    assert [SWITCHES.active(c) for c in moves.forward(moves.start)] == [
        {"a": "on", "b": "x"},
        {"a": "on", "b": "y"},
        {"a": "on", "d": "on"},
    ]
    assert SWITCHES.active(moves.everything()) == {"a": "on", "b": "x", "d": "on", "e": "x"}
    assert all(c["a"] == "on" and c["c"] == "off" for c in moves.configurations())
    assert [SWITCHES.active(c) for c in moves.backward(moves.everything())] == [
        {"a": "on", "d": "on", "e": "x"},
        {"a": "on", "b": "x"},  # without d, e has no effect
        {"a": "on", "b": "x", "d": "on"},
    ]


@settings(deadline=None)
@given(st.data())
def test_moves_stay_inside_and_lead_back(data: st.DataObject) -> None:
    space = data.draw(st.sampled_from([SPACE, SearchSpace(choices(4, ("mmtm", "concat_conv")))]))
    names = list(space.parameters)
    forced = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from(space.parameters[names[0]]), max_size=2))
    free = [name for name in names if name not in forced]
    groups = [free[:2]] if len(free) > 2 and data.draw(st.booleans()) else []
    moves = Moves(space, forced, groups)
    every = list(moves.configurations())
    assert len(every) == len(set(every)) == moves.size
    assert [space.index(c) for c in every] == sorted(space.index(c) for c in every)
    met, front = {moves.start}, [moves.start]
    while front:
        configuration = front.pop()
        for move in moves.forward(configuration):
            assert moves.is_allowed(move) and moves.n_active(move) == moves.n_active(configuration) + 1
            assert configuration in moves.backward(move)
            front += [] if move in met else [move]
            met.add(move)
    assert met == set(every)


@pytest.mark.parametrize(
    ("forced", "groups", "message"),
    [
        ({"layer9": "mmtm"}, [], r"`forced` must map parameters of the space to their choices, but got 'layer9': 'mmtm'"),
        ({"layer1": "x"}, [], r"`forced` must map parameters of the space to their choices, but got 'layer1': 'x'"),
        ({}, [["layer1"]], r"`groups` must be lists of at least two different parameters, but got \['layer1'\]"),
        ({}, ["layer1"], r"`groups` must be lists of at least two different parameters, but got 'layer1'"),
        ({}, [["layer1", "layer1"]], r"`groups` must be lists of at least two different parameters"),
        ({}, [["layer1", "layer9"]], r"`groups` must name parameters among \['layer1', .*\], but got 'layer9'"),
        (
            {},
            [["layer1", "layer2"], ["layer2", "layer3"]],
            r"`groups` must have no parameter in common, but got 'layer2' twice",
        ),
        (
            {"layer1": "mmtm", "layer2": "none"},
            [["layer1", "layer2"]],
            r"`forced` must give all of a group the same choice, but got \['mmtm', 'none'\] for \['layer1', 'layer2'\]",
        ),
    ],
)
def test_what_is_refused(forced: Mapping[str, str], groups: Sequence[Sequence[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Moves(SPACE, forced, groups)


def test_what_is_refused_of_other_spaces() -> None:
    with pytest.raises(ValueError, match=r"`groups` must join parameters of the same choices, but got \['a', 'b'\]"):
        Moves(SWITCHES, groups=[["a", "b"]])
    with pytest.raises(ValueError, match=r"`forced` must choose what has an effect when all else is off, but got \{'b': 'x'\}"):
        Moves(SWITCHES, forced={"b": "x"})


def test_starts_that_are_refused() -> None:
    moves = Moves(SPACE, forced={"layer2": "mmtm"}, groups=[["layer3", "layer4"]])
    assert points(moves.complete({"layer1": "mmtm"})) == (1, 2)
    with pytest.raises(ValueError, match=r"`start` must be canonical and keep what is forced and grouped, but got \{'layer2'"):
        moves.complete({"layer3": "mmtm"})
    with pytest.raises(ValueError, match=r"`start` must be canonical and keep what is forced and grouped, but got \{'layer1'"):
        moves.complete({"layer1": "mmtm", "layer2": "none"})
    with pytest.raises(ValueError, match="`start` must map parameters of the space to their choices, but got 'layer7': 'mmtm'"):
        moves.complete({"layer7": "mmtm"})
    with pytest.raises(ValueError, match=r"`index` must be in \[0, 4\), but got 4"):
        moves.configuration(4)
