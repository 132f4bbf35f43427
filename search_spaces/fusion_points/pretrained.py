"""Pretrained weights from local files: what fits by name and shape is loaded, and the rest is told."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from nas_fusion.fusion import Stream

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIX = "module."
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class OtherShape:
    """A tensor that a file has, too, but with another shape; the stream keeps its own.

    Attributes:
        name: Its name in the stream.
        file: Its shape in the file.
        stream: Its shape in the stream.
    """

    name: str
    file: tuple[int, ...]
    stream: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} ({' x '.join(map(str, self.file))} in the file, {' x '.join(map(str, self.stream))} here)"


@dataclass(frozen=True)
class PretrainedReport:
    """What became of the tensors of a file and of a stream.

    Attributes:
        path: The file.
        sha256: Its digest, hexadecimal.
        matched: Tensors of the stream that were loaded.
        other_shape: Those that have another shape in the file: freshly initialised. Where a modality has other channels than
            the images that the file was trained on, the first convolution is among them.
        missing: Those that the file lacks: freshly initialised.
        zeroed: Biases of convolutions that the file lacks while it has their kernels: zero, which is what was trained.
        unused: Tensors of the file that the stream does not have, by their names there without the prefix `module.`.
        numbers: How many numbers were loaded, and how many the stream has.
    """

    path: str
    sha256: str
    matched: tuple[str, ...]
    other_shape: tuple[OtherShape, ...]
    missing: tuple[str, ...]
    zeroed: tuple[str, ...]
    unused: tuple[str, ...]
    numbers: tuple[int, int]

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        total = len(self.matched) + len(self.other_shape) + len(self.missing) + len(self.zeroed)
        share = self.numbers[0] / self.numbers[1]
        text = f"{Path(self.path).name}: {len(self.matched)} of {total} tensors were loaded, {share:.1%} of the numbers"
        if self.other_shape:
            text += f"; of another shape, so freshly initialised: {_some(self.other_shape)}"
        if self.missing:
            text += f"; not in the file, so freshly initialised: {_some(self.missing)}"
        if self.zeroed:
            text += f"; not in the file, so zero: {_some(self.zeroed)}"
        if self.unused:
            text += f"; of the file not used: {_some(self.unused)}"
        return f"{text}."


def load_pretrained(stream: Stream, path: str | Path) -> PretrainedReport:
    """Load what fits of a file into a stream.

    Names are those of the network that the stream was made of (`layer1.0.conv1.weight` for residual networks), or the stream's
    own, with or without the prefix `module.`, in a state dict as it is or within a checkpoint under `state_dict`: the layout of
    the MedicalNet files (Chen et al., Med3D, `arXiv 1904.00625 <https://arxiv.org/abs/1904.00625>`_). Nothing in the file is
    executed.

    Args:
        stream: Its tensors are changed in place.
        path: A `.safetensors` file, or what `torch.save` wrote.

    Returns:
        What was loaded and what was not.

    Raises:
        ValueError: If the file cannot be read as tensors, none of its kernels and matrices fits, or a number is not finite.
    """
    found = _read(Path(path))
    own = stream.state_dict()
    origin = {name: _first((stream.original_names.get(name, name), name), found) for name in own}
    other = tuple(
        OtherShape(name, tuple(found[key].shape), tuple(own[name].shape))
        for name, key in origin.items()
        if key is not None and found[key].shape != own[name].shape
    )
    differ = {shape.name for shape in other}
    fits = {name: found[key] for name, key in origin.items() if key is not None and name not in differ}
    _check_fits(fits, found, own, Path(path))
    zeroed = tuple(name for name in _biases(stream) if origin[name] is None and name.replace(".bias", ".weight") in fits)
    stream.load_state_dict(own | fits | {name: torch.zeros_like(own[name]) for name in zeroed})
    return PretrainedReport(
        path=str(path),
        sha256=sha256_of(path),
        matched=tuple(fits),
        other_shape=other,
        missing=tuple(name for name, key in origin.items() if key is None and name not in zeroed),
        zeroed=zeroed,
        unused=tuple(key for key in found if key not in origin.values()),
        numbers=(sum(tensor.numel() for tensor in fits.values()), sum(tensor.numel() for tensor in own.values())),
    )


def sha256_of(path: str | Path) -> str:
    """Return the digest of a file, hexadecimal.

    Raises:
        ValueError: If it is no file that can be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"`pretrained` must be a file that can be read, but got {str(path)!r}: {error.strerror}.") from None


def _read(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file, named without the prefix."""
    sha256_of(path)  # the sentence for a file that cannot be read
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError:  # what torch says advises to trust the file
        raise _refused(path, "it holds something else, or is damaged") from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _refused(path, " ".join(str(error).split())[:200].removesuffix(".") or type(error).__name__) from None
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise ValueError(f"`pretrained` must be a file with a state dict, but there is none in {str(path)!r}.")
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


def _refused(path: Path, reason: str) -> ValueError:
    return ValueError(f"`pretrained` must be a file of tensors and nothing else, but {str(path)!r} is refused: {reason}.")


def _first(names: tuple[str, ...], known: Mapping[str, torch.Tensor]) -> str | None:
    return next((name for name in names if name in known), None)


def _check_fits(
    fits: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], path: Path
) -> None:
    if not any(tensor.ndim > 1 for tensor in fits.values()):  # normalisation fits nearly everywhere and means nothing alone
        raise ValueError(
            f"`pretrained` must have kernels of the stream's names and shapes, but none of {str(path)!r} fits: it has "
            f"{_shapes(found)}, the stream {_shapes(own)}."
        )
    for name, tensor in fits.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"`pretrained` must hold finite numbers, but {name!r} of {str(path)!r} does not.")


def _biases(stream: Stream) -> list[str]:
    """Return the names of the biases of convolutions."""
    convolutions = [(name, module) for name, module in stream.named_modules() if isinstance(module, _CONVOLUTIONS)]
    return [f"{name}.bias" for name, module in convolutions if module.bias is not None]


def _shapes(tensors: Mapping[str, torch.Tensor]) -> str:
    large = sorted(tensors.items(), key=lambda item: -math.prod(item[1].shape))[:2]
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in large) + ", ..."


def _some(names: tuple[object, ...]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(map(str, names[:2])) + more
