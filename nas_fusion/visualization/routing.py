"""All figures of the evidence on routing, with the words that go with them."""

from __future__ import annotations

import plotly.graph_objects as go

from nas_fusion.analysis.routing import RoutingEvidence
from nas_fusion.visualization.routing_brain import brain_caption, brain_figure, brain_panels
from nas_fusion.visualization.routing_epochs import epochs_caption, epochs_figure, logged
from nas_fusion.visualization.routing_usage import subjects_caption, subjects_figure, usage_caption, usage_figure


def routing_figures(evidence: RoutingEvidence | None) -> list[tuple[str, str, str, go.Figure]]:
    """Return name, title, caption and figure of each figure that the evidence has the data for; none without evidence."""
    if evidence is None:
        return []
    found = [
        ("routing-usage", "Which experts serve which regions", usage_caption(evidence), usage_figure(evidence)),
        ("routing-subjects", "How single subjects are routed", subjects_caption(evidence), subjects_figure(evidence)),
    ]
    if logged(evidence):
        found.append(("routing-epochs", "Usage of experts over training", epochs_caption(evidence), epochs_figure(evidence)))
    if brain_panels(evidence):
        found.append(("routing-brain", "Regions and their experts", brain_caption(evidence), brain_figure(evidence)))
    return found
