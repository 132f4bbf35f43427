"""How usage of experts developed during training: shares by epoch, with the entropies of usage and of gates."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from nas_fusion.analysis.routing import LayerUse, RoutingEvidence, entropy
from nas_fusion.visualization.style import COLOURS, INK, new_panels

_COLUMNS = 3
_PANEL = 210  # pixels
_DRAWN = 200  # epochs: of more, every second, third, ... is drawn


def epochs_figure(evidence: RoutingEvidence) -> go.Figure:
    """Return each expert's share by epoch, a panel a layer, and dashed the entropy of usage, dotted that of gates.

    Raises:
        ValueError: If nothing was logged by epoch.
    """
    layers = logged(evidence)
    if not layers:
        raise ValueError("`evidence` must hold the usage by epoch of a layer, but got none.")
    columns = min(_COLUMNS, len(layers))
    rows = -(-len(layers) // columns)
    spacing = {"vertical_spacing": 0.28 / rows, "horizontal_spacing": 0.06}
    figure = new_panels([layer.name for layer in layers], columns=columns, height=80 + _PANEL * rows, **spacing)
    named: set[str] = set()
    for position, layer in enumerate(layers):
        place = {"row": position // columns + 1, "col": position % columns + 1}
        for line in _lines(layer):
            line.update(showlegend=line.name not in named)
            named.add(str(line.name))
            figure.add_trace(line, **place)
        last = position + columns >= len(layers)
        figure.update_xaxes(title="epoch" if last else None, **place)
        figure.update_yaxes(range=[-0.03, 1.05], tickformat=".0%", **place)
    return figure.update_layout(
        margin={"l": 60, "r": 20, "t": 65, "b": 50}, legend={"y": 1.0, "yref": "container", "yanchor": "top"}
    )


def epochs_caption(evidence: RoutingEvidence) -> str:
    """Return what the figure shows, in words."""
    return (
        f"Share of each expert in all gates of the validation subjects after each epoch of the stage that trains the mixtures "
        f"({evidence.model}, first training). Dashed: entropy of these shares over that of even shares; a fall towards 0 is "
        "collapse. Dotted: mean entropy of a single token's gates, on the same scale; it is low where the router is decided."
    )


def logged(evidence: RoutingEvidence) -> list[LayerUse]:
    """Return the layers whose usage by epoch is known."""
    return [layer for layer in evidence.layers if len(layer.history)]


def _lines(layer: LayerUse) -> list[go.Scatter]:
    count = len(layer.history)
    drawn = np.arange(0, count, -(-count // _DRAWN))
    epochs, even = (drawn + 1).tolist(), np.log(max(layer.n_experts, 2))
    mode = "lines+markers" if count == 1 else "lines"
    found = [
        _line(f"expert {i + 1}", epochs, layer.history[drawn, i], {"color": COLOURS[i % len(COLOURS)], "width": 2}, mode)
        for i in range(layer.history.shape[1])
    ]
    found.append(_line("entropy of usage", epochs, entropy(layer.history)[drawn] / even, {"color": INK, "dash": "dash"}, mode))
    if len(layer.gate_history) == count:
        found.append(_line("entropy of gates", epochs, layer.gate_history[drawn] / even, {"color": INK, "dash": "dot"}, mode))
    return found


def _line(name: str, epochs: list[int], values: np.ndarray, line: dict[str, object], mode: str) -> go.Scatter:
    return go.Scatter(
        x=epochs,
        y=np.round(values, 4).tolist(),
        mode=mode,
        name=name,
        legendgroup=name,
        line={"width": 1.5, **line},
        hovertemplate="epoch %{x}: %{y:.0%}<extra>" + name + "</extra>",
    )
