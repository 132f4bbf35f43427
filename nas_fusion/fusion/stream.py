"""A stream: the backbone of one modality, cut at the stages after which it can be tapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Self

import torch
from torch import nn


class Tap(NamedTuple):
    """Where a backbone can be tapped, as in timm's `FeatureInfo`.

    Attributes:
        name: The stage after which the features are taken.
        channels: Channels of the features there, at least 1.
        reduction: How many times coarser the features are than the input, at least 1 where a stream is a chain of stages.
    """

    name: str
    channels: int
    reduction: float


class Passage:
    """One forward pass through a stream, made in steps: what the features at a tap are replaced by is what goes on from there.

    Whoever steps through a stream holds the passage; a passage that is dropped in the middle leaves nothing behind.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._after: str | None = None

    def advance(self, features: torch.Tensor, until: str | None) -> torch.Tensor:
        """Return the features at the tap `until`, computed from those given.

        Args:
            features: The input at first, then the features for the tap where the passage stands, perhaps changed.
            until: A tap behind it, or `None` for the rest: the result is the logits, and the passage is over.
        """
        found = self._stream.advance(features, self._after, until)
        self._after = until
        return found


class Stream(nn.Module):
    """The backbone of one modality as named stages, one after the other, and a head that turns the last features into logits.

    Example:
        >>> stages = {"layer1": nn.Sequential(nn.Linear(10, 8), nn.ReLU()), "layer2": nn.Sequential(nn.Linear(8, 8), nn.ReLU())}
        >>> stream = Stream(stages, nn.Linear(8, 2), taps=[("layer1", 8, 1), ("layer2", 8, 1)])
        >>> tuple(stream(torch.zeros(3, 10)).shape)
        (3, 2)

    Args:
        stages: Name to module. The first takes the input `(batch, *shape)`, each other one what the stage before it returns.
        head: From the last stage's features to logits `(batch, classes)`.
        taps: The stages that can be tapped, as `(name, channels, reduction)`, in the order of the stages.
        spatial_dims: Number of spatial axes of the features, 0 (vectors) to 3.

    Raises:
        ValueError: If a tap names no stage, two name the same one, they are out of order, or a tap's channels or reduction are
            out of range.
    """

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        head: nn.Module,
        taps: Sequence[Tap | tuple[str, int, float]],
        *,
        spatial_dims: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= spatial_dims <= 3:
            raise ValueError(f"`spatial_dims` must be in [0, 3], but got {spatial_dims}.")
        checked = tuple(Tap(*tap) for tap in taps)
        _check_taps(checked, tuple(stages))
        self.taps: Mapping[str, Tap] = {tap.name: tap for tap in checked}
        self.spatial_dims = spatial_dims
        self.stages = nn.ModuleDict(dict(stages))
        self.head = head
        self.original_names: Mapping[str, str] = {}
        """Name of a tensor in the state dict to its name in the network that the stream was made of."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits `(batch, classes)` of this stream alone."""
        features = inputs
        for stage in self.stages.values():
            features = stage(features)
        return self._logits(features)

    def begin(self) -> Passage:
        """Return a forward pass to be made in steps."""
        return Passage(self)

    def advance(self, features: torch.Tensor, after: str | None, until: str | None) -> torch.Tensor:
        """Return what the stages after `after` (`None`: from the input on) up to and with `until` make of features.

        Args:
            features: The input, or the features after the stage `after`, perhaps changed by a fusion module.
            after: A stage's name, or `None`.
            until: A stage's name, or `None` for all remaining stages and the head: the result is the logits.
        """
        names = list(self.stages)
        start = 0 if after is None else names.index(after) + 1
        stop = len(names) if until is None else names.index(until) + 1
        for name in names[start:stop]:
            features = self.stages[name](features)
        return self._logits(features) if until is None else features

    def named_after(self, network: nn.Module) -> Self:
        """Remember the names that tensors have in the network that the stream was made of; stored weights go by these.

        Args:
            network: Its parameters and buffers are the stream's own, not copies.
        """
        names = {id(tensor): name for name, tensor in network.state_dict(keep_vars=True).items()}
        own = self.state_dict(keep_vars=True)
        self.original_names = {name: names[id(tensor)] for name, tensor in own.items() if id(tensor) in names}
        return self

    def _logits(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(features)
        return logits


def _check_taps(taps: Sequence[Tap], stages: Sequence[str]) -> None:
    if not stages:
        raise ValueError("`stages` must name at least one stage, but got none.")
    for tap in taps:
        if tap.name not in stages:
            raise ValueError(f"`taps` must name stages among {list(stages)}, but got {tap.name!r}.")
        if tap.channels < 1:
            raise ValueError(f"`taps` must have at least one channel, but {tap.name!r} got {tap.channels}.")
        if not tap.reduction >= 1:
            raise ValueError(f"`taps` must have a reduction of at least 1, but {tap.name!r} got {tap.reduction}.")
    positions = [stages.index(tap.name) for tap in taps]
    if any(a >= b for a, b in pairwise(positions)):
        raise ValueError(f"`taps` must follow the order of the stages {list(stages)}, but got {[tap.name for tap in taps]}.")
    for a, b in pairwise(taps):
        if b.reduction < a.reduction:
            raise ValueError(
                f"`taps` must not become finer again, but {b.name!r} has reduction {b.reduction} after {a.reduction}."
            )
