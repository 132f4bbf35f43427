"""Small made-up connectomes for tests of the model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from nas_fusion.cohorts import Batch, Inputs, Modality

CLASSES = ("control", "patient")


def structural(subjects: int, regions: int, seed: int = 0) -> torch.Tensor:
    """Symmetric counts with zeros among them `(subjects, regions, regions)`."""
    drawn = np.random.default_rng(seed).poisson(2, (subjects, regions, regions))
    upper = np.triu(drawn * np.arange(1, regions + 1), 1)
    return torch.tensor(upper + upper.transpose(0, 2, 1), dtype=torch.float32)


def covariances(subjects: int, regions: int, seed: int = 0) -> torch.Tensor:
    """Covariances of series with individual mixing `(subjects, regions, regions)`."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(regions) + 0.3 * rng.normal(size=(subjects, regions, regions)) / np.sqrt(regions)
    series = mixing @ rng.normal(size=(subjects, regions, 4 * regions))
    return torch.tensor(series @ series.transpose(0, 2, 1) / (4 * regions), dtype=torch.float32)


def functional(subjects: int, regions: int, seed: int = 0) -> torch.Tensor:
    """Correlations `(subjects, regions, regions)`."""
    found = covariances(subjects, regions, seed).double()
    scale = found.diagonal(dim1=1, dim2=2).rsqrt()
    return (found * scale[:, :, None] * scale[:, None]).float().clamp(-1, 1)


def inputs_of(**regions: int) -> Inputs:
    """Modalities by name and number of regions, all matrices, and two classes."""
    return Inputs(tuple(Modality(name, "matrix", (n, n)) for name, n in regions.items()), CLASSES)


def batch_of(inputs: Inputs, subjects: int = 6, seed: int = 0) -> Batch:
    """Subjects that fit the inputs: SC-like for names that begin with SC, covariances or correlations otherwise."""
    tensors = {}
    for number, modality in enumerate(inputs.modalities):
        draw = structural if modality.name.startswith("SC") else functional
        draw = covariances if modality.kind == "covariance" else draw
        tensors[modality.name] = draw(subjects, modality.shape[0], seed + number)
    labels = torch.arange(subjects) % len(inputs.classes)
    return Batch(tensors, torch.ones(subjects, len(tensors), dtype=torch.bool), labels, torch.arange(subjects))


def taken(batch: Batch, rows: list[int]) -> Batch:
    """Some subjects of a batch, in the order given."""
    inputs: Mapping[str, torch.Tensor] = {name: values[rows] for name, values in batch.inputs.items()}
    return Batch(inputs, batch.present[rows], batch.labels[rows], batch.index[rows])


def shaken(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """A model whose every parameter and running statistic is random, so that nothing is hidden by ones and zeros."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and "features" not in name and name != "temperature":
            noise = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            tensor.add_((noise.abs() if name.endswith("running_var") else noise) * 0.3)
    return model
