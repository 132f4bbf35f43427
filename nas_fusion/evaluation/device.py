"""Placement: device, precision, memory, and the surroundings in which numbers can be repeated."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from nas_fusion.cohorts import Batch, Cohort

PRECISIONS = ("fp32", "bf16")
_SHARE = 0.5  # of the free memory of a device that a cohort may fill
_exclusive = threading.RLock()  # torch's generators and number of threads are the process's: one training at a time


@dataclass(frozen=True)
class Placement:
    """Where and how precisely a model computes.

    Attributes:
        device: A CPU or one CUDA device.
        precision: `fp32`, or `bf16` for autocast in bfloat16 (weights stay float32).
    """

    device: torch.device
    precision: str

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a CUDA device."""
        return self.device.type == "cuda"

    @property
    def name(self) -> str:
        """The device in words, such as `cpu` or `cuda:0 (NVIDIA H200)`."""
        return f"{self.device} ({torch.cuda.get_device_name(self.device)})" if self.is_cuda else str(self.device)

    def autocast(self) -> torch.autocast:
        """Return the context in which forward passes run."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def resident(self, cohort: Cohort) -> Cohort:
        """Return the cohort on the device if it leaves it half of its free memory, else as it is: batches are moved then."""
        if not self.is_cuda:
            return cohort
        size = sum(values.numel() * values.element_size() for values in cohort.modalities.values())
        return cohort.to(self.device) if size <= _SHARE * torch.cuda.mem_get_info(self.device)[0] else cohort

    def move(self, batch: Batch) -> Batch:
        """Return a batch on the device."""
        if batch.labels.device == self.device:
            return batch
        inputs = {name: values.to(self.device) for name, values in batch.inputs.items()}
        return Batch(inputs, batch.present.to(self.device), batch.labels.to(self.device), batch.index)

    def lay_out(self, model: nn.Module, cohort: Cohort) -> nn.Module:
        """Return a model on the device, in the memory format in which it computes.

        On a CPU, 3D convolutions and pooling are faster with channels last. A module that asks for contiguous features (by
        `view`) keeps the whole model contiguous: the model decides, not a clock.
        """
        model = model.to(self.device)
        if self.is_cuda or not any(parameter.ndim == 5 for parameter in model.parameters()):
            return model
        _set_format(model, torch.channels_last_3d)
        was_training = model.training
        try:
            batch = self.move(cohort.batch(torch.zeros(1, dtype=torch.long, device=cohort.labels.device)))
            with torch.no_grad():
                model.eval()(batch.inputs, batch.present)
        except RuntimeError:
            _set_format(model, torch.contiguous_format)
        return model.train(was_training)

    @contextlib.contextmanager
    def repeatable(self, seed: int) -> Iterator[None]:
        """Give the block torch's generators to itself, seeded, with deterministic algorithms; restore everything after it.

        On a CPU it computes on one thread: sums come out the same whatever the number of cores, and threads on busy cores
        wait for each other. One block runs at a time in a process.
        """
        with _exclusive, torch.random.fork_rng([self.device] if self.is_cuda else []), _settings(self.is_cuda):
            torch.manual_seed(seed)
            yield

    def reset_peak(self) -> None:
        """Begin to measure the peak of memory."""
        if self.is_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_memory(self) -> int:
        """Return the peak of memory in bytes: of the device since `reset_peak`, or on a CPU of the whole process so far."""
        return torch.cuda.max_memory_allocated(self.device) if self.is_cuda else _peak_of_process()


def place(device: str = "auto", precision: str = "auto") -> Placement:
    """Return the placement of a device and a precision in words.

    The rules are fixed, nothing is timed, so that a resume on the same device computes the same numbers: `auto` is CUDA where
    there is any, and fp32 on a CPU, bf16 on a CUDA device that computes it (compute capability 8).

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        precision: `auto`, `fp32` or `bf16`.

    Raises:
        ValueError: If the device is not there, or the words are not among these.
    """
    found = _device(device)
    if precision not in ("auto", *PRECISIONS):
        raise ValueError(f"`precision` must be one of auto, {', '.join(PRECISIONS)}, but got {precision!r}.")
    if found.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be deterministic
    if precision == "auto":
        precision = "bf16" if found.type == "cuda" and torch.cuda.get_device_capability(found) >= (8, 0) else "fp32"
    return Placement(found, precision)


def _device(device: str) -> torch.device:
    available = torch.cuda.is_available()
    if device == "auto":
        device = "cuda" if available else "cpu"
    if device == "cpu":
        return torch.device("cpu")
    kind, _, index = device.partition(":")
    if kind != "cuda" or not (index.isdecimal() or device == "cuda"):
        raise ValueError(f"`device` must be auto, cpu, cuda or cuda:INDEX, but got {device!r}.")
    count = torch.cuda.device_count() if available else 0
    if int(index or 0) >= count:
        raise ValueError(f"`device` must be one that this machine has (CUDA devices: {count}), but got {device!r}.")
    return torch.device("cuda", int(index or 0))


def _set_format(model: nn.Module, memory_format: torch.memory_format) -> None:
    for parameter in model.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)


@contextlib.contextmanager
def _settings(is_cuda: bool) -> Iterator[None]:
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        torch.backends.cudnn.benchmark = False
        if is_cuda:
            torch.use_deterministic_algorithms(True, warn_only=True)
        else:
            torch.set_num_threads(1)
        with _told_once() if is_cuda else contextlib.nullcontext():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = benchmark
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


@contextlib.contextmanager
def _told_once() -> Iterator[None]:
    """Do not repeat for each step that CUDA has no deterministic form of an operation."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
        yield


def _peak_of_process() -> int:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # getrusage(2): kilobytes, on macOS bytes
