"""Batches: their order, their tail, and random flips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch.nn import functional

from nas_fusion.cohorts import Batch, Cohort, Inputs
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.stage import TrainingPlan

_AT_A_TIME = 256  # subjects of which something is computed at a time


def shuffled(subjects: torch.Tensor, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield the positions of subjects in random order, `batch_size` at a time.

    A single subject that is left over joins the batch before it: batch normalisation cannot learn from one subject.

    Args:
        subjects: Positions `(n,)`.
        batch_size: Subjects a batch.
        generator: Source of the order.
    """
    order = subjects[torch.randperm(len(subjects), generator=generator)]
    yield from torch.split(order, sizes(len(subjects), batch_size))


def sizes(n: int, batch_size: int) -> list[int]:
    """Return the sizes of the batches of one epoch.

    Example:
        >>> sizes(10, 4), sizes(9, 4), sizes(3, 1)
        ([4, 4, 2], [4, 5], [1, 1, 1])
    """
    whole, rest = divmod(n, batch_size)
    if rest == 1 and whole and batch_size > 1:
        return [batch_size] * (whole - 1) + [batch_size + 1]
    return [batch_size] * whole + [rest] * bool(rest)


def check_flips(flips: Sequence[int], inputs: Inputs) -> None:
    """Raise unless every image has the spatial axes that are to be flipped; vectors and matrices are never flipped.

    Raises:
        ValueError: If there is no image, or an image has fewer axes.
    """
    images = [modality for modality in inputs.modalities if modality.kind == "image"]
    axes = min((modality.spatial_dims for modality in images), default=0)
    if any(not 0 <= axis < axes for axis in flips):
        raise ValueError(f"`flips` must be spatial axes of every image, in [0, {axes}), but got {list(flips)}.")


def with_derived(cohort: Cohort, compute: Callable[..., Mapping[str, torch.Tensor]], placement: Placement) -> Cohort:
    """Return a cohort with tensors that are computed of each subject by itself.

    Args:
        cohort: On any device, where the tensors are kept too.
        compute: From the modalities of some subjects, name to tensor `(batch, ...)`, to the tensors, see `Stage.precompute`.
        placement: Where they are computed.
    """
    made: dict[str, list[torch.Tensor]] = {}
    with torch.no_grad():
        for rows in torch.split(torch.arange(len(cohort), device=cohort.labels.device), _AT_A_TIME):
            for name, values in compute(placement.move(cohort.batch(rows)).inputs).items():
                made.setdefault(name, []).append(values.to(cohort.labels.device))
    return replace(cohort, derived={name: torch.cat(values) for name, values in made.items()})


def training_batch(cohort: Cohort, index: torch.Tensor, plan: TrainingPlan, generator: torch.Generator) -> Batch:
    """Return subjects as a batch to train on, with the random changes that a plan asks for.

    Args:
        cohort: Where the subjects are.
        index: Their positions `(batch,)`, on the CPU.
        plan: For its flips and modality dropout.
        generator: Source of chance, on the CPU; nothing is drawn from it for what the plan does not ask for.
    """
    batch = flipped_batch(cohort, index, plan.flips, generator)
    return with_dropout(batch, plan.modality_dropout, generator) if plan.modality_dropout else batch


def with_dropout(batch: Batch, probability: float, generator: torch.Generator) -> Batch:
    """Return a batch in which each modality that a subject has counts as absent with a probability, independently.

    Of the modalities of a subject that would lose all of them one is kept, each equally likely. The inputs stay as they are:
    models do not look at what is absent. Modality dropout: Neverova et al., ModDrop, `arXiv 1501.00102
    <https://arxiv.org/abs/1501.00102>`_, section 3.3.

    Args:
        batch: On any device.
        probability: In [0, 1).
        generator: Source of chance, on the CPU; the same number of draws whatever comes out.
    """
    shape, device = tuple(batch.present.shape), batch.present.device
    dropped = torch.rand(shape, generator=generator) < probability
    ranks = torch.rand(shape, generator=generator).to(device)
    kept = batch.present & ~dropped.to(device)
    last = functional.one_hot(ranks.masked_fill(~batch.present, -1).argmax(1), shape[1]).bool()
    return replace(batch, present=kept | (last & ~kept.any(1, keepdim=True)))


def flipped_batch(cohort: Cohort, index: torch.Tensor, flips: Sequence[int], generator: torch.Generator) -> Batch:
    """Return subjects as a batch, each flipped along each axis with probability one half, alike in all of its images.

    Args:
        cohort: Where the subjects are.
        index: Their positions `(batch,)`, on the CPU.
        flips: Spatial axes, the first is 0.
        generator: Source of chance, on the CPU; the same number of draws whatever comes out.
    """
    if not flips:
        return cohort.batch(index.to(cohort.labels.device))
    drawn = torch.rand(len(index), len(flips), generator=generator) < 0.5
    patterns, pattern_of = torch.unique(drawn, dim=0, return_inverse=True)
    groups = [
        ((pattern_of == number).nonzero().squeeze(1), [axis for axis, flip in zip(flips, pattern, strict=True) if flip])
        for number, pattern in enumerate(patterns.tolist())
    ]
    index = index.to(cohort.labels.device)
    inputs = {name: values[index] for name, values in cohort.derived.items()}
    for name, values in cohort.modalities.items():
        if cohort.kinds[name] != "image":
            inputs[name] = values[index]
            continue
        inputs[name] = torch.empty(len(index), *values.shape[1:], dtype=values.dtype, device=values.device)
        for rows, axes in groups:
            rows = rows.to(values.device)
            inputs[name][rows] = values[index[rows]].flip([2 + axis for axis in axes])
    return Batch(inputs, cohort.present[index], cohort.labels[index], index)
