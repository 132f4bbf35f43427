"""The embedded map and its deformations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from nas_fusion.cohorts.anatomy import affine, deform, smooth_field, tissue_map

N = 32


def test_map_is_a_brain() -> None:
    grey, white, fluid = tissue_map()
    total = grey + white + fluid
    assert total.shape == (N, N, N)
    assert float(total.min()) >= 0 and float(total.max()) <= 1.01
    volume_ml = np.array([float(tissue.sum()) for tissue in (grey, white, fluid)]) * 5.625**3 / 1000
    assert volume_ml == pytest.approx([1008, 670, 205], rel=0.01)  # of the template at 1 mm
    assert float((total > 0.5).sum()) == pytest.approx(10_600, rel=0.01)


def test_map_lies_where_the_affine_says() -> None:
    fractions = tissue_map()
    index = np.linalg.inv(affine(N)) @ np.array([0, -17, 5, 1])
    assert index[:3] == pytest.approx([15.5] * 3)
    mirrored = (fractions[:2] - fractions[:2].flip(1)).abs().mean() / fractions[:2].mean()
    assert mirrored < 0.1  # left and right of x = 0 are alike
    ventricle, callosum = (
        np.round(np.linalg.inv(affine(N)) @ (*at, 1))[:3].astype(int) for at in [(14, -32, 18), (0, -38, 14)]
    )
    assert fractions[2][tuple(ventricle)] > 0.05
    assert fractions[1][tuple(callosum)] > 0.3


@pytest.mark.parametrize("size", [8, 16, 24, 48])
def test_other_grids_keep_the_volume(size: int) -> None:
    fractions = tissue_map(size)
    assert fractions.shape == (3, size, size, size)
    assert fractions.mean((1, 2, 3)).numpy() == pytest.approx(
        tissue_map().mean((1, 2, 3)).numpy(), rel=0.07
    )  # windows of an uneven average overlap
    assert affine(size)[:3, :3] == pytest.approx(np.eye(3) * 180 / size)
    assert affine(size)[:3, 3] + (size - 1) / 2 * 180 / size == pytest.approx([0, -17, 5])


def test_no_deformation_is_the_identity() -> None:
    same = deform(tissue_map(), torch.ones(3), torch.zeros(3, 4, 4, 4))
    assert same.numpy() == pytest.approx(tissue_map().numpy(), abs=1e-5)


def test_deformation_samples_the_map_where_it_should() -> None:
    rng = np.random.default_rng(0)
    scale, knots = 1 + 0.04 * rng.standard_normal(3), 0.035 * rng.standard_normal((3, 4, 4, 4))
    found = deform(tissue_map(), torch.tensor(scale).float(), torch.tensor(knots).float())
    at = np.stack(np.meshgrid(*[np.linspace(0, 3, N)] * 3, indexing="ij"))
    displacement = np.stack([map_coordinates(axis, at, order=1) for axis in knots])
    place = np.stack(np.meshgrid(*[(2 * np.arange(N) + 1) / N - 1] * 3, indexing="ij"))
    index = ((place * scale[:, None, None, None] + displacement + 1) * N - 1) / 2
    expected = np.stack([map_coordinates(tissue, index, order=1, mode="constant") for tissue in tissue_map().numpy()])
    inner = (slice(None), *[slice(2, -2)] * 3)  # the libraries differ in the outermost voxels
    assert found.numpy()[inner] == pytest.approx(expected[inner], abs=1e-4)


def test_smooth_field_goes_through_its_knots() -> None:
    knots = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(smooth_field(knots, 5)[:, ::2, ::2, ::2], knots, atol=1e-6)
