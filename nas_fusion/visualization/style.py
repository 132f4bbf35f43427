"""How all figures look: colours that colour-blind readers can tell apart, one font, no ornament."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), without its yellow, which is too light for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DIVERGING = [[0.0, COLOURS[1]], [0.5, "#F7F7F7"], [1.0, COLOURS[0]]]  # orange and blue: told apart by every reader
# Symbols of arms: plotly's name, and the letters that look like it, filled and open.
_SYMBOLS = (
    ("circle", "●", "○"),
    ("square", "■", "□"),
    ("diamond", "◆", "◇"),
    ("triangle-up", "▲", "△"),
    ("triangle-down", "▼", "▽"),
    ("star", "★", "☆"),
    ("triangle-left", "◄", "◅"),
)
INK, PALE, GRID = "#222222", "#B8BEC4", "#E6E8EB"
_AXIS = {"gridcolor": GRID, "zeroline": False, "automargin": True, "linecolor": PALE, "ticks": "outside", "tickcolor": PALE}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
FLOOR_TITLES = {"joint": "any model", "late_fusion": "late fusion"}


def colour(position: int) -> str:
    """Return the colour of the n-th arm, from 0; they repeat after seven."""
    return COLOURS[position % len(COLOURS)]


def symbol(position: int) -> str:
    """Return plotly's name of the symbol of the n-th arm, from 0; they repeat with the colours."""
    return _SYMBOLS[position % len(_SYMBOLS)][0]


def glyph(position: int, *, filled: bool) -> str:
    """Return the same symbol as a letter."""
    return _SYMBOLS[position % len(_SYMBOLS)][1 if filled else 2]


def line_width(position: int, arms: int) -> float:
    """Return the width in pixels of an arm's line where lines may lie on each other: later ones are thinner."""
    return 2 + 1.6 * (arms - 1 - position)


def legend_entry(title: str, group: str, position: int, *, line: bool = True) -> go.Scatter:
    """Return a trace that draws nothing: the entry of the n-th arm in a legend, which shows and hides the traces of a group."""
    return go.Scatter(
        x=[None],
        y=[None],
        mode="lines+markers" if line else "markers",
        line={"color": colour(position), "width": 4},
        marker={"symbol": symbol(position), "size": 11, "color": colour(position)},
        name=title,
        legendgroup=group,
    )


def faint(hexadecimal: str, opacity: float) -> str:
    """Return a colour `#rrggbb` with an opacity in [0, 1]."""
    red, green, blue = (int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def interval_bars(means: Sequence[float], lows: Sequence[float], highs: Sequence[float], **look: Any) -> dict[str, Any]:
    """Return plotly's error bars that reach from the lower to the upper end of intervals around some means.

    Args:
        means: What is drawn, as many as there are intervals.
        lows: Lower ends.
        highs: Upper ends.
        look: Further properties of plotly's error bars, such as `color`.
    """
    return {
        "type": "data",
        "symmetric": False,
        "array": [round(high - mean, 5) for mean, high in zip(means, highs, strict=True)],
        "arrayminus": [round(mean - low, 5) for mean, low in zip(means, lows, strict=True)],
        **look,
    }


def new_figure(*, height: int, **layout: Any) -> go.Figure:
    """Return an empty figure in our style.

    Its template is `none`: a dashboard stores a figure in small pieces, and a template is longer than the figure.

    Args:
        height: In pixels; the width is that of the page.
        layout: Further properties of plotly's layout.
    """
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        autosize=True,
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="#FFFFFF",
        plot_bgcolor="#FFFFFF",
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        legend={"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        hoverlabel={"font": {"family": FONT}},
    )
    figure.update_xaxes(**_AXIS)
    figure.update_yaxes(**_AXIS)
    return figure.update_layout(**layout)


def new_panels(titles: Sequence[str], *, columns: int, height: int, **grid: Any) -> go.Figure:
    """Return an empty figure in our style with several panels, row by row.

    Args:
        titles: One a panel.
        columns: In a row.
        height: In pixels.
        grid: Further arguments of plotly's `make_subplots`.
    """
    rows = -(-len(titles) // columns)
    figure = new_figure(height=height)
    make_subplots(rows, columns, figure=figure, subplot_titles=list(titles), **grid)
    figure.update_annotations(font={"size": 12, "color": INK})
    figure.update_xaxes(**_AXIS)
    return figure.update_yaxes(**_AXIS)
