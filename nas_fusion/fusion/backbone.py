"""The plug-in point for backbones, and its registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, cast

from nas_fusion import plugins
from nas_fusion.fusion.stream import Stream


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
            points: Among `points`: the stream has a tap at each of them, in their order. It may have more.

        Raises:
            ValueError: If the modality's shape is none that the backbone can take.
        """


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
