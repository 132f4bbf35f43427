from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import plotly.graph_objects as go
import pytest
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from nas_fusion.analysis.routing import Regions
from nas_fusion.visualization import publish, write_report
from nas_fusion.visualization.routing import routing_figures
from nas_fusion.visualization.routing_brain import brain_caption, brain_figure
from nas_fusion.visualization.routing_epochs import epochs_figure
from nas_fusion.visualization.routing_panels import groups, labels, last_panels, panels
from nas_fusion.visualization.routing_usage import subjects_figure, usage_caption, usage_figure
from nas_fusion.visualization.style import COLOURS
from tests.nas_fusion_tests.analysis_tests.builders import one_search
from tests.nas_fusion_tests.analysis_tests.routing_builders import (
    evidence,
    layer,
    regions,
    shared_gates,
    two_experts,
    whole_evidence,
)

NAMES = ["routing-usage", "routing-subjects", "routing-epochs", "routing-brain"]
WHOLE = whole_evidence(subjects=12, pairs=3)


def maps(figure: go.Figure) -> list[go.Heatmap]:
    return [trace for trace in figure.data if isinstance(trace, go.Heatmap)]


def test_a_panel_for_each_layer_and_kind_of_token_and_fewer_where_there_are_many() -> None:
    titles = ["sc.0", "sc.1", "fused.0, SC tokens", "fused.0, FC tokens", "fused.1, SC tokens", "fused.1, FC tokens"]
    assert [panel.title for panel in panels(WHOLE)] == titles
    assert [panel.title for panel in last_panels(WHOLE)] == [titles[1], *titles[4:]]
    many = replace(WHOLE, layers=(*WHOLE.layers, *(replace(WHOLE.layers[0], name=f"fc.{i}") for i in range(4))))
    assert [panel.title for panel in panels(many)] == [titles[1], *titles[4:], "fc.3"]


def test_regions_are_ordered_by_network_and_hemisphere() -> None:
    panel = panels(WHOLE)[3]
    assert labels(panel, WHOLE.regions) == [
        "L region 1 (motor)",
        "L region 3 (motor)",
        "R region 1 (motor)",
        "R region 3 (motor)",
        "L region 2 (visual)",
        "R region 2 (visual)",
    ]
    assert [(group.title, group.first, group.count) for group in groups(panel, WHOLE.regions)] == [
        ("motor", 0, 4),
        ("visual", 4, 2),
    ]
    assert panel.tokens.tolist() == [6, 10, 7, 11, 8, 9]  # of the second modality


def test_without_networks_hemispheres_are_the_groups_and_without_places_there_are_none() -> None:
    sides = replace(WHOLE, regions=regions(6, networks=False))
    assert [group.title for group in groups(panels(sides)[0], sides.regions)] == ["left", "right"]
    nothing = replace(WHOLE, regions=regions(6, networks=False, places=False))
    assert groups(panels(nothing)[0], nothing.regions) == []
    assert panels(nothing)[0].tokens.tolist() == list(range(6))


def test_the_usage_map_shows_mean_gates_of_experts_by_region() -> None:
    figure = usage_figure(WHOLE)
    drawn = maps(figure)
    assert len(drawn) == 6
    panel = panels(WHOLE)[2]
    np.testing.assert_allclose(drawn[2].z, WHOLE.layers[2].gates[:, panel.tokens].mean(axis=0).T, atol=1e-4)
    assert list(drawn[2].customdata[0]) == labels(panel, WHOLE.regions)
    axis = figure.layout.coloraxis
    assert axis.cmin == 0 and axis.cmax == pytest.approx(max(2 / 3, *(np.max(each.z) for each in drawn)), abs=1e-4)
    assert list(figure.layout.xaxis6.ticktext) == ["motor", "visual"] and figure.layout.xaxis.showticklabels is False
    assert "by network and, within one, left before right" in usage_caption(
        WHOLE
    ) and "12 validation subjects" in usage_caption(WHOLE)
    assert "it was not selected" in usage_caption(replace(WHOLE, selected=False))


def test_subjects_are_ordered_by_class_and_the_same_in_all_panels() -> None:
    figure = subjects_figure(WHOLE)
    drawn = maps(figure)
    assert len(drawn) == 4 and {tuple(each.customdata[0]) for each in drawn} == {tuple(drawn[0].customdata[0])}
    names = drawn[0].customdata[0]
    assert ["low" in name for name in names] == [True] * 6 + [False] * 6
    assert list(figure.layout.xaxis4.ticktext) == ["low", "high"] and list(figure.layout.xaxis4.tickvals) == [2.5, 8.5]
    order = [WHOLE.layers[1].subjects.index(name.split()[0]) for name in names]
    np.testing.assert_allclose(drawn[1].z, WHOLE.layers[1].by_subject[order].T, atol=1e-4)


def test_usage_by_epoch_with_its_entropy() -> None:
    history = np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    found = evidence(layer(shared_gates((1.0, 0.0)), history=history, gate_history=np.array([np.log(2), 0.3, 0.0])))
    lines = {line.name: line for line in epochs_figure(found).data}
    assert list(lines) == ["expert 1", "expert 2", "entropy of usage", "entropy of gates"]
    assert list(lines["expert 1"].x) == [1, 2, 3] and list(lines["expert 1"].y) == [0.5, 0.9, 1.0]
    np.testing.assert_allclose(lines["entropy of usage"].y, [1.0, 0.469, 0.0], atol=1e-4)
    np.testing.assert_allclose(lines["entropy of gates"].y, [1.0, 0.3 / np.log(2), 0.0], atol=1e-4)
    with pytest.raises(ValueError, match=r"`evidence` must hold the usage by epoch of a layer, but got none\."):
        epochs_figure(evidence(layer(shared_gates((0.5, 0.5)))))


def test_regions_have_the_colour_of_their_expert_and_the_size_of_its_lead() -> None:
    first = np.array([[1.0, 0.75, 0.5, 0.0, 0.4, 0.2]] * 4)
    found = evidence(layer(two_experts(first)), regions=regions(6, networks=False))
    figure = brain_figure(found)
    dots = [trace for trace in figure.data if trace.mode == "markers" and trace.x[0] is not None]
    assert [len(trace.x) for trace in dots] == [3, 6, 3]  # left, from above, right
    above = dots[1]
    shares = dict(zip(above.text, zip(above.marker.color, above.marker.size, strict=True), strict=True))
    assert shares["L region 1<br>expert 1: 100%"] == (COLOURS[0], 15.0)
    assert shares["R region 1<br>expert 1: 75%"] == (COLOURS[0], 10.0)
    assert shares["R region 2<br>expert 2: 100%"] == (COLOURS[1], 15.0)
    places = found.regions.coordinates  # type: ignore[union-attr]
    assert set(zip(above.x, above.y, strict=True)) == {(round(x, 3), round(y, 3)) for x, y in places[:, :2]}
    left = {(round(-y, 3), round(z, 3)) for x, y, z in places if x < 0}
    assert set(zip(dots[0].x, dots[0].y, strict=True)) == left
    edges = [trace for trace in figure.data if trace.mode == "lines" and not trace.fill]
    assert [list(trace.x).count(None) for trace in edges] == [0, 3, 0]  # all three cross to the other side
    assert "from three sides" in brain_caption(found) and "strongest connections" in brain_caption(found)


def test_regions_without_places_stand_on_a_circle_networks_together() -> None:
    found = replace(WHOLE, regions=regions(6, places=False))
    figure = brain_figure(found)
    dots = [trace for trace in figure.data if trace.mode == "markers" and trace.x[0] is not None]
    assert len(dots) == 3
    np.testing.assert_allclose(np.hypot(dots[0].x, dots[0].y), 1, atol=1e-2)
    angle = np.arctan2(dots[0].x, dots[0].y) % (2 * np.pi)
    np.testing.assert_allclose(np.diff(angle), np.pi / 3, atol=1e-2)
    assert "motor" in dots[0].text[3] and "visual" in dots[0].text[4]
    assert "on a circle, networks together" in brain_caption(found)


def test_tokens_that_are_no_regions_have_no_brain() -> None:
    found = evidence(layer(shared_gates((0.5, 0.5)), regions=np.full(6, -1)), regions=regions(6))
    assert [name for name, *_ in routing_figures(found)] == NAMES[:2]
    with pytest.raises(ValueError, match=r"`evidence` must hold a layer whose tokens are regions, but got none\."):
        brain_figure(found)


def test_regions_in_a_line_or_too_few_for_an_outline_are_drawn() -> None:
    flat = Regions(tuple("abcdef"), np.column_stack([np.arange(-3, 3), np.zeros(6), np.zeros(6)]).astype(float))
    assert brain_figure(evidence(layer(shared_gates((0.5, 0.5))), regions=flat)).data


def test_report_and_dashboard_show_routing_where_there_is_any(tmp_path: Path) -> None:
    comparison = one_search(routing=WHOLE)
    text = write_report(comparison, tmp_path / "report.html").read_text()
    assert all(f'id="figure-{name}"' in text for name in NAMES)
    assert "<h2>Routing in numbers</h2>" in text and "the population mean of its region" in text
    study = optuna.create_study()
    assert publish(study, comparison)[-4:] == [f"nas-fusion-{name}" for name in NAMES]
    drawn = json.loads(
        get_plotly_graph_objects(study._storage.get_study_system_attrs(study._study_id))["nas-fusion-routing-brain"]
    )
    sizes = {size for trace in drawn["data"] if trace.get("text") for size in trace["marker"]["size"]}
    assert drawn["layout"]["height"] == 445 and 0 < max(sizes) <= 9  # at most 15 in the report
