"""Panels of the figures on routing: one a layer and kind of token, its regions ordered by network and hemisphere."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from nas_fusion.analysis.routing import Array, LayerUse, Regions, RoutingEvidence, Whole

MOST = 8
"""Panels of a figure: a reader compares no more."""


@dataclass(frozen=True)
class Panel:
    """The tokens of one kind in one layer.

    Attributes:
        title: Such as `fused.1, FC`.
        layer: The layer.
        tokens: Positions of the tokens in the layer, in the order in which they are drawn.
    """

    title: str
    layer: LayerUse
    tokens: Whole

    @property
    def shares(self) -> Array:
        """Mean gates of the panel's tokens, in its order `(tokens, experts)`."""
        return np.asarray(self.layer.by_token[self.tokens])


@dataclass(frozen=True)
class Group:
    """Neighbours in a panel's order that have something in common.

    Attributes:
        title: What, such as the network.
        first: Position of the first.
        count: How many.
    """

    title: str
    first: int
    count: int


def panels(evidence: RoutingEvidence) -> list[Panel]:
    """Return a panel for each layer and kind of token; where these are too many, those of each branch's last layer."""
    every = [panel for layer in evidence.layers for panel in _of_layer(layer, evidence.regions)]
    return every if len(every) <= MOST else last_panels(evidence)


def last_panels(evidence: RoutingEvidence) -> list[Panel]:
    """Return the panels of the last layer of each branch: layers whose names agree before the last full stop."""
    last = {layer.name.rpartition(".")[0]: layer for layer in evidence.layers}
    return [panel for layer in last.values() for panel in _of_layer(layer, evidence.regions)][:MOST]


def groups(panel: Panel, regions: Regions | None) -> list[Group]:
    """Return the networks of a panel's tokens in its order, or the hemispheres where only places are known; else nothing."""
    if regions is None or (panel.layer.regions < 0).any():
        return []
    titles = [_group(regions, int(panel.layer.regions[token])) for token in panel.tokens]
    found, first = [], 0
    for title, members in groupby(titles):
        count = len(list(members))
        found.append(Group(title, first, count))
        first += count
    return found if len(found) > 1 else []


def labels(panel: Panel, regions: Regions | None) -> list[str]:
    """Return the names of a panel's tokens in its order, with their networks where these are known."""
    networks = [""] * len(panel.tokens)
    if regions is not None and regions.networks and (panel.layer.regions >= 0).all():
        networks = [f" ({regions.networks[panel.layer.regions[token]]})" for token in panel.tokens]
    return [panel.layer.tokens[token] + network for token, network in zip(panel.tokens, networks, strict=True)]


def _of_layer(layer: LayerUse, regions: Regions | None) -> list[Panel]:
    kinds = list(dict.fromkeys(layer.parts)) or [""]
    return [
        Panel(f"{layer.name}, {kind} tokens" if kind else layer.name, layer, _ordered(layer, regions, kind)) for kind in kinds
    ]


def _ordered(layer: LayerUse, regions: Regions | None, kind: str) -> Whole:
    tokens = [i for i in range(len(layer.tokens)) if not kind or layer.parts[i] == kind]
    if regions is None or (layer.regions < 0).any():
        return np.array(tokens, np.int64)
    order = list(dict.fromkeys(regions.networks))
    keys = {
        token: (order.index(regions.networks[region]) if order else 0, _is_right(regions, region), region)
        for token, region in ((token, int(layer.regions[token])) for token in tokens)
    }
    return np.array(sorted(tokens, key=keys.__getitem__), np.int64)


def _group(regions: Regions, region: int) -> str:
    if regions.networks:
        return regions.networks[region]
    return ("right" if _is_right(regions, region) else "left") if regions.coordinates is not None else ""


def _is_right(regions: Regions, region: int) -> bool:
    return bool(regions.coordinates is not None and regions.coordinates[region, 0] > 0)
