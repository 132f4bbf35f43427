from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.analysis import FAMILIES, Escape, Landscape, cheapest, deceptiveness, synergy_landscape
from nas_fusion.analysis.families import additive, nk, synergy_pairs
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.analysis_tests.builders import on
from tests.nas_fusion_tests.analysis_tests.test_landscape import OnlyWithA

KINDS: dict[str, Callable[[str, str, str], bool]] = {
    "forward": lambda off, before, after: before == off != after,
    "backward": lambda off, before, after: before != off == after,
    "all": lambda off, before, after: before != after,
}


def improving(landscape: Landscape, kind: str) -> nx.DiGraph:
    """Every move of a kind between canonical configurations that lowers the loss: found by looking at all pairs of them."""
    graph = nx.DiGraph()
    graph.add_nodes_from(landscape.losses)
    for one, other in itertools.permutations(landscape.losses, 2):
        changed = [(landscape.space.off(p), one[p], other[p]) for p in one if one[p] != other[p]]
        if len(changed) == 1 and KINDS[kind](*changed[0]) and landscape.losses[other] < landscape.losses[one]:
            graph.add_edge(one, other)
    return graph


def assert_equals_networkx(landscape: Landscape) -> None:
    found = deceptiveness(landscape)
    for kind in KINDS:
        graph = improving(landscape, kind)
        assert set(found.basins[kind]) == {node for node in graph if graph.out_degree(node) == 0}
        assert list(found.basins[kind]) == sorted(found.basins[kind], key=landscape.rank)
        assert sum(found.basins[kind].values()) == len(landscape)
        steepest = nx.DiGraph()
        steepest.add_nodes_from(graph)
        for node in graph:
            steepest.add_edges_from([(node, min(graph.successors(node), key=landscape.rank))] if graph.out_degree(node) else [])
        assert all(size == len(nx.ancestors(steepest, end)) + 1 for end, size in found.basins[kind].items())
    reached = nx.descendants(improving(landscape, "forward"), landscape.space.baseline) | {landscape.space.baseline}
    assert found.is_reachable == any(optimum in reached for optimum in found.optima)
    assert (found.barrier == 0) or not found.is_reachable
    assert found.regret == landscape.regret(found.path[-1])
    assert found.is_trapped == (found.path[-1] not in found.optima)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), ties=st.booleans())
def test_any_landscape_equals_networkx(seed: int, ties: bool) -> None:
    space = SearchSpace({"a": ["none", "x", "y"], "b": ["none", "x"], "c": ["none", "x", "y"]})
    drawn = np.random.default_rng(seed).random(space.size)
    assert_equals_networkx(Landscape.from_array(np.round(drawn, 1) if ties else drawn, space))


@pytest.mark.parametrize("name", FAMILIES)
def test_families_equal_networkx(name: str) -> None:
    assert_equals_networkx(FAMILIES[name](6 if "nk5" in name else 5, 2))


def test_the_planted_landscape_is_a_trap_with_a_way_out() -> None:
    found = deceptiveness(synergy_landscape())
    assert found.path == (on(), on(2)) and found.is_trapped
    assert found.regret == pytest.approx(0.22)
    assert found.is_reachable and found.barrier == 0.0  # by way of point 1, which greedy search does not take
    assert found.optima == (on(1, 3),)
    assert list(found.basins["forward"])[:2] == [on(1, 3), on(1, 3, 4)]
    assert found.basins["all"] == {on(1, 3): 12, on(2): 4}


def test_of_an_additive_landscape_every_descent_ends_at_the_optimum() -> None:
    landscape = additive(6, 1)
    found = deceptiveness(landscape)
    assert not found.is_trapped and found.regret == 0 and found.path[-1] == landscape.optimum
    assert dict(found.basins["all"]) == {landscape.optimum: 64}


@pytest.mark.parametrize("seed", range(5))
def test_the_barrier_is_the_least_tolerance_that_opens_a_way(seed: int) -> None:
    landscape = nk(5, 4, seed)
    graph = nx.DiGraph()
    for node in landscape.losses:
        for move in landscape.space.forward_moves(node):
            graph.add_edge(node, move, rise=landscape.losses[move] - landscape.losses[node])
    rises = sorted({0.0, *(rise for *_, rise in graph.edges(data="rise") if rise > 0)})

    def opens(allowed: float) -> bool:
        kept = nx.DiGraph([(a, b) for a, b, rise in graph.edges(data="rise") if rise <= allowed])
        kept.add_nodes_from(graph)
        return bool(nx.has_path(kept, landscape.space.baseline, landscape.optimum))

    assert deceptiveness(landscape).barrier == pytest.approx(next(rise for rise in rises if opens(rise)))


def test_behind_a_synergy_the_barrier_is_what_the_first_of_the_pair_costs() -> None:
    landscape = synergy_pairs(5, 0)
    pair = landscape.space.active(landscape.optimum)
    alone = [landscape.loss(landscape.space.complete({point: "mmtm"})) for point in pair]
    found = deceptiveness(landscape)
    assert not found.is_reachable and found.barrier == pytest.approx(min(alone) - 0.65)


def test_moves_of_a_constrained_space_are_the_space_s() -> None:
    space = OnlyWithA({"a": ["none", "x"], "b": ["none", "x"]})
    landscape = Landscape.from_function(lambda c: 1.0 - 0.4 * len(space.active(c)), space)
    found = deceptiveness(landscape)
    assert [len(space.active(c)) for c in found.path] == [0, 1, 2]
    assert {kind: len(basins) for kind, basins in found.basins.items()} == {"forward": 1, "backward": 3, "all": 1}


def test_within_one_standard_error_is_no_trap() -> None:
    space = SearchSpace({"a": ["none", "x"], "b": ["none", "x"]})
    means = (0.50, 0.60, 0.60, 0.49)  # both together are better than none by 0.01, either alone is worse
    landscape = Landscape.from_array([[mean - 0.02, mean, mean + 0.02] for mean in means], space)
    assert landscape.standard_error(landscape.optimum) == pytest.approx(0.02 / math.sqrt(3))
    strict, lenient = deceptiveness(landscape), deceptiveness(landscape, standard_errors=1.0)
    assert strict.path == lenient.path == (space.baseline,)
    assert strict.is_trapped and not strict.is_reachable and strict.barrier == pytest.approx(0.10)
    assert not lenient.is_trapped and lenient.is_reachable and lenient.barrier == 0
    assert lenient.optima == (landscape.optimum, space.baseline)
    assert strict.regret == lenient.regret == pytest.approx(0.01)


def test_an_incomplete_landscape_is_refused() -> None:
    space = SearchSpace({"a": ["none", "x"]})
    with pytest.raises(ValueError, match=r"`landscape` must be complete, but got 1 of 2 configurations\."):
        deceptiveness(Landscape({space.baseline: 1.0}, space))


def test_the_cheapest_escape_finds_the_optimum_with_the_fewest_evaluations() -> None:
    found = [Escape("beam", {"width": 2}, 13, 9, 0.0, True), Escape("backward", {}, 11, 9, 0.0, True), Escape("sfsa", {}, 8)]
    assert cheapest(found) == found[1]
    assert cheapest(found[2:]) is None and found[2].regret == math.inf
