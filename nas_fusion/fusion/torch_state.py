"""What torch keeps for each thread, so that two stacks of one thread can each have their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

_DEVICES = ("cpu", "cuda", "mps", "xpu")


@dataclass(frozen=True)
class TorchState:
    """Whether gradients are recorded, and what autocast does.

    Attributes:
        gradients: Whether operations are recorded.
        inference: Whether inference mode is on.
        autocast: For each type of device, whether autocast is on and its type.
        cached: Whether autocast keeps what it has cast.
        nesting: How many autocast contexts are open.
    """

    gradients: bool
    inference: bool
    autocast: tuple[tuple[str, bool, torch.dtype], ...]
    cached: bool
    nesting: int

    def restore(self) -> None:
        """Make it torch's state again, but for inference mode, which only its context manager changes."""
        torch.set_grad_enabled(self.gradients)
        for device, enabled, dtype in self.autocast:
            torch.set_autocast_enabled(device, enabled)
            torch.set_autocast_dtype(device, dtype)
        torch.set_autocast_cache_enabled(self.cached)
        _nest(self.nesting)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make it torch's state for a while, whatever happens to the state meanwhile."""
        before = torch_state()
        with torch.inference_mode(self.inference):
            self.restore()
            try:
                yield
            finally:
                before.restore()
        torch.set_grad_enabled(before.gradients)

    def is_autocast(self, device: str) -> bool:
        """Return whether autocast is on for a type of device."""
        return any(enabled for name, enabled, _ in self.autocast if name == device)


def torch_state() -> TorchState:
    """Return the state of this thread."""
    return TorchState(
        gradients=torch.is_grad_enabled(),
        inference=torch.is_inference_mode_enabled(),
        autocast=tuple((d, torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in _DEVICES),
        cached=torch.is_autocast_cache_enabled(),
        nesting=_nesting(),
    )


def open_modes() -> tuple[object, ...]:
    """Return what else is open in this thread and can only be left in the order in which it was entered.

    These are the numbers of open function and dispatch modes, and what packs tensors saved for the backward pass.
    """
    saving = torch._C._autograd._top_saved_tensors_default_hooks(True)
    return torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack(), saving


def _nesting() -> int:
    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())


def _nest(depth: int) -> None:
    current = _nesting()
    for _ in range(depth - current):
        torch.autocast_increment_nesting()
    for _ in range(current - depth):
        torch.autocast_decrement_nesting()
    if depth == 0 < current:
        torch.clear_autocast_cache()
