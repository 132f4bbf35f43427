"""The layout of a space: which backbone each modality has, and at which of its taps its stream is joined at each point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nas_fusion import Backbone, Stream, build_backbone
from search_spaces.fusion_points.points import Points

if TYPE_CHECKING:
    from nas_fusion.cohorts import Inputs, Modality

PERCEPTRON = "perceptron"


@dataclass(frozen=True)
class Layout:
    """What the streams are made of and where they meet.

    Attributes:
        points: Where streams can meet.
        primary: Name of the backbone of images and matrices.
        own: Modality to the name of another backbone.
        options: Name of a backbone to its options.
    """

    points: Points
    primary: str
    own: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def name_of(self, modality: Modality) -> str:
        """Return the name of a modality's backbone: its own, else that of its kind."""
        return self.own.get(modality.name) or self.name_for(modality.kind)

    def name_for(self, kind: str) -> str:
        """Return the name of the backbone of a kind of modalities: a perceptron for vectors, else the primary."""
        vectors = kind == "vector" and "vector" not in self.points.primary.kinds
        return PERCEPTRON if vectors else self.primary

    def backbone(self, name: str) -> Backbone:
        """Return the backbone of a name with its options."""
        return self.points.primary if name == self.primary else build_backbone(name, **self.options.get(name, {}))

    def taps(self, inputs: Inputs) -> dict[str, dict[str, str]]:
        """Return at which tap each modality is joined, by point, modalities in the cohort's order.

        Raises:
            ValueError: If the table names an unknown tap, or backbones cannot be matched by their stages.
        """
        if self.points.table is not None:
            self._check_taps(inputs)
            return {p: {m: row[m] for m in inputs.names if m in row} for p, row in self.points.table.items()}
        return {point: {m.name: self._tap(point, m) for m in inputs.modalities} for point in self.points.names}

    def stream(self, modality: Modality, classes: int) -> Stream:
        """Return the freshly initialised stream of a modality, drawn from torch's global generator.

        Raises:
            ValueError: If its backbone does not take it.
        """
        return self.stream_of(modality, classes, self.name_of(modality))

    def stream_of(self, modality: Modality, classes: int, name: str) -> Stream:
        """Return the same for a backbone of any name."""
        backbone, table = self.backbone(name), self.points.table
        backbone.check(modality)
        if backbone.follows:
            return backbone.build(modality, classes, backbone.points if table is not None else self.points.built)
        if table is None:
            wanted = {self._tap_of(point, backbone, name) for point in self.points.names}
        else:
            wanted = {row[modality.name] for row in table.values() if modality.name in row}
        return backbone.build(modality, classes, tuple(point for point in backbone.points if point in wanted))

    def _tap(self, point: str, modality: Modality) -> str:
        name = self.name_of(modality)
        return self._tap_of(point, self.backbone(name), name)

    def _tap_of(self, point: str, backbone: Backbone, name: str) -> str:
        return point if backbone.follows else self.points.tap(point, backbone, name)

    def _check_taps(self, inputs: Inputs) -> None:
        kinds = {modality.name: modality for modality in inputs.modalities}
        for point, row in (self.points.table or {}).items():
            for modality, tap in row.items():
                known = self.backbone(self.name_of(kinds[modality])).points
                if tap not in known:
                    raise ValueError(
                        f"`points` must join {modality!r} at one of {', '.join(known)}, but got {tap!r} at {point!r}."
                    )
