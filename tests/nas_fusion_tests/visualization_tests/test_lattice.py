from __future__ import annotations

from dataclasses import replace

import pytest

from nas_fusion.analysis import Arm, synergy_landscape
from nas_fusion.space import SearchSpace
from nas_fusion.visualization import lattice_figure
from nas_fusion.visualization.lattice import lattice_caption
from nas_fusion.visualization.lattice_info import is_move, lanes, lattice_info
from nas_fusion.words import Words
from tests.nas_fusion_tests.analysis_tests.builders import (
    SPACE,
    evaluation,
    on,
    one_search,
    planted_comparison,
    search,
    sfsa,
)


def test_configurations_stand_in_columns_by_active_points() -> None:
    info = lattice_info(planted_comparison())
    place = {node.label: (node.x, node.y) for node in info.nodes}
    assert len(place) == 16 and len(info.moves) == 32
    assert place["A₀"] == (0.0, pytest.approx(0.0)) and place["1+2+3+4"] == (4.0, pytest.approx(0.0))
    assert [place[label][0] for label in ("1", "1+3", "2+3+4")] == [1.0, 2.0, 3.0]
    column = ["1+2", "1+3", "2+3", "1+4", "2+4", "3+4"]
    heights = [place[label][1] for label in column]
    assert heights[0] == 1.0 and heights[-1] == -1.0
    assert heights == sorted(heights, reverse=True) and len(set(heights)) == 6


def test_nodes_carry_loss_and_who_tried_them() -> None:
    nodes = {node.label: node for node in lattice_info(planted_comparison()).nodes}
    assert (nodes["1+3"].loss, nodes["1+3"].title) == (0.30, "layer1 + layer3")
    assert nodes["1+3"].tried_by == ("beam", "exhaustive")
    assert nodes["1+3"].accepted_by == ("beam", "exhaustive")
    assert nodes["3+4"].tried_by == ("exhaustive",) and nodes["3+4"].accepted_by == ()


def test_trees_and_paths_are_the_searches() -> None:
    info = lattice_info(planted_comparison())
    assert info.trees["sfsa"] == (
        (on(), on(1)),
        (on(), on(3)),
        (on(), on(4)),
        (on(2), on(1, 2)),
        (on(2), on(2, 3)),
        (on(2), on(2, 4)),
    )
    assert info.paths["sfsa"] == ((on(), on(2)),)
    assert info.paths["beam"] == ((on(), on(1)), (on(1), on(1, 3)))
    assert info.optimum == on(1, 3)


def test_a_search_that_does_not_move_has_no_tree() -> None:
    info = lattice_info(planted_comparison())
    assert info.trees["exhaustive"] == info.paths["exhaustive"] == () and info.everything == {"exhaustive"}
    straight = replace(planted_comparison().arms[2], path=(on(), on(1)))
    assert lattice_info(planted_comparison(arms=(straight,))).paths["exhaustive"] == ()
    only_singles = planted_comparison(arms=(stopped_at_once(),))
    assert lattice_info(only_singles).trees["sfsa"] == tuple((on(), on(point)) for point in (1, 2, 3, 4))


def test_searches_may_move_down_and_jump() -> None:
    comparison = planted_comparison(arms=(backward(),))
    info = lattice_info(comparison)
    assert info.paths["backward"] == ((on(), on(1, 2, 3, 4)), (on(1, 2, 3, 4), on(1, 3, 4)), (on(1, 3, 4), on(1, 3)))
    assert (on(1, 3, 4), on(3, 4)) in info.trees["backward"]
    dashes = {
        trace.name: [t.line.dash for t in lattice_figure(comparison).data if t.name == trace.name]
        for trace in lattice_figure(comparison).data
    }
    assert dashes["Backward search: accepted"] == ["solid", "dot"] and dashes["Backward search: tried"] == ["solid"]


@pytest.mark.parametrize(
    ("a", "b", "expected"), [((), (1,), True), ((1, 2), (1,), True), ((1,), (2,), False), ((), (1, 3), False)]
)
def test_what_is_a_single_move(a: tuple[int, ...], b: tuple[int, ...], expected: bool) -> None:
    assert is_move(SPACE, (on(*a), on(*b))) is expected


def test_strokes_between_the_same_nodes_lie_side_by_side() -> None:
    edges = {"thick": [(on(), on(1))], "thin": [(on(1), on()), (on(), on(2))]}
    assert lanes(edges, {"thick": 4.0, "thin": 2.0}, 1.0) == {
        ("thick", (on(), on(1))): pytest.approx(-1.5),
        ("thin", (on(1), on())): pytest.approx(2.5),
        ("thin", (on(), on(2))): 0.0,
    }


def test_without_a_landscape_what_was_not_evaluated_has_no_loss() -> None:
    info = lattice_info(one_search())
    losses = {node.label: node.loss for node in info.nodes}
    assert losses["2"] == pytest.approx(0.52) and losses["1+3"] is None and info.optimum is None
    assert sum(loss is not None for loss in losses.values()) == 8


def test_of_a_large_space_only_what_was_evaluated_is_drawn() -> None:
    landscape = synergy_landscape(8)
    space = landscape.space
    arm = sfsa(synergy_landscape())
    wide = {on(): space.baseline, on(2): space.complete({"layer2": "mmtm"})}
    evaluations = tuple(replace(e, configuration=wide[e.configuration]) for e in arm.evaluations if e.configuration in wide)
    small = replace(arm, evaluations=evaluations, path=tuple(wide.values()), best=wide[on(2)], parents=(None, space.baseline))
    comparison = planted_comparison(space=space, arms=(small,), landscape=None)
    assert [node.label for node in lattice_info(comparison).nodes] == ["A₀", "2"]
    assert "Of 256 configurations, 254 are not drawn" in lattice_caption(comparison)

    all_of_them = tuple(evaluation(c, landscape.loss(c)) for c in space.configurations())
    everything = replace(arm, name="exhaustive", evaluations=all_of_them, parents=(None, *[space.baseline] * 255))
    everything = replace(everything, path=(space.baseline, landscape.optimum), best=landscape.optimum)
    both = planted_comparison(space=space, arms=(small, everything), landscape=landscape)
    assert [node.label for node in lattice_info(both).nodes] == ["A₀", "2", "1+3"]
    alone = planted_comparison(space=space, arms=(everything,), landscape=landscape)
    assert len(lattice_info(alone).nodes) == 256 and "not drawn" not in lattice_caption(alone)
    assert len(lattice_figure(alone).layout.annotations) == 2


def test_the_figure_has_one_entry_a_search_in_its_legend() -> None:
    figure = lattice_figure(planted_comparison())
    entries = [(trace.name, trace.legendgroup) for trace in figure.data if trace.showlegend is not False]
    assert entries == [
        ("SFSA", "sfsa"),
        ("Beam search", "beam"),
        ("Exhaustive search (everything)", "exhaustive"),
        ("best of all", None),
    ]
    assert [a.text for a in figure.layout.annotations][:2] == ["<b>A₀</b><br>0.650", "<b>1</b><br>0.610"]
    assert list(figure.layout.xaxis.tickvals) == [0, 1, 2, 3, 4]
    accepted = [trace for trace in figure.data if trace.name == "Beam search: accepted"]
    assert len(accepted) == 1 and list(accepted[0].x) == [0, 1, None, 1, 2, None]


def test_marks_stand_side_by_side_and_those_of_others_are_not_seen() -> None:
    figure = lattice_figure(planted_comparison())
    marks = {trace.legendgroup: trace for trace in figure.data if trace.mode == "markers+text"}
    nodes = [node.configuration for node in lattice_info(planted_comparison()).nodes]
    text = dict(zip(zip(marks["beam"].x, marks["beam"].y, strict=True), marks["beam"].text, strict=True))
    node = next(n for n in lattice_info(planted_comparison()).nodes if n.label == "1")
    hidden = '<span style="color:#0000">'
    assert text[node.x, round(node.y, 4)] == f"{hidden}○</span>■"
    assert len(marks["exhaustive"].text) == 1 and len(nodes) == 16
    assert marks["exhaustive"].text[0] == f"{hidden}■</span>◆"


def test_one_configuration_alone_can_be_drawn() -> None:
    comparison = one_search()
    arm = comparison.arms[0]
    alone = replace(arm, evaluations=arm.evaluations[:1], parents=(None,), path=(on(),), best=on())
    assert [t.name for t in lattice_figure(replace(comparison, arms=(alone,))).data if t.showlegend is None] == ["SFSA"]


def test_of_several_modules_figures_show_the_beginnings() -> None:
    space = SearchSpace({f"layer{i}": ["none", "mmtm", "concat_conv"] for i in (1, 2)})
    chosen = space.complete({"layer1": "mmtm", "layer2": "concat_conv"})
    arm = replace(
        sfsa(synergy_landscape()), evaluations=(evaluation(chosen, 0.4),), parents=(None,), path=(chosen,), best=chosen
    )
    comparison = planted_comparison(space=space, arms=(arm,), landscape=None)
    assert {n.label for n in lattice_info(comparison).nodes if n.tried_by} == {"1m+2c"}
    assert "Modules are shortened: c concat_conv, m mmtm." in lattice_caption(comparison)


def test_choices_that_are_drawn_in_full_are_not_called_shortened() -> None:
    space = SearchSpace({"layer1": ["none", "e2k1", "e2k2", "mmtm"]})
    comparison = planted_comparison(space=space, arms=(), landscape=None)
    assert "Modules are shortened: m mmtm." in lattice_caption(comparison)


def stopped_at_once() -> Arm:
    arm = sfsa(synergy_landscape())
    return replace(arm, evaluations=arm.evaluations[:5], parents=arm.parents[:5], path=(on(),), best=on())


def backward() -> Arm:
    steps = [
        ((), None),
        ((1, 2, 3, 4), ()),
        *[(left, (1, 2, 3, 4)) for left in ((2, 3, 4), (1, 3, 4), (1, 2, 4), (1, 2, 3))],
        *[(left, (1, 3, 4)) for left in ((3, 4), (1, 4), (1, 3))],
        *[(left, (1, 3)) for left in ((3,), (1,))],
    ]
    path = [(), (1, 2, 3, 4), (1, 3, 4), (1, 3)]
    return search("backward", "Backward search", steps, path, landscape=synergy_landscape())


def test_choices_for_which_the_space_has_names_of_its_own_are_not_called_shortened() -> None:
    class Named(SearchSpace):
        words = Words(short={"layer1=mmtm(T1w,FLAIR)": "1:T1w×FLAIR", "layer1=mmtm": "1:all"})

    comparison = planted_comparison(space=Named({"layer1": ["none", "mmtm", "mmtm(T1w,FLAIR)"]}), arms=(), landscape=None)
    assert "shortened" not in lattice_caption(comparison)
