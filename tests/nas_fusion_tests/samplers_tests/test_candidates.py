"""What a budgeted search may evaluate, as arrays."""

from __future__ import annotations

import pickle
from collections.abc import Mapping

import numpy as np

from nas_fusion.samplers.candidates import Candidates
from nas_fusion.samplers.moves import Moves
from nas_fusion.space import LISTED, SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import choices

MIXED = {"a": ["none", "x"], "b": ["none", "x", "y"], "c": ["none", "x"], "d": ["none", "x", "y"]}


class Dependent(SearchSpace):
    """`layer2` has an effect only with `layer1`."""

    def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
        return parameter != "layer2" or configuration["layer1"] != "none"


def test_every_allowed_configuration_is_listed_once_with_its_index() -> None:
    for moves in (
        Moves(SearchSpace(MIXED)),
        Moves(SearchSpace(MIXED), {"c": "x"}),
        Moves(SearchSpace(MIXED), {}, [["a", "c"], ["b", "d"]]),
        Moves(SearchSpace(MIXED), {"a": "x"}, [["b", "d"]]),
        Moves(Dependent(choices(3))),
    ):
        candidates = Candidates(moves)
        indices = [candidates.index(row) for row in candidates.listed]
        expected = [moves.space.index(configuration) for configuration in moves.configurations()]
        assert sorted(indices) == expected
        assert candidates.count == len(expected)
        assert np.array_equal(candidates.levels(indices), candidates.listed)
        assert indices[0] == moves.space.index(moves.start)
        order = [(moves.n_active(moves.space.configuration(index)), index) for index in indices]
        assert order == sorted(order)


def test_what_is_not_allowed_is_not_contained() -> None:
    candidates = Candidates(Moves(Dependent(choices(3)), {"layer3": "mmtm"}))
    assert [index for index in range(8) if candidates.contains(index)] == [4, 5, 7]


def test_large_spaces_are_drawn_from() -> None:
    candidates = Candidates(Moves(SearchSpace(choices(70))))
    assert not candidates.is_listed
    assert candidates.count == 2**70 > LISTED
    drawn = candidates.drawn(3)
    assert drawn.shape == (1024, 70)
    assert np.array_equal(drawn, candidates.drawn(3))
    assert not np.array_equal(drawn, candidates.drawn(4))
    assert abs(drawn.mean() - 0.5) < 0.01
    last = np.ones(70, dtype=np.intp)
    assert candidates.index(last) == 2**70 - 1
    assert np.array_equal(candidates.levels([2**70 - 1])[0], last)


def test_neighbours_differ_in_one_unit() -> None:
    candidates = Candidates(Moves(SearchSpace(MIXED)))
    rows = np.array([[0, 0, 0, 0], [1, 2, 0, 0]], dtype=np.intp)
    near = candidates.neighbours(rows)
    assert len(near) == 2 * (1 + 2 + 1 + 2)
    assert all(((row != rows).sum(1) == 1).any() for row in near)
    joined = candidates.joined(rows, near)
    assert len({row.tobytes() for row in joined}) == len(joined) == 12  # two of them are neighbours of both rows


def test_what_is_listed_is_not_pickled() -> None:
    candidates = Candidates(Moves(SearchSpace(choices(12))))
    assert candidates.coded(candidates.listed) is candidates.coded(candidates.listed)
    written = pickle.dumps(candidates)
    assert len(written) < 10_000
    assert np.array_equal(pickle.loads(written).listed, candidates.listed)
