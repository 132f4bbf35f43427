"""Anatomy of the simulated subjects: an embedded map of tissue fractions, and its deformation into individual brains."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

EXTENT_MM = 180.0
CENTRE_MM = (0.0, -17.0, 5.0)


def affine(size: int) -> npt.NDArray[np.float64]:
    """Return the affine `(4, 4)` of a grid of `size`^3 voxels: voxel indices to MNI coordinates in mm, RAS+."""
    voxel = EXTENT_MM / size
    matrix = np.diag([voxel, voxel, voxel, 1.0])
    matrix[:3, 3] = np.array(CENTRE_MM) - EXTENT_MM / 2 + voxel / 2
    return matrix


@cache
def tissue_map(size: int = 32) -> torch.Tensor:
    """Return the fractions of grey matter, white matter and fluid `(3, size, size, size)`, each in [0, 1].

    The embedded map has 32^3 voxels (see `data/NOTICE.md`); coarser grids are area averages of it, finer ones interpolations.
    """
    with (files("nas_fusion.cohorts") / "data" / "mni152_32.npz").open("rb") as file, np.load(file) as data:
        fractions = torch.from_numpy(data["fractions"].astype(np.float32) / 255)
    if size == fractions.shape[-1]:
        return fractions
    mode, options = ("area", {}) if size < fractions.shape[-1] else ("trilinear", {"align_corners": False})
    return functional.interpolate(fractions[None], size=(size,) * 3, mode=mode, **options)[0]


def smooth_field(knots: torch.Tensor, size: int) -> torch.Tensor:
    """Return a smooth field `(channels, size, size, size)` through the values of a coarse grid `(channels, k, k, k)`.

    The knots span the grid from corner to corner; between them it is trilinear.
    """
    return functional.interpolate(knots[None], size=(size,) * 3, mode="trilinear", align_corners=True)[0]


def deform(fractions: torch.Tensor, scale: torch.Tensor, knots: torch.Tensor) -> torch.Tensor:
    """Return an individual brain: the map scaled along each axis and displaced smoothly.

    Args:
        fractions: The map `(3, size, size, size)`.
        scale: Factor of each axis `(3,)`, about 1; larger means a smaller brain.
        knots: Displacement at a coarse grid `(3, k, k, k)`, in half widths of the cube.

    Returns:
        Fractions `(3, size, size, size)`.
    """
    size = fractions.shape[-1]
    axis = (torch.arange(size, dtype=torch.float32) * 2 + 1) / size - 1
    place = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    where = place * scale[:, None, None, None] + smooth_field(knots, size)
    grid = where.flip(0).permute(1, 2, 3, 0)  # grid_sample wants the last axis first
    return functional.grid_sample(fractions[None], grid[None], align_corners=False)[0]
