"""What a scan's file says without its voxels: whether it is there, readable, and on which grid."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.orientations import io_orientation

from nas_fusion.cohorts.manifest import NIFTI

_POINTERS = (b"/annex/objects/", b"../.git/annex/objects/", b"version https://git-lfs")
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, nibabel.filebasedimages.ImageFileError)


@dataclass(frozen=True)
class Header:
    """Grid of a scan.

    Attributes:
        shape: Spatial shape as stored.
        channels: 1, or the size of the axis behind the spatial ones.
        affine: From voxels to millimetres, `(4, 4)`.
    """

    shape: tuple[int, ...]
    channels: int
    affine: npt.NDArray[np.float64]

    @property
    def oriented(self) -> tuple[int, ...]:
        """The spatial shape with the axes in the order right, anterior, superior."""
        axes = io_orientation(self.affine)[:, 0].astype(int)  # type: ignore[no-untyped-call]
        turned = [0] * 3
        for axis, size in zip(axes, self.shape, strict=True):
            turned[axis] = size
        return tuple(turned)

    def difference(self, other: Header) -> str | None:
        """Return how another grid differs, `None` if it is the same to 0.001 mm."""
        if self.shape != other.shape:
            return f"shape {other.shape} instead of {self.shape}"
        if not np.allclose(self.affine, other.affine, atol=1e-3):
            gap = np.abs(self.affine - other.affine).max()
            return f"another position, orientation or voxel size (affine differs by up to {gap:.3g})"
        return None


def absence(path: Path, endings: Sequence[str] = NIFTI) -> tuple[str, str] | None:
    """Return the rule that a file breaks by not being there, and what is wrong, `None` if it is there.

    Args:
        path: Of the file.
        endings: Those that its name may have.
    """
    try:
        return _absence(path, endings)
    except (OSError, ValueError) as error:
        return "corrupt file", f"cannot be opened ({getattr(error, 'strerror', None) or error})"


def _absence(path: Path, endings: Sequence[str]) -> tuple[str, str] | None:
    if path.is_symlink() and not path.exists():
        if "annex" in path.readlink().parts:
            return "file not fetched", "is a link of git-annex to content that is not here (see `datalad get`)"
        return "file not fetched", "is a link that leads nowhere"
    if path.is_dir():
        return "file missing", "is a folder"
    if not path.is_file():
        return "file missing", "does not exist"
    if not path.name.endswith(tuple(endings)):
        return "unknown format", f"has an ending other than {', '.join(endings[:-1])} or {endings[-1]}"
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(_POINTERS):
        return "file not fetched", "is a pointer of git-annex or git-lfs to content that is not here (see `datalad get`)"
    return ("corrupt file", "is empty") if not start else None


def read_header(path: Path) -> Header:
    """Return the grid of a NIfTI file.

    Raises:
        ValueError: If it cannot be read, or is no image with three spatial axes.
    """
    try:
        image: Any = nibabel.load(path)
        shape, affine = tuple(int(n) for n in image.shape), np.asarray(image.affine, dtype=np.float64)
    except UNREADABLE as error:
        raise ValueError(f"cannot be read ({_short(error)})") from None
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise ValueError(f"has the shape {shape}: three spatial axes, and at most one of channels, are expected")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise ValueError("has no usable affine: its voxels have no position in space")
    return Header(shape[:3], shape[3] if len(shape) == 4 else 1, affine)


def check_voxels(values: npt.NDArray[np.floating[Any]]) -> tuple[str, str] | None:
    """Return the rule that voxels `(channels, *spatial)` break, and what is wrong; `None` if they can be used."""
    if not np.isfinite(values).all():
        return "NaN", f"has NaN or infinite values in {1 - np.isfinite(values).mean():.2%} of its voxels"
    for channel in values:
        inside = channel[channel != 0]
        if not inside.size or inside.min() == inside.max():
            level = (
                f"{inside[0]:g} wherever it is not 0" if 0 < inside.size < channel.size else f"{channel.flat[0]:g} everywhere"
            )
            return "constant image", f"is constant: {level}"
    return None


def read_voxels(path: Path) -> npt.NDArray[np.float32]:
    """Return the values of a NIfTI file as stored, `(channels, *spatial)`.

    Raises:
        ValueError: If they cannot be read.
    """
    try:
        image: Any = nibabel.load(path)
        values = np.asarray(image.dataobj, dtype=np.float32)
    except UNREADABLE as error:
        raise ValueError(f"cannot be read ({_short(error)})") from None
    return np.moveaxis(values, 3, 0) if values.ndim == 4 else values[None]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, as hexadecimal digits.

    Of the content, not of size and time: a copy of the data elsewhere has the same fingerprint. A gigabyte takes a second.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
