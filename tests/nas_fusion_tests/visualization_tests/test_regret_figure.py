from __future__ import annotations

from dataclasses import replace

import pytest

from nas_fusion.analysis import synergy_landscape
from nas_fusion.visualization import regret_figure
from nas_fusion.visualization.regret import regret_caption
from tests.nas_fusion_tests.analysis_tests.builders import one_search, planted_comparison, sfsa


def test_each_search_has_its_steps_by_evaluations_and_by_epochs() -> None:
    figure = regret_figure(planted_comparison())
    traces = [t for t in figure.data if t.mode == "lines"]
    assert [(t.name, t.xaxis or "x") for t in traces[:-1]] == [
        (name, axis) for name in ("SFSA", "Beam search", "Exhaustive search") for axis in ("x", "x2")
    ]
    assert traces[0].line.shape == "hv" and list(traces[0].x) == [1, 2, 3, 8] and list(traces[1].x) == [10, 20, 30, 80]
    assert list(traces[0].y) == pytest.approx([0.35, 0.31, 0.22, 0.22])
    assert list(traces[0].customdata) == ["none", "layer1", "layer2", "layer2"]
    assert traces[-1].name == "random order, expected" and len(traces[-1].x) == 16
    ends = {t.name: (t.x[0], t.y[0]) for t in figure.data if (t.name or "").endswith("end") and t.xaxis == "x"}
    assert ends == {"SFSA: end": (8, 0.22), "Beam search: end": (13, 0.0), "Exhaustive search: end": (16, 0.0)}
    assert figure.layout.yaxis.title.text == "regret (nats)" and figure.layout.xaxis.type != "log"
    assert [t.name for t in figure.data if t.showlegend is not False][:3] == ["SFSA", "Beam search", "Exhaustive search"]


def test_without_a_landscape_nothing_is_said_of_an_optimum() -> None:
    figure = regret_figure(one_search())
    assert figure.layout.yaxis.title.text == "loss above the best found (nats)"
    assert [t.name for t in figure.data if t.mode == "lines"] == ["SFSA", "SFSA"]
    assert "The best of all is not known" in regret_caption(one_search())
    assert "the common landscape" in regret_caption(planted_comparison())


def test_long_searches_are_drawn_on_a_logarithmic_axis() -> None:
    arm = sfsa(synergy_landscape())
    long = replace(arm, evaluations=arm.evaluations * 6, parents=arm.parents * 6)
    figure = regret_figure(planted_comparison(arms=(long,)))
    assert figure.layout.xaxis.type == figure.layout.xaxis2.type == "log"
