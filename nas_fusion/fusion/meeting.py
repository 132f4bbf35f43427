"""A meeting: some of the streams exchange information, the others pass by."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nas_fusion.fusion.module import FusionModule


class Meeting(FusionModule):
    """Lets some of the streams of a point meet in a fusion module, and passes the features of the others on as they are.

    With it *which* modalities meet can be chosen, not only where: `MMTM(0,2)` is its label where an MMTM connects the first and
    the third stream. It is the identity where its module is.

    Example:
        >>> from nas_fusion import build_module
        >>> Meeting(build_module("mmtm", [8, 4]), [8, 6, 4], members=(0, 2)).label
        'MMTM(0,2)'

    Args:
        module: Built for the members' channels, in their order.
        channels: Channels of the feature map of each stream of the point, at least two streams.
        members: Which of them meet: at least two positions in `channels`, ascending.

    Raises:
        ValueError: If the members are no such positions, or the module was built for other channels.
    """

    def __init__(self, module: FusionModule, channels: Sequence[int], members: Sequence[int]) -> None:
        super().__init__(channels, spatial_dims=module.spatial_dims)
        self.members = tuple(members)
        if len(members) < 2 or list(members) != sorted(set(members)) or not set(members) <= set(range(len(channels))):
            raise ValueError(
                f"`members` must be at least two of the streams 0 to {len(channels) - 1}, ascending, but got {list(members)}."
            )
        expected = tuple(channels[i] for i in members)
        if module.channels != expected:
            raise ValueError(f"`module` must be built for the members' channels, {expected}, but got {module.channels}.")
        self.module = module

    @property
    def label(self) -> str:
        """The module's label and who meets, such as `MMTM(0,2)`."""
        return f"{self.module.label}({','.join(map(str, self.members))})"

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)`, those of the members fused."""
        self.check(features)
        fused = list(features)
        for member, feature in zip(self.members, self.module([features[i] for i in self.members]), strict=True):
            fused[member] = feature
        return fused

    def penalty(self) -> torch.Tensor | None:
        """Return the module's own."""
        return self.module.penalty()
