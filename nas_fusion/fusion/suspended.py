"""Forward passes that stand still at submodules, each on a stack of its own."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Mapping, Set
from typing import cast

import greenlet
import torch
from torch import nn
from torch.utils import checkpoint

from nas_fusion.fusion.stream import Passage, Stream
from nas_fusion.fusion.torch_state import TorchState, open_modes, torch_state


class SuspendedPass(Passage):
    """A forward pass of a network that stands still between its steps.

    The network does not refer to it. When it is dropped in the middle, the pass is ended where it stands, by an exception that
    is none of `Exception`'s: contexts that it has entered are left, without effect on the caller's.

    Args:
        stream: The stream that the network is.
        module: The network; the tapped submodules have the forward hook `halt`.
        places: Tap to the name of a submodule, in the order in which they run.
        channels_last: The taps at which the features are `(batch, *spatial, channels)`.
    """

    def __init__(self, stream: Stream, module: nn.Module, places: Mapping[str, str], channels_last: Set[str]) -> None:
        super().__init__(stream)
        names = {module.get_submodule(place): name for name, place in places.items()}
        self._forward = _Forward(module, names, channels_last)

    def advance(self, features: torch.Tensor, until: str | None) -> torch.Tensor:
        """Return the features at the tap `until`, or the logits, see `Passage.advance`.

        Raises:
            ValueError: If there is no such tap ahead, the features have another shape than they came with, or a tapped
                submodule runs twice, never or out of order, or returns something else than features.
        """
        return self._forward.step(features, until)

    def __del__(self) -> None:
        forward = self.__dict__.get("_forward")
        if forward is not None:
            forward.abandon()


class _Forward(greenlet.greenlet):
    """The stack on which the network runs."""

    def __init__(self, module: nn.Module, names: Mapping[nn.Module, str], channels_last: Set[str]) -> None:
        super().__init__(module)
        self.gr_context = contextvars.copy_context()
        self._names = names
        self._ahead = list(names.values())
        self._channels_last = channels_last
        self._until: str | None = None
        self._outside = torch_state()
        self._modes = open_modes()
        self._dtype: torch.dtype | None = None
        self._shape: torch.Size | None = None

    # What runs on the caller's stack.

    def step(self, features: torch.Tensor, until: str | None) -> torch.Tensor:
        """Return the features at a tap, or the logits."""
        self._check_step(features, until)
        self._until, self._dtype = until, self._dtype or features.dtype
        self.parent = greenlet.getcurrent()
        self._outside, self._modes = torch_state(), open_modes()
        try:
            found = self.switch(features)
        finally:
            self._outside.restore()
        if self.dead:
            return self._finished(found)
        self._shape = found.shape
        return cast(torch.Tensor, found)

    def abandon(self) -> None:
        """End the pass where it stands."""
        if self.dead or not self:
            return
        try:
            with torch_state().entered():
                self.parent = greenlet.getcurrent()
                self.throw()
        except (greenlet.error, ValueError):  # of another thread: greenlet ends it when that thread runs
            return

    def _check_step(self, features: torch.Tensor, until: str | None) -> None:
        if self.dead:
            raise ValueError(f"`until` must be a tap ahead, but the pass is over and got {until!r}.")
        if until is not None and until not in self._ahead:
            raise ValueError(f"`until` must be a tap ahead, among {self._ahead}, but got {until!r}.")
        if self._shape is not None and features.shape != self._shape:
            raise ValueError(f"`features` must keep their shape {tuple(self._shape)}, but got {tuple(features.shape)}.")

    def _finished(self, logits: object) -> torch.Tensor:
        if self._ahead:
            raise ValueError(f"`names` must be submodules that run in every forward pass, but {self._ahead[0]!r} did not run.")
        if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
            raise ValueError(f"`module` must return logits `(batch, classes)`, but got {_kind(logits)}.")
        return logits

    # What runs on the network's stack.

    def reached(self, submodule: nn.Module, output: object) -> torch.Tensor | None:
        """Return what the output of a tapped submodule is replaced by, `None` to leave it."""
        name = self._names.get(submodule)
        if name is None:
            return None
        self._check_order(name)
        features = _checked(name, output)
        self._ahead.remove(name)
        if name != self._until:
            return None
        _check_runs_once(name)
        if name not in self._channels_last:
            return self._wait(name, features).to(features.dtype)
        return self._wait(name, features.movedim(-1, 1)).movedim(1, -1).to(features.dtype)

    def _wait(self, name: str, features: torch.Tensor) -> torch.Tensor:
        """Return what the caller goes on with; meanwhile torch is in the caller's state."""
        if open_modes() != self._modes:
            raise ValueError(
                f"`names` must not be where the network has a torch mode open or packs saved tensors, but {name!r} is."
            )
        inside = torch_state()
        with self._outside.entered():
            given = self.parent.switch(self._cast(features, inside))
        return cast(torch.Tensor, given)

    def _cast(self, features: torch.Tensor, inside: TorchState) -> torch.Tensor:
        """Return the features in the input's type where only the network has autocast on."""
        device = features.device.type
        own = inside.is_autocast(device) and not self._outside.is_autocast(device)
        return features.to(self._dtype) if own and self._dtype is not None and self._dtype.is_floating_point else features

    def _check_order(self, name: str) -> None:
        if name not in self._ahead:
            raise ValueError(f"`names` must be submodules that run once in a forward pass, but {name!r} ran twice.")
        if name != self._ahead[0]:
            raise ValueError(f"`names` must be in the order in which they run, but {name!r} ran before {self._ahead[0]!r}.")


def halt(submodule: nn.Module, args: object, output: object) -> torch.Tensor | None:
    """A forward hook: the pass that runs the submodule, if one does, stops here where it was told to."""
    running = greenlet.getcurrent()
    return running.reached(submodule, output) if isinstance(running, _Forward) else None


def _checked(name: str, output: object) -> torch.Tensor:
    if isinstance(output, torch.Tensor) and output.is_floating_point() and 2 <= output.ndim <= 5:
        return output
    raise ValueError(
        f"`names` must be submodules that return one tensor `(batch, channels, *spatial)` of 0 to 3 spatial axes, "
        f"but {name!r} returned {_kind(output)}."
    )


def _check_runs_once(name: str) -> None:
    """Raise if the network computes this part of itself again for the backward pass."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename == checkpoint.__file__:
            raise ValueError(f"`names` must not be in a checkpointed part of the network, which runs twice, but {name!r} is.")


def _kind(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor {tuple(value.shape)} of {value.dtype}"
    return f"a {type(value).__name__}"
