"""What pages consist of: findings, tables, figures and facts as HTML, and the page that holds them."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import plotly.offline

from nas_fusion.analysis.findings import Finding
from nas_fusion.visualization.page import PAGE, POLICY, STYLE

_CONFIG = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}
_WORDS = ("Arm", "Search")


def write_page(path: str | Path, title: str, body: Iterable[str]) -> Path:
    """Write one self-contained HTML file, and return its path.

    plotly's library is part of the file, and a content policy forbids the browser every request.

    Args:
        path: Of the file; its folder is made if need be, an older file is replaced.
        title: Plain text.
        body: Parts of the body, HTML.
    """
    path = Path(path)
    page = PAGE.substitute(
        policy=POLICY, title=html.escape(title), style=STYLE, plotly=plotly.offline.get_plotlyjs(), body="\n".join(body)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(page, encoding="utf-8")
    return draft.replace(path)


def finding_html(finding: Finding) -> str:
    """Return a finding with its level, causes and next command."""
    return (
        f'<div class="finding {finding.level}"><span class="level">{finding.level}</span>'
        f"<p>{html.escape(finding.sentence)}</p>{reasons_html(finding)}</div>"
    )


def reasons_html(finding: Finding) -> str:
    """Return the causes and the next command of a finding, nothing where there are none."""
    causes = "".join(f"<li>{html.escape(cause)}</li>" for cause in finding.causes)
    listed = f"<p>Likely causes:</p><ul>{causes}</ul>" if causes else ""
    return listed + (f"<p>Next, try:</p><pre>{html.escape(finding.command)}</pre>" if finding.command else "")


def table_html(table: pd.DataFrame, kinds: pd.Series, *words: str) -> str:
    """Return a table of texts; what stands in brackets goes below, smaller.

    Args:
        table: Texts, ready to be shown.
        kinds: Kind of each row, such as `search`: a line separates rows of different kinds.
        words: Further columns that are set as words, to the left.
    """
    to_the_left = {*_WORDS, *words}
    head = "".join(f"<th{_class(name in to_the_left)}>{html.escape(name)}</th>" for name in table.columns)
    rows, before = [], None
    for (_, row), kind in zip(table.iterrows(), kinds, strict=True):
        cells = "".join(f"<td{_class(name in to_the_left)}>{_cell(text)}</td>" for name, text in row.items())
        first = " first-of-kind" if before is not None and kind != before else ""
        rows.append(f'<tr class="{kind}{first}">{cells}</tr>')
        before = kind
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def figure_html(name: str, title: str, caption: str, figure: go.Figure) -> str:
    """Return a figure with a heading and what it shows; `name` is that of its address on the page."""
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=False, include_mathjax=False, config=_CONFIG, div_id=f"figure-{name}"
    )
    text = f"<figcaption>{html.escape(caption)}</figcaption>"
    return f'<h2 id="{name}">{html.escape(title)}</h2><figure>{text}{drawn}</figure>'


def facts_html(facts: Mapping[str, Any]) -> str:
    """Return facts as a table of two columns."""
    rows = "".join(f"<tr><td>{html.escape(str(k))}</td><td>{html.escape(_fact(v))}</td></tr>" for k, v in facts.items())
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'


def _class(is_words: bool) -> str:
    return ' class="words"' if is_words else ""


def _cell(text: str) -> str:
    value, bracket, detail = html.escape(text).partition(" [")
    return f"{value}<small>{detail.replace(']', '')}</small>" if bracket else value


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_fact(item)}" for key, item in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value)) or "–"
    return value if isinstance(value, str) else json.dumps(value, default=str)
