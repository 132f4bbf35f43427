"""Decoding: scans from files onto one grid, with normalised intensities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.intensity.array import NormalizeIntensity
from monai.transforms.io.array import LoadImage
from monai.transforms.spatial.array import Orientation, ResampleToMatch, Resize
from monai.transforms.utility.array import EnsureChannelFirst

from nas_fusion.cohorts.files import UNREADABLE, check_voxels, read_voxels
from nas_fusion.cohorts.manifest import Manifest
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.validation import Headers

VERSION = 1  # of the numbers that decoding gives: part of every fingerprint
LARGEST = 96  # voxels an axis, unless a shape is asked for
STEPS = (
    "axes in the order right, anterior, superior",
    "scans of a subject on the grid of its first modality (trilinear), where `resample` asks for it",
    "resized to the common grid (averaged where it shrinks, trilinear where it grows), where it differs",
    "mean 0 and standard deviation 1 over the non-zero voxels of each channel",
)
Progress = Callable[[int, int], None]


def common_grid(headers: Headers, shape: Sequence[int] | None) -> tuple[int, ...]:
    """Return the grid that all scans are put on.

    Args:
        headers: Of all scans.
        shape: What was asked for, one number for all axes or one an axis; `None` for the largest size of each axis among the
            scans, shrunk so that none is above 96.

    Raises:
        ValueError: If the number of axes is wrong.
    """
    if shape is not None:
        if len(shape) not in (1, 3):
            raise ValueError(f"`shape` must be one number, or one for each of 3 axes, but got {tuple(shape)}.")
        return tuple(shape) * (3 // len(shape))
    own = np.max([header.oriented for header in headers.values()], axis=0)
    shrink = min(1.0, LARGEST / own.max())
    return tuple(max(1, round(float(size) * shrink)) for size in own)


def decode(path: Path, grid: Sequence[int], *, reference: Path | None = None) -> torch.Tensor:
    """Return one scan, decoded, `(channels, *grid)` float32. A scan that is on the grid keeps its voxels.

    Args:
        path: A NIfTI file.
        grid: Voxels an axis.
        reference: A file whose grid the scan is put on before.

    Raises:
        ValueError: If the scan cannot be read.
    """
    scan = _load(path)
    if reference is not None:
        target = _load(reference)
        if scan.shape[1:] != target.shape[1:] or not torch.allclose(scan.affine, target.affine, atol=1e-3):
            scan = ResampleToMatch(mode="bilinear", padding_mode="zeros")(scan, img_dst=target)
    scan = _resized(scan, tuple(grid))
    return _plain(NormalizeIntensity(nonzero=True, channel_wise=True)(scan)).to(torch.float32).contiguous()


def decode_all(
    manifest: Manifest, headers: Headers, options: SourceOptions, progress: Progress | None = None
) -> dict[str, torch.Tensor]:
    """Return all scans, modality to `(subjects, channels, *grid)`, zeros where a subject lacks one.

    Args:
        manifest: Without problems.
        headers: Of all scans that there are.
        options: For `shape` and `resample`.
        progress: Called with the number of scans that are done, and of all.

    Raises:
        CohortError: With the problems of all scans: unreadable, NaN, constant.
    """
    grid = common_grid(headers, options.shape)
    problems, images = [], {}
    for modality in manifest.images:
        channels = next(header.channels for (_, name), header in headers.items() if name == modality)
        images[modality] = torch.zeros(len(manifest.table), channels, *grid)
    for done, (row, modality, path) in enumerate(scans(manifest, headers)):
        problem = check_scan(manifest, row, modality)
        if problem is not None:
            problems.append(problem)
        elif not problems:
            reference = next(manifest.path(row, name) for name in manifest.images if (row, name) in headers)
            images[modality][row] = decode(path, grid, reference=reference if options.resample else None)
        if progress is not None:
            progress(done + 1, len(headers))
    if problems:
        raise CohortError(manifest.name, problems)
    return images


def scans(manifest: Manifest, headers: Headers) -> Iterator[tuple[int, str, Path]]:
    """Yield row, modality and file of every scan that there is."""
    for row, modality in headers:
        path = manifest.path(row, modality)
        if path is not None:
            yield row, modality, path


def check_scan(manifest: Manifest, row: int, modality: str) -> Problem | None:
    """Return what is wrong with the voxels of a scan, `None` if they can be used."""
    subject, path = str(manifest.table["subject"].iloc[row]), manifest.path(row, modality)
    assert path is not None, "Should not reach: only scans that there are have headers."
    shown = manifest.shown(path)
    try:
        found = check_voxels(read_voxels(path))
    except ValueError as error:
        found = "corrupt file", str(error)
    return found and Problem(found[0], f"The {modality} of {subject} must be usable, but {shown} {found[1]}.", subject, shown)


def _load(path: Path) -> Any:
    try:
        image = LoadImage(reader="NibabelReader", image_only=True)(path)
    except (*UNREADABLE, RuntimeError) as error:
        raise ValueError(f"`path` must be a readable NIfTI file, but got {path}: {error}.") from None
    return Orientation(axcodes="RAS", labels=None)(EnsureChannelFirst()(image))


def _resized(scan: Any, grid: tuple[int, ...]) -> Any:
    """Return a scan on another grid: axes that shrink are averaged over the voxels covered, axes that grow interpolated.

    (MONAI's `anti_aliasing` pads with zeros before it smooths, which darkens the outermost voxels.)
    """
    smaller = tuple(min(sizes) for sizes in zip(scan.shape[1:], grid, strict=True))
    if smaller != tuple(scan.shape[1:]):
        scan = Resize(smaller, mode="area")(scan)
    return scan if smaller == grid else Resize(grid, mode="trilinear")(scan)


def _plain(scan: Any) -> torch.Tensor:
    return scan.as_tensor() if isinstance(scan, MetaTensor) else torch.as_tensor(scan)
