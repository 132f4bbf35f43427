from __future__ import annotations

import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna_dashboard._app import create_app
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from nas_fusion.visualization import all_figures, publish
from nas_fusion.visualization.dashboard import note
from tests.nas_fusion_tests.analysis_tests.builders import one_search, planted_comparison

NAMES = ("arms", "lattice", "regret", "importance", "losses", "curves", "folds")
IDS = [f"nas-fusion-{name}" for name in NAMES]
WITHOUT_LANDSCAPE = [name for name in IDS if name != "nas-fusion-importance"]


def stored(study: optuna.Study) -> dict[str, Any]:
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return {name: json.loads(text) for name, text in get_plotly_graph_objects(attributes).items()}


def test_the_dashboard_gets_every_figure_and_the_diagnosis() -> None:
    study = optuna.create_study()
    comparison = planted_comparison()
    assert publish(study, comparison) == IDS
    found = stored(study)
    assert sorted(found) == sorted(IDS)
    assert found["nas-fusion-lattice"]["layout"]["title"]["text"] == "Search trees"
    drawn = {f"nas-fusion-{named.name}": named.figure for named in all_figures(comparison)}
    for name, figure in drawn.items():
        assert len(found[name]["data"]) == len(figure.data)
    attributes = study._storage.get_study_system_attrs(study._study_id)
    text = "".join(value for key, value in sorted(attributes.items()) if key.startswith("dashboard:note_str:"))
    assert text.startswith("## Does fusion pay?\n\n- **good**: Cross-modal fusion pays: SFSA chose layer2")
    assert "| SFSA | layer2 | 0.520 |" in note(comparison)


def test_figures_are_small_because_they_bring_no_template() -> None:
    study = optuna.create_study()
    publish(study, planted_comparison())
    for name, figure in stored(study).items():
        assert len(json.dumps(figure["layout"]["template"])) < 100, name
        assert len(json.dumps(figure)) < 20_000, name
        assert "bdata" not in json.dumps(figure), name


def test_publishing_again_replaces() -> None:
    study = optuna.create_study()
    publish(study, planted_comparison())
    publish(study, one_search())
    assert [trace["name"] for trace in stored(study)["nas-fusion-arms"]["data"]] == ["validation"]


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_the_dashboards_own_server_delivers_them(storage: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    url = None if storage == "memory" else f"sqlite:///{tmp_path_factory.mktemp('db') / 'study.db'}"
    study = optuna.create_study(storage=url)
    publish(study, one_search())
    application = create_app(study._storage)
    status: list[str] = []
    environment: dict[str, Any] = {"PATH_INFO": f"/api/studies/{study._study_id}", "QUERY_STRING": "after=0"}
    setup_testing_defaults(environment)
    body = b"".join(application(environment, lambda code, headers, info=None: status.append(code)))
    assert status[0].startswith("200")
    detail = json.loads(body)
    assert sorted(item["id"] for item in detail["plotly_graph_objects"]) == sorted(WITHOUT_LANDSCAPE)
    assert "Cross-modal fusion pays" in detail["note"]["body"]


def test_figures_fit_the_dashboards_cards() -> None:
    study = optuna.create_study()
    publish(study, planted_comparison())
    found = stored(study)
    assert {figure["layout"]["height"] for figure in found.values()} == {445}
    assert found["nas-fusion-arms"]["layout"]["yaxis"]["ticktext"][0] == 'SFSA <span style="font-size:11px">layer2</span>'
    dots = ("evaluated", "not evaluated", "best of all")
    sizes = {t["name"]: t["marker"]["size"] for t in found["nas-fusion-lattice"]["data"] if t.get("name") in dots}
    assert sizes == {"evaluated": 11, "not evaluated": 11, "best of all": 7}
    assert found["nas-fusion-lattice"]["layout"]["annotations"][0]["text"] == "<b>A₀</b> 0.650"
