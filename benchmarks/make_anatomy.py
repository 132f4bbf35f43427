"""Make `nas_fusion/cohorts/data/mni152_32.npz`: tissue fractions of the MNI152 template on a coarse grid.

Run it in an environment of its own with `pip install nilearn numpy`: nothing else of the project needs nilearn.
The template's notice stands beside the data, in `nas_fusion/cohorts/data/NOTICE.md`.

    python benchmarks/make_anatomy.py nas_fusion/cohorts/data/mni152_32.npz
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

EXTENT_MM = 180.0
CENTRE_MM = (0.0, -17.0, 5.0)


def overlap(n: int, centre: float, origin: float, size: int) -> np.ndarray:
    """Return how much of each of `n` coarse intervals each of `size` 1 mm voxels covers, `(n, size)`, rows at most 1."""
    step = EXTENT_MM / n
    low = centre - EXTENT_MM / 2 + step * np.arange(n)[:, None]
    fine = origin - 0.5 + np.arange(size)[None, :]
    shared = np.minimum(low + step, fine + 1.0) - np.maximum(low, fine)
    return np.clip(shared, 0.0, None) / step


def averaged(image: Any, n: int) -> np.ndarray:
    """Return the area average of a 1 mm image over each voxel of the coarse cube, `(n, n, n)`."""
    if not np.allclose(image.affine[:3, :3], np.eye(3)):
        raise ValueError(f"`image` must have axis-aligned 1 mm voxels, but got {image.affine[:3, :3].tolist()}.")
    values = np.asarray(image.dataobj, dtype=np.float64)
    weights = (overlap(n, CENTRE_MM[k], image.affine[k, 3], values.shape[k]) for k in range(3))
    return np.einsum("ai,bj,ck,ijk->abc", *weights, values, optimize=True)


def main(path: Path, n: int = 32) -> None:
    """Write the fractions of grey matter, white matter and cerebrospinal fluid, uint8 (255 = 1)."""
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template, load_mni152_wm_template

    grey = averaged(load_mni152_gm_template(resolution=1), n)
    white = averaged(load_mni152_wm_template(resolution=1), n)
    fluid = np.clip(averaged(load_mni152_brain_mask(resolution=1), n) - grey - white, 0.0, 1.0)
    fractions = np.round(255 * np.clip(np.stack([grey, white, fluid]), 0.0, 1.0)).astype(np.uint8)
    np.savez_compressed(path, fractions=fractions)
    print(f"{path}: {path.stat().st_size} bytes, {int((fractions.sum(axis=0, dtype=int) > 127).sum())} brain voxels")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
