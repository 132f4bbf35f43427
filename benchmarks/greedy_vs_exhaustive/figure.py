"""One figure: regret against evaluations, a panel for each family, a line for each searcher."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

SHOWN = {
    "surrogate": "#d55e00",
    "beam 2": "#0072b2",
    "floating": "#009e73",
    "sfsa": "#56b4e9",
    "tpe": "#cc79a7",
    "gp": "#7f3c8d",
    "nsgaii": "#999999",
    "random": "#cccccc",
}
COLUMNS = 4
LEAST = 1e-3  # where a logarithmic axis ends: regret below it is as good as none
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def draw(entries: Sequence[dict[str, Any]], m: int | None = None) -> go.Figure:
    """Return the figure.

    Args:
        entries: Of the record.
        m: Number of points of the synthetic families, the largest there is by default; recorded landscapes have their own.
    """
    sizes = [entry["m"] for entry in entries if not entry["family"].startswith("recorded")]
    chosen = m if m is not None else max(sizes, default=0)
    shown = [entry for entry in entries if entry["m"] == chosen or entry["family"].startswith("recorded")]
    rows = max(1, -(-len(shown) // COLUMNS))
    titles = [f"{entry['family']}, m = {entry['m']}" for entry in shown]
    figure = make_subplots(rows, COLUMNS, subplot_titles=titles, horizontal_spacing=0.04, vertical_spacing=0.28 / rows)
    for position, entry in enumerate(shown):
        row, column = divmod(position, COLUMNS)
        for name in (name for name in SHOWN if name in entry["searchers"]):
            figure.add_trace(_line(entry, name, is_first=position == 0), row + 1, column + 1)
        figure.add_vline(entry["budget"], line={"color": "#bbbbbb", "dash": "dot", "width": 1}, row=row + 1, col=column + 1)
    figure.update_xaxes(type="log", title={"text": "evaluations", "standoff": 2}, title_font_size=10, tickfont_size=9)
    figure.update_yaxes(type="log", range=[-3, 0.6], tickfont_size=9)
    figure.update_layout(
        template="simple_white",
        width=1200,
        height=110 + 230 * rows,
        title="Mean regret of the best so far, in units of the regret of a configuration drawn blindly",
        title_font_size=15,
        title_y=1 - 25 / (110 + 230 * rows),
        legend={"orientation": "h", "yref": "container", "y": 1 - 72 / (110 + 230 * rows), "x": 0},
        margin={"l": 45, "r": 15, "t": 110, "b": 45},
    )
    figure.update_annotations(font_size=12)
    return figure


def _line(entry: dict[str, Any], name: str, *, is_first: bool) -> go.Scatter:
    facts = entry["searchers"][name]
    shown = [n for n in entry["grid"] if n <= facts["trials"]]
    return go.Scatter(
        x=shown,
        y=[max(value, LEAST) for value in facts["regret"][: len(shown)]],
        name=name,
        legendgroup=name,
        showlegend=is_first,
        line={"color": SHOWN[name], "width": 2.5 if name == "surrogate" else 1.5},
        mode="lines",
    )


def write_picture(figure: go.Figure, path: Path) -> bool:
    """Write a figure as PNG with a headless browser; return whether there was one.

    Args:
        figure: With a width and a height.
        path: Of the picture.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "figure.html"
        figure.write_html(page, include_plotlyjs=True, config={"displayModeBar": False})
        size = f"--window-size={figure.layout.width + 20},{figure.layout.height + 20}"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=10000"]
        command = [browser, *flags, size, f"--user-data-dir={folder}/profile", f"--screenshot={path}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path.exists()
