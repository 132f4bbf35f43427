"""Points: the places where streams can meet, by the stages of one backbone or by a table of joins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nas_fusion import Backbone
from nas_fusion.spelling import did_you_mean
from search_spaces.fusion_points.meetings import split_choices

Table = Mapping[str, Mapping[str, str]]
"""Point to the modalities that it joins, and the tap of each."""


@dataclass(frozen=True)
class Points:
    """Where streams can meet.

    Attributes:
        names: Of the points, in order.
        primary: The backbone whose places they are where there is no table.
        table: Who is joined where; `None` where every stream is joined at every point, matched by the stage.
    """

    names: tuple[str, ...]
    primary: Backbone
    table: Table | None = None

    @property
    def built(self) -> tuple[str, ...]:
        """The places at which a stream that can have any number of stages has one: the primary's stages, and the points."""
        wanted = {*self.primary.stages, *self.names}
        return tuple(point for point in self.primary.points if point in wanted)

    def joined(self, point: str) -> tuple[str, ...] | None:
        """Return the modalities that a point joins, `None` for all."""
        return None if self.table is None else tuple(self.table[point])

    def tap(self, point: str, backbone: Backbone, name: str) -> str:
        """Return the tap at which a stream of another backbone is joined: that of the stage of the same number.

        Args:
            point: One of `names`, where there is no table.
            backbone: The stream's.
            name: The backbone's, for messages.

        Raises:
            ValueError: If the point is no stage, or the other backbone has fewer stages.
        """
        if set(self.built) <= set(backbone.points):
            return point
        stages = self.primary.stages
        if point not in stages:
            known = ", ".join(stages)
            raise ValueError(f"`points` must be stages ({known}) or a table that says where {name!r} joins, but got {point!r}.")
        if stages.index(point) >= len(backbone.stages):
            n = len(backbone.stages)
            raise ValueError(f"`points` must be stages that {name!r} has too, {n} of them, or a table, but got {point!r}.")
        return backbone.stages[stages.index(point)]


def read_points(points: Sequence[str] | str | Table | None, primary: Backbone) -> Points:
    """Return the points that were asked for; names in the order of the primary backbone, those of a table as they stand there.

    Raises:
        ValueError: If a name is unknown or occurs twice, or a row of a table joins fewer than two modalities.
    """
    if isinstance(points, Mapping):
        table = {_row_name(point): _row(point, taps) for point, taps in points.items()}
        if not table:
            raise ValueError("`points` must have at least one point, but got an empty table.")
        return Points(tuple(table), primary, table)
    asked = primary.stages if points is None else names("points", points)
    for point in asked:
        if point not in primary.points:
            hint = did_you_mean(point, primary.points)
            known = ", ".join(primary.points)
            raise ValueError(f"`points` must be places in the backbone, {known}, but got {point!r}.{hint}")
    return Points(tuple(point for point in primary.points if point in asked), primary)


def names(argument: str, given: Sequence[str] | str) -> tuple[str, ...]:
    """Return names that were given as a list or separated by commas.

    Raises:
        ValueError: If there is none, or one is empty, no text, or there twice.
    """
    if not isinstance(given, Iterable):
        raise ValueError(f"`{argument}` must be at least one name, each once, but got {given!r}.")
    found = split_choices(given) if isinstance(given, str) else tuple(given)
    if not found or not all(isinstance(name, str) and name for name in found) or len(set(found)) < len(found):
        raise ValueError(f"`{argument}` must be at least one name, each once, but got {list(found)}.")
    return found


def _row_name(point: object) -> str:
    if not isinstance(point, str) or not point:
        raise ValueError(f"`points` must have names, but got {point!r}.")
    return point


def _row(point: str, taps: object) -> dict[str, str]:
    if not isinstance(taps, Mapping) or not all(isinstance(word, str) and word for pair in taps.items() for word in pair):
        raise ValueError(f"`points` must map each point to modalities and their taps, but got {taps!r} for {point!r}.")
    if len(taps) < 2:
        raise ValueError(f"`points` must join at least two modalities at each point, but got {list(taps)} at {point!r}.")
    return dict(taps)
