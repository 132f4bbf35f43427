from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from nas_fusion.cohorts import load_cohort
from nas_fusion.cohorts.decoding import common_grid, decode
from nas_fusion.cohorts.files import Header

from .conftest import voxels, write_scan

OPTIONS = {"modalities": "T1w,FLAIR", "label": "group"}


def z_score(values: np.ndarray) -> np.ndarray:
    inside = values != 0
    scored = np.zeros_like(values, dtype=np.float64)
    scored[inside] = (values[inside] - values[inside].mean()) / values[inside].std()
    return scored


def with_background(path: Path, shape: tuple[int, ...] = (8, 8, 8)) -> np.ndarray:
    values = voxels(path, shape)
    values[:2] = 0
    return values


def test_a_scan_on_the_grid_keeps_its_voxels(tmp_path: Path) -> None:
    path = tmp_path / "x.nii.gz"
    values = with_background(path, (6, 7, 8))
    decoded = decode(write_scan(path, values), (6, 7, 8), reference=path)
    assert decoded.shape == (1, 6, 7, 8) and decoded.dtype == torch.float32
    np.testing.assert_allclose(decoded[0].numpy(), z_score(values), atol=1e-5)
    assert np.array_equal(decoded[0].numpy() == 0, values == 0)


def test_axes_come_in_the_order_right_anterior_superior(tmp_path: Path) -> None:
    values = with_background(tmp_path / "x.nii.gz", (6, 7, 8))
    turned = np.array([[0, 0, -1, 7], [1, 0, 0, 0], [0, -1, 0, 6], [0, 0, 0, 1]], dtype=float)  # stored as A, I, L
    path = write_scan(tmp_path / "x.nii.gz", values, turned)
    expected = z_score(values.transpose(2, 0, 1)[::-1, :, ::-1])
    np.testing.assert_allclose(decode(path, (8, 6, 7))[0].numpy(), expected, atol=1e-5)
    assert Header((6, 7, 8), 1, turned).oriented == (8, 6, 7)


def test_a_smooth_scan_survives_resizing(tmp_path: Path) -> None:
    def wave(n: int) -> np.ndarray:
        x = (np.arange(n) + 0.5) / n
        return 5 + np.sin(2 * x)[:, None, None] + np.cos(x)[None, :, None] * x[None, None, :]

    path = write_scan(tmp_path / "x.nii.gz", wave(24).astype(np.float32))
    np.testing.assert_allclose(decode(path, (12, 12, 12))[0].numpy(), z_score(wave(12)), atol=0.02)
    np.testing.assert_allclose(decode(path, (30, 30, 30))[0].numpy(), z_score(wave(30)), atol=0.1)


def test_shrinking_averages_the_voxels_covered(tmp_path: Path) -> None:
    values = voxels(tmp_path / "x.nii.gz", (12, 12, 12))
    decoded = decode(write_scan(tmp_path / "x.nii.gz", values), (6, 6, 6))[0].numpy()
    np.testing.assert_allclose(decoded, z_score(values.reshape(6, 2, 6, 2, 6, 2).mean(axis=(1, 3, 5))), atol=1e-4)


def test_another_grid_is_resampled_by_position(tmp_path: Path) -> None:
    first = write_scan(tmp_path / "first.nii.gz")
    coarse = np.diag([1.6, 1.6, 1.6, 1.0])
    coarse[:3, 3] = 0.3
    values = voxels(tmp_path / "second.nii.gz", (6, 6, 6))
    second = write_scan(tmp_path / "second.nii.gz", values, coarse)
    at = (np.indices((8, 8, 8)).reshape(3, -1) - 0.3) / 1.6
    inside = (at.min(axis=0) >= 0) & (at.max(axis=0) <= 5)
    expected = map_coordinates(values.astype(float), at, order=1)
    decoded = decode(second, (8, 8, 8), reference=first).numpy().reshape(-1)
    # z-scoring is affine: compare what is independent of it.
    assert np.corrcoef(decoded[inside], expected[inside])[0, 1] > 0.99999


def test_scans_on_different_grids_need_resample(bids: Path) -> None:
    path = bids / "sub-00003" / "anat" / "sub-00003_acq-T2sel_FLAIR.nii.gz"
    write_scan(path, voxels(path, (8, 8, 4)), np.diag([1, 1, 2, 1]))
    cohort = load_cohort(bids, **OPTIONS, resample=True)
    assert cohort.modalities["FLAIR"].shape == (12, 1, 8, 8, 8)
    assert cohort.provenance["options"]["resample"] is True  # type: ignore[index]


@pytest.mark.parametrize(
    ("sizes", "shape", "expected"),
    [
        ([(8, 9, 10)], None, (8, 9, 10)),
        ([(8, 9, 10), (10, 8, 8)], None, (10, 9, 10)),
        ([(182, 218, 182)], None, (80, 96, 80)),
        ([(400, 400, 1)], None, (96, 96, 1)),
        ([(182, 218, 182)], (32,), (32, 32, 32)),
        ([(182, 218, 182)], (32, 40, 36), (32, 40, 36)),
    ],
)
def test_the_common_grid(sizes: list[tuple[int, ...]], shape: tuple[int, ...] | None, expected: tuple[int, ...]) -> None:
    headers = {(row, "T1w"): Header(size, 1, np.eye(4)) for row, size in enumerate(sizes)}
    assert common_grid(headers, shape) == expected


def test_a_grid_has_three_axes() -> None:
    with pytest.raises(ValueError, match=r"`shape` must be one number, or one for each of 3 axes, but got \(4, 5\)"):
        common_grid({}, (4, 5))


def test_channels_are_normalised_one_by_one(bids: Path) -> None:
    for path in sorted(bids.rglob("*_FLAIR.nii.gz")):
        write_scan(path, voxels(path, (8, 8, 8, 2)) * np.array([1, 100], dtype=np.float32))
    values = load_cohort(bids, **OPTIONS).modalities["FLAIR"]
    assert values.shape == (12, 2, 8, 8, 8)
    torch.testing.assert_close(values.mean(dim=(2, 3, 4)), torch.zeros(12, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(dim=(2, 3, 4), unbiased=False), torch.ones(12, 2), atol=1e-4, rtol=0)
