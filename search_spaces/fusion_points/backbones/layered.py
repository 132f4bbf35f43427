"""What backbones have in common that make a layer for each point, so that they follow the points of other streams."""

from __future__ import annotations

from dataclasses import dataclass

from nas_fusion.fusion import Backbone


@dataclass(frozen=True)
class Layered(Backbone):
    """As many layers of one width as there are points.

    Attributes:
        hidden: Features after each layer, at least 1.
        layers: How many points it offers where none are given by other streams, at least 1.
    """

    hidden: int = 64
    layers: int = 4

    follows = True

    def __post_init__(self) -> None:
        for name in ("hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, but got {getattr(self, name)!r}.")

    @property
    def points(self) -> tuple[str, ...]:
        """Return `layer1`, `layer2`, ..."""
        return tuple(f"layer{i}" for i in range(1, self.layers + 1))
