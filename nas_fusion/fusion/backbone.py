"""The plug-in point for backbones, and its registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, cast

import torch

from nas_fusion import plugins
from nas_fusion.fusion.stream import Stream, Tap
from nas_fusion.spelling import did_you_mean


class Described(Protocol):
    """What a backbone is told of a modality, such as `nas_fusion.cohorts.Modality`."""

    @property
    def name(self) -> str:
        """Such as `T1w`."""

    @property
    def kind(self) -> str:
        """`image`, `vector`, `matrix` or `covariance`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one subject: `(channels, *spatial)`, `(features,)` or `(regions, regions)`."""

    @property
    def spatial_dims(self) -> int:
        """Number of spatial axes."""


class Backbone(ABC):
    """Makes the stream of a modality. What it is made of are its own options, given to its constructor.

    Where it can be tapped is known before any data are: a search space has its parameters from `stages` or `points`.
    """

    kinds: tuple[str, ...] = ("image",)
    """The kinds of modalities that it takes."""
    follows: bool = False
    """Whether a stream has one stage for each of the points that are asked for, whatever their names and their number."""

    @property
    @abstractmethod
    def points(self) -> tuple[str, ...]:
        """Every place where it can be tapped, in order."""

    @property
    def stages(self) -> tuple[str, ...]:
        """The places that are searched by default, one a stage, in order: all of `points` unless a backbone says otherwise.

        Streams of different backbones are matched by the number of the stage.
        """
        return self.points

    @abstractmethod
    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        """Return the freshly initialised stream of a modality, drawn from torch's global generator.

        Args:
            modality: Of one of `kinds`.
            classes: Number of logits.
            points: Among `points` (any names where the backbone `follows`): the stream has a tap at each of them. It may have
                more.

        Raises:
            ValueError: If the modality's kind or shape is none that the backbone can take, or a point is unknown.
        """

    def find_taps(self, modality: Described, classes: int = 2, points: Sequence[str] | None = None) -> tuple[Tap, ...]:
        """Return the taps of a modality's stream in the order of execution; neither memory nor random numbers are used.

        Args:
            modality: Of one of `kinds`.
            classes: Number of logits.
            points: As of `build`, `None` for all.

        Raises:
            ValueError: As `build`.
        """
        asked = self.points if points is None else tuple(points)
        with torch.device("meta"):
            found = self.build(modality, classes, asked).taps
        return tuple(tap for name, tap in found.items() if name in asked)

    def check(self, modality: Described, points: Sequence[str] = ()) -> None:
        """Raise unless the modality is of a kind that it takes, and the points are its own.

        Raises:
            ValueError: If one of them is not.
        """
        if modality.kind not in self.kinds:
            own, kinds = type(self).__name__, " or ".join(self.kinds)
            raise ValueError(
                f"`modality` must be of kind {kinds} for {own}, but {modality.name!r} is of kind {modality.kind!r}."
            )
        for point in () if self.follows else points:
            if point not in self.points:
                hint = did_you_mean(point, self.points)
                raise ValueError(f"`points` must be places in the backbone, {', '.join(self.points)}, but got {point!r}.{hint}")


B = TypeVar("B", bound=type[Backbone])


def register_backbone(name: str) -> Callable[[B], B]:
    """Return a class decorator that registers a backbone under a name."""
    return plugins.register("backbones", name)


def build_backbone(name: str, **options: object) -> Backbone:
    """Return a backbone.

    Args:
        name: A registered name, such as `resnet18`.
        **options: The backbone's own.

    Raises:
        ValueError: If no backbone has that name, or an option is not one of its own or out of its range.
    """
    cls = plugins.load("backbones", name)
    try:
        return cast(Backbone, cls(**options))
    except TypeError as error:
        raise ValueError(f"`options` must be options of the backbone {name!r}, but got {options}: {error}.") from None
