"""The spatial axes of features: means over them, other resolutions, and convolutions that leave them alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

_POINTWISE: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def mean_over_space(feature: torch.Tensor) -> torch.Tensor:
    """Return the means `(batch, channels)` of a feature map `(batch, channels, *spatial)`."""
    return feature.flatten(2).mean(2) if feature.ndim > 2 else feature


def over_space(values: torch.Tensor, feature: torch.Tensor) -> torch.Tensor:
    """Return values `(batch, channels)` in the type of a feature map, shaped so that they hold at each of its places."""
    return values.to(feature.dtype).reshape(*values.shape, *[1] * (feature.ndim - 2))


def pointwise(inputs: int, outputs: int, *, spatial_dims: int, bias: bool = True) -> nn.Module:
    """Return a 1×1 convolution over so many spatial axes, a linear layer where there are none."""
    options: dict[str, Any] = {"bias": bias} if spatial_dims == 0 else {"bias": bias, "kernel_size": 1}
    return _POINTWISE[spatial_dims](inputs, outputs, **options)


def resampled(feature: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Return a feature map `(batch, channels, *size)`, each place the mean of the area of the map that it covers.

    The values are those of adaptive average pooling. This form multiplies by a matrix an axis, which, unlike torch's pooling,
    is deterministic on CUDA, gradients included.
    """
    for axis, length in enumerate(size):
        feature = _multiplied(feature, axis + 2, length, _areas)
    return feature


def interpolated(feature: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Return a feature map `(batch, channels, *size)`, interpolated linearly along each axis (as with `align_corners=False`).

    A matrix product an axis, for the reason that `resampled` gives.
    """
    for axis, length in enumerate(size):
        feature = _multiplied(feature, axis + 2, length, _neighbours)
    return feature


def _multiplied(feature: torch.Tensor, axis: int, length: int, weights: Any) -> torch.Tensor:
    if feature.shape[axis] == length:
        return feature
    matrix = torch.as_tensor(weights(feature.shape[axis], length), dtype=feature.dtype, device=feature.device)
    return torch.tensordot(feature, matrix, dims=([axis], [0])).movedim(-1, axis)


@cache
def _areas(before: int, after: int) -> npt.NDArray[np.float32]:
    """Return how much each of `before` places counts in each of `after`: `(before, after)`, each column of sum 1."""
    place = np.arange(after)
    first, end = place * before // after, -(-(place + 1) * before // after)
    inside = (np.arange(before)[:, None] >= first) & (np.arange(before)[:, None] < end)
    return (inside / (end - first)).astype(np.float32)


@cache
def _neighbours(before: int, after: int) -> npt.NDArray[np.float32]:
    centres = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    return np.maximum(0, 1 - np.abs(np.arange(before)[:, None] - centres)).astype(np.float32)
