from __future__ import annotations

from dataclasses import replace

import pytest

from nas_fusion.analysis import synergy_landscape
from nas_fusion.space import SearchSpace
from nas_fusion.visualization import lattice_figure
from nas_fusion.visualization.lattice import _get_lattice_info
from tests.nas_fusion_tests.analysis_tests.builders import on, one_search, planted_comparison, sfsa


def test_configurations_stand_in_columns_by_active_points() -> None:
    info = _get_lattice_info(planted_comparison())
    place = {node.label: (node.x, node.y) for node in info.nodes}
    assert len(place) == 16 and len(info.moves) == 32
    assert place["A₀"] == (0.0, pytest.approx(0.0)) and place["1+2+3+4"] == (4.0, pytest.approx(0.0))
    assert [place[label][0] for label in ("1", "1+3", "2+3+4")] == [1.0, 2.0, 3.0]
    column = ["1+2", "1+3", "2+3", "1+4", "2+4", "3+4"]
    heights = [place[label][1] for label in column]
    assert heights[0] == 1.0 and heights[-1] == -1.0
    assert heights == sorted(heights, reverse=True) and len(set(heights)) == 6


def test_nodes_carry_loss_and_who_tried_them() -> None:
    nodes = {node.label: node for node in _get_lattice_info(planted_comparison()).nodes}
    assert (nodes["1+3"].loss, nodes["1+3"].title) == (0.30, "layer1 + layer3")
    assert nodes["1+3"].tried_by == ("beam", "exhaustive")
    assert nodes["3+4"].tried_by == ("exhaustive",)


def test_trees_and_paths_are_the_searches() -> None:
    info = _get_lattice_info(planted_comparison())
    assert info.trees["sfsa"] == (
        (on(), on(1)),
        (on(), on(2)),
        (on(), on(3)),
        (on(), on(4)),
        (on(2), on(1, 2)),
        (on(2), on(2, 3)),
        (on(2), on(2, 4)),
    )
    assert info.paths["sfsa"] == ((on(), on(2)),)
    assert info.paths["beam"] == ((on(), on(1)), (on(1), on(1, 3)))
    assert info.optimum == on(1, 3)


def test_without_a_landscape_what_was_not_evaluated_has_no_loss() -> None:
    info = _get_lattice_info(one_search())
    losses = {node.label: node.loss for node in info.nodes}
    assert losses["2"] == pytest.approx(0.52) and losses["1+3"] is None and info.optimum is None
    assert sum(loss is not None for loss in losses.values()) == 8


def test_of_a_large_space_only_what_was_evaluated_is_drawn() -> None:
    space = SearchSpace({f"layer{i}": ["none", "mmtm"] for i in range(1, 9)})
    arm = sfsa(synergy_landscape())
    wide = {on(): space.baseline, on(2): space.complete({"layer2": "mmtm"})}
    evaluations = tuple(replace(e, configuration=wide[e.configuration]) for e in arm.evaluations if e.configuration in wide)
    small = replace(arm, evaluations=evaluations, path=tuple(wide.values()), best=wide[on(2)], parents=(None, space.baseline))
    comparison = planted_comparison(space=space, arms=(small,), landscape=None)
    assert [node.label for node in _get_lattice_info(comparison).nodes] == ["A₀", "2"]


def test_the_figure_shows_first_tree_and_stepwise_paths_and_keeps_the_rest_in_the_legend() -> None:
    figure = lattice_figure(planted_comparison())
    visible = {trace.name: trace.visible for trace in figure.data if trace.showlegend is not False}
    assert visible == {
        "SFSA: tried": True,
        "SFSA: accepted": True,
        "Beam search: tried": "legendonly",
        "Beam search: accepted": True,
        "Exhaustive search: tried": "legendonly",
        "Exhaustive search: accepted": "legendonly",
        "best of all": None,
    }
    assert [a.text for a in figure.layout.annotations][:2] == ["<b>A₀</b><br>0.650", "<b>1</b><br>0.610"]
    assert list(figure.layout.xaxis.tickvals) == [0, 1, 2, 3, 4]


def test_one_configuration_alone_can_be_drawn() -> None:
    comparison = one_search()
    arm = comparison.arms[0]
    alone = replace(arm, evaluations=arm.evaluations[:1], parents=(None,), path=(on(),), best=on())
    assert len(lattice_figure(replace(comparison, arms=(alone,))).data) == 5
