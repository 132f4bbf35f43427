"""A user's own network as a stream: its forward pass stops at submodules, whatever its code is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from nas_fusion.fusion.stream import Passage, Stream, Tap
from nas_fusion.fusion.suspended import SuspendedPass, halt
from nas_fusion.spelling import did_you_mean


class TappedModule(Stream):
    """A network with an arbitrary forward pass, tapped at the outputs of some of its submodules.

    At a tap the forward pass is suspended (by `greenlet`, as generators are by `yield`), the other streams are computed up to
    theirs, and the pass goes on with what the fusion module returns in place of the submodule's output. Nothing is computed
    twice, and gradients flow as if it had been written out. Without a fusion module it computes what the network computes.

    A submodule that is tapped runs exactly once in a forward pass and returns one tensor `(batch, channels, *spatial)` of 0 to
    3 spatial axes, and the tapped ones run in the order in which they are named. It must not lie in a region that is computed
    again for the backward pass (`torch.utils.checkpoint`). Contexts that the network enters around it (`no_grad`, autocast) do
    not reach what is outside of the network.

    Names in the state dict are those of the network behind `stages.module.`.

    Example:
        >>> network = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> stream = TappedModule(network, {"early": "1"}, torch.zeros(2, 10))
        >>> stream.taps["early"]
        Tap(name='early', channels=8, reduction=1.0)

    Args:
        module: From `(batch, *shape)` to logits `(batch, classes)`.
        names: Dotted names of submodules, as of `module.named_modules()`, in the order in which they run; or tap name to such a
            name.
        example: An input `(batch, *shape)` with which it is tried out in evaluation mode, such as two zeros.
        channels_last: The taps at which the features are `(batch, *spatial, channels)`, such as a transformer's tokens.

    Raises:
        ValueError: If a name is no submodule, a submodule runs twice, never or out of order with the example, or it returns
            something else than features.
    """

    def __init__(
        self,
        module: nn.Module,
        names: Sequence[str] | Mapping[str, str],
        example: torch.Tensor,
        *,
        channels_last: Sequence[str] = (),
    ) -> None:
        places = _places(module, names)
        _check_channels_last(channels_last, places)
        super().__init__({"module": module}, nn.Identity(), ())
        self.named_after(module)
        self.places: Mapping[str, str] = places
        self.channels_last = frozenset(channels_last)
        for place in places.values():
            submodule = module.get_submodule(place)
            if halt not in submodule._forward_hooks.values():
                submodule.register_forward_hook(halt)
        shapes = _trial(self, example)
        self.taps = {name: Tap(name, shape[1], _reduction(example.shape, shape)) for name, shape in shapes.items()}
        self.spatial_dims = max((len(shape) - 2 for shape in shapes.values()), default=0)

    def begin(self) -> Passage:
        """Return a forward pass to be made in steps; it is to be finished by the thread that began it."""
        return SuspendedPass(self, self.stages["module"], self.places, self.channels_last)

    def advance(self, features: torch.Tensor, after: str | None, until: str | None) -> torch.Tensor:
        """Return the features at a tap, or the logits, computed from the input: all that one step can do.

        Raises:
            ValueError: If `after` names a tap: only `begin` can go on from there.
        """
        if after is not None:
            raise ValueError(f"`after` must be None, since a network goes on from a tap only in a passage, but got {after!r}.")
        return self.begin().advance(features, until)


def find_taps(
    module: nn.Module,
    names: Sequence[str] | Mapping[str, str],
    example: torch.Tensor,
    *,
    channels_last: Sequence[str] = (),
) -> list[Tap]:
    """Return name, channels and reduction at some submodules of a network, in the order in which they run.

    Takes what `TappedModule` takes, and leaves the network as it is.

    Raises:
        ValueError: As `TappedModule`.
    """
    hooks = {submodule: dict(submodule._forward_hooks) for submodule in module.modules()}
    try:
        return list(TappedModule(module, names, example, channels_last=channels_last).taps.values())
    finally:
        for submodule, held in hooks.items():
            for number in [number for number in submodule._forward_hooks if number not in held]:
                del submodule._forward_hooks[number]


def _trial(stream: TappedModule, example: torch.Tensor) -> dict[str, torch.Size]:
    """Return tap to the shape of the features there, `(batch, channels, *spatial)`, by one pass in evaluation mode."""
    shapes = {}
    with _evaluating(stream), torch.no_grad(), torch.random.fork_rng(devices=_devices(example)):
        passage, features = stream.begin(), example
        for name in stream.places:
            features = passage.advance(features, name)
            if len(features) != len(example):
                raise ValueError(
                    f"`names` must be submodules that return `(batch, channels, *spatial)`, a batch of {len(example)}, "
                    f"but {name!r} returned {tuple(features.shape)}."
                )
            shapes[name] = features.shape
        passage.advance(features, None)
    return shapes


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = {submodule: submodule.training for submodule in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for submodule, mode in modes.items():
            submodule.training = mode


def _devices(example: torch.Tensor) -> list[torch.device]:
    return [example.device] if example.device.type == "cuda" else []


def _reduction(given: torch.Size, found: torch.Size) -> float:
    """Return how many times coarser features `(batch, channels, *spatial)` are than an input `(batch, *shape)`."""
    axes, size = found[2:], given[1:] if len(found) == len(given) + 1 else given[2:]
    if not size:
        return 1.0
    if len(axes) == len(size):
        return max(before / after for before, after in zip(size, axes, strict=True))
    return float((math.prod(size) / math.prod(axes)) ** (1 / len(size)))


def _places(module: nn.Module, names: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return tap name to the name of a submodule."""
    if isinstance(names, str):
        raise ValueError(f"`names` must be a list of submodules, but got {names!r}.")
    places = dict(names) if isinstance(names, Mapping) else dict(zip(names, names, strict=True))
    known = [name for name, _ in module.named_modules() if name]
    if not places or len(set(places.values())) < len(names):
        raise ValueError(f"`names` must be at least one submodule, each once, but got {list(names)}.")
    for place in places.values():
        if place not in known:
            hint = did_you_mean(place, known)
            raise ValueError(f"`names` must be submodules of {type(module).__name__}, but got {place!r}.{hint}")
    return places


def _check_channels_last(names: Sequence[str], places: Mapping[str, str]) -> None:
    for name in names:
        if name not in places:
            raise ValueError(f"`channels_last` must be among the taps {list(places)}, but got {name!r}.")
