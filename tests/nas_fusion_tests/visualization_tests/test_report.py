from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nas_fusion.analysis import Escape, diagnose
from nas_fusion.visualization import all_figures, write_report
from tests.nas_fusion_tests.analysis_tests.builders import baseline, on, one_search, planted_comparison, predictions

LOADING = ("src", "href", "srcset", "data", "action", "poster", "background", "xlink:href")


class Page(HTMLParser):
    """What a report consists of: attributes that load something, headings, scripts, styles, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.content: dict[str, list[str]] = {}
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.loads += [f"{tag} {name}={value}" for name, value in attrs if name in LOADING]
        self.ids += [values["id"] or ""] if "id" in values else []
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.tags:
            self.content.setdefault(self.tags[-1], []).append(data)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(planted_comparison(), tmp_path_factory.mktemp("report") / "new" / "report.html").read_text()


def test_nothing_is_loaded_from_elsewhere(text: str) -> None:
    page = Page(text)
    assert page.loads == []
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert "default-src 'none'" in page.policy and "http" not in page.policy
    style = "".join(page.content["style"])
    assert "url(" not in style and "@import" not in style


def test_plotly_is_inlined_once(text: str) -> None:
    assert len(re.findall(r"plotly\.js v\d", text[:6_000_000])) == 1
    assert text.count("Plotly.newPlot(") >= 5
    assert len(text) < 6_000_000


def test_verdict_diagnosis_table_figures_and_origin_are_there(text: str) -> None:
    comparison = planted_comparison()
    page = Page(text)
    headings = [heading.strip() for heading in page.content["h2"] if heading.strip()]
    assert [heading for heading in headings if heading in text] == [
        "Diagnosis",
        "Comparison",
        "Test subjects",
        "Arms compared",
        "Search trees",
        "Regret against cost",
        "What points are worth",
        "Loss by evaluation",
        "Learning curves",
        "Spread over subjects",
        "How this was made",
        "Cohort",
    ]
    words = "".join(piece for pieces in page.content.values() for piece in pieces)
    for finding in diagnose(comparison):
        assert finding.sentence in words and finding.command in words
    assert comparison.command in words
    for name in ("arms", "lattice", "regret", "importance", "losses", "curves", "folds"):
        assert f"figure-{name}" in page.ids
    assert (
        "<td>0.220</td>" in text
        and re.search(r"<td>0.320<small>0.(29|30)\d, 0.34\d</small></td>", text)
        and "epochs 10" in words
    )


def test_names_from_data_are_escaped(tmp_path: Path) -> None:
    comparison = one_search(cohort={"name": "<script>alert(1)</script>", "site": "<b>x</b>"}, command="a <b> & c")
    text = write_report(comparison, tmp_path / "report.html").read_text()
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
    assert "a &lt;b&gt; &amp; c" in text


def test_a_single_search_has_a_report_too_and_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    assert write_report(one_search(), path) == path
    text = path.read_text()
    assert "Cross-modal fusion pays: SFSA chose layer2" in text and "nas-fusion compare fusion-points" in text
    assert "Test subjects" not in text
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]


def test_figures_depend_on_what_is_known() -> None:
    def names(comparison: object) -> list[str]:
        return [named.name for named in all_figures(comparison)]  # type: ignore[arg-type]

    comparison = one_search()
    assert names(comparison) == ["arms", "lattice", "regret", "losses", "curves", "folds"]
    assert names(planted_comparison())[1:4] == ["lattice", "regret", "importance"]
    assert names(replace(comparison, arms=comparison.arms[:1])) == ["lattice", "regret", "losses", "curves"]
    folded = tuple(replace(arm, validation=predictions(arm.value, folds=3)) for arm in comparison.arms)
    titles = [named.title for named in all_figures(replace(comparison, arms=folded))]
    assert titles[-1] == "Spread over folds"
    with pytest.raises(ValueError, match=r"`comparison` must hold a search, but got \['A_0'\]\."):
        all_figures(planted_comparison(arms=(baseline(0.6),)))


def test_what_other_searches_would_have_found_is_told_where_they_were_replayed(tmp_path: Path) -> None:
    escape = Escape("floating", {"direction": "backward"}, 12, 9, 0.0, True, (on(), on(1, 3)))
    text = write_report(planted_comparison(escapes=(escape,)), tmp_path / "report.html").read_text()
    assert "<h2>Other searches, replayed</h2>" in text and '<td class="words">floating search (direction=backward)</td>' in text
    assert "floating search (direction=backward), replayed on the landscape, finds it with 12 evaluations" in text
