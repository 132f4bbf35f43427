"""Matrices as planes of one channel, for backbones of images."""

from __future__ import annotations

from torch import nn

from nas_fusion.fusion import Stream
from nas_fusion.fusion.backbone import Described


def channels_of(modality: Described) -> int:
    """Return the channels of a modality's images: 1 for a matrix `(regions, regions)`."""
    return 1 if is_matrix(modality) else modality.shape[0]


def size_of(modality: Described) -> tuple[int, ...]:
    """Return the size of a modality's images along each spatial axis, in voxels."""
    return modality.shape if is_matrix(modality) else modality.shape[1:]


def of_matrices(stream: Stream, modality: Described) -> Stream:
    """Return a stream of images of one channel as one that takes matrices `(batch, regions, regions)`, if that is what it gets.

    The first stage is put behind an `Unflatten`; nothing else changes.
    """
    if is_matrix(modality):
        first = next(iter(stream.stages))
        stream.stages[first] = nn.Sequential(nn.Unflatten(1, (1, modality.shape[0])), stream.stages[first])
    return stream


def is_matrix(modality: Described) -> bool:
    """Return whether a modality is a matrix or a covariance."""
    return modality.kind in ("matrix", "covariance")
