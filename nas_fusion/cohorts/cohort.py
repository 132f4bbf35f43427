"""Cohorts: subjects with modalities, labels, groups and splits, decoded and ready for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from nas_fusion.cohorts.splits import Splits


@dataclass(frozen=True)
class Modality:
    """Name, kind and shape of one modality of one subject.

    Attributes:
        name: Such as `T1w`.
        kind: `image` for `(channels, *spatial)` with 1 to 3 spatial axes, `vector` for `(features,)`, `matrix` for
            `(regions, regions)`, `covariance` for a matrix that is positive definite.
        shape: The shape without the subject axis.
    """

    name: str
    kind: str
    shape: tuple[int, ...]

    KINDS = ("image", "vector", "matrix", "covariance")

    def __post_init__(self) -> None:
        if self.kind not in self.KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(self.KINDS)}, but got {self.kind!r}.")

    @property
    def spatial_dims(self) -> int:
        """Number of spatial axes: 0 for vectors, 1 to 3 for images, 2 for matrices."""
        return {"vector": 0, "matrix": 2, "covariance": 2}.get(self.kind, len(self.shape) - 1)


@dataclass(frozen=True)
class Inputs:
    """All that a search space needs to know of a cohort to build a model: its modalities and its classes."""

    modalities: tuple[Modality, ...]
    classes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of the streams."""
        return tuple(modality.name for modality in self.modalities)


@dataclass(frozen=True)
class Batch:
    """Some subjects, on one device.

    Attributes:
        inputs: Name to tensor `(batch, *shape)`.
        present: Boolean `(batch, modalities)`: which modalities each subject has.
        labels: Class indices `(batch,)`.
        index: Positions of the subjects in their cohort `(batch,)`.
    """

    inputs: Mapping[str, torch.Tensor]
    present: torch.Tensor
    labels: torch.Tensor
    index: torch.Tensor


@dataclass(frozen=True)
class Cohort:
    """Subjects with their modalities, labels, groups and splits, whatever files they came from.

    Attributes:
        name: A short name, such as `simulated-mri`.
        subjects: Unique ids, one a row (a session of a participant is a row of its own).
        modalities: Name to tensor `(subjects, *shape)`, float32.
        kinds: Name to kind, see `Modality`.
        labels: Class indices `(subjects,)`, int64.
        classes: Names of the classes, in the order of the indices. For binary tasks the second is the positive class.
        fingerprint: Digest of all that the values depend on: same fingerprint, same numbers.
        present: Boolean `(subjects, modalities)`.
        groups: Group of each subject (participant, site) that no split may tear apart, or `None`.
        splits: Frozen splits, or `None` as long as none are drawn.
        provenance: JSON-compatible facts on how the cohort was made: source, options, grid, normalisation, floors of the task.
        derived: What a training stage computed of each subject beforehand, no modalities: name to tensor `(subjects, ...)`.
    """

    name: str
    subjects: tuple[str, ...]
    modalities: Mapping[str, torch.Tensor]
    kinds: Mapping[str, str]
    labels: torch.Tensor
    classes: tuple[str, ...]
    fingerprint: str
    present: torch.Tensor
    groups: tuple[str, ...] | None = None
    splits: Splits | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)
    derived: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.subjects)
        if len(set(self.subjects)) < n:
            raise ValueError("`subjects` must be unique ids, but some occur twice.")
        if not self.modalities or self.kinds.keys() != self.modalities.keys():
            raise ValueError(f"`kinds` must name each of the modalities {list(self.modalities)}, but got {list(self.kinds)}.")
        for name, values in self.modalities.items():
            if len(values) != n:
                raise ValueError(f"`modalities` must hold {n} subjects each, but {name!r} holds {len(values)}.")
        if tuple(self.labels.shape) != (n,) or (
            n and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes)
        ):
            raise ValueError(f"`labels` must be {n} indices of the {len(self.classes)} classes {list(self.classes)}.")
        if tuple(self.present.shape) != (n, len(self.modalities)):
            raise ValueError(f"`present` must have shape ({n}, {len(self.modalities)}), but got {tuple(self.present.shape)}.")
        if not bool(self.present.any(1).all()):
            empty = self.subjects[int((~self.present.any(1)).nonzero()[0])]
            raise ValueError(f"`present` must show at least one modality of each subject, but {empty!r} has none.")
        if self.groups is not None and len(self.groups) != n:
            raise ValueError(f"`groups` must name a group for each of the {n} subjects, but got {len(self.groups)}.")

    def __len__(self) -> int:
        return len(self.subjects)

    @property
    def inputs(self) -> Inputs:
        """Shape and kind of each modality and the classes: what a search space builds from."""
        described = (Modality(name, self.kinds[name], tuple(values.shape[1:])) for name, values in self.modalities.items())
        return Inputs(tuple(described), self.classes)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Names of the modalities that some subject lacks; empty where everybody has everything."""
        complete = self.present.all(0).tolist()
        return tuple(name for name, whole in zip(self.modalities, complete, strict=True) if not whole)

    @property
    def availability(self) -> dict[str, tuple[str, ...]]:
        """Each subject to the names of the modalities that it has; empty where everybody has everything."""
        if not self.lacking:
            return {}
        rows = zip(self.subjects, self.present.tolist(), strict=True)
        return {subject: tuple(n for n, there in zip(self.modalities, row, strict=True) if there) for subject, row in rows}

    def positions(self, subjects: Sequence[str]) -> torch.Tensor:
        """Return the positions `(n,)` of subject ids.

        Raises:
            ValueError: If an id is not in the cohort.
        """
        place = {subject: i for i, subject in enumerate(self.subjects)}
        unknown = [subject for subject in subjects if subject not in place]
        if unknown:
            raise ValueError(
                f"`subjects` must be in the cohort {self.name!r}, but {unknown[0]!r} is not ({len(unknown)} in all)."
            )
        return torch.tensor([place[subject] for subject in subjects], dtype=torch.long)

    def subset(self, subjects: Sequence[str]) -> Cohort:
        """Return the cohort of some subjects, in the order given, without splits."""
        index = self.positions(subjects)
        return replace(
            self,
            subjects=tuple(subjects),
            modalities={name: values[index] for name, values in self.modalities.items()},
            labels=self.labels[index],
            present=self.present[index],
            groups=None if self.groups is None else tuple(self.groups[i] for i in index.tolist()),
            splits=None,
            derived={name: values[index] for name, values in self.derived.items()},
        )

    def development(self) -> Cohort:
        """Return the cohort without its test subjects: all that a search may ever see.

        Raises:
            ValueError: If the cohort has no splits yet.
        """
        if self.splits is None:
            raise ValueError(f"`splits` must be drawn before the cohort {self.name!r} is searched: see `draw_splits`.")
        held_out = set(self.splits.test)
        kept = self.subset([subject for subject in self.subjects if subject not in held_out])
        return replace(kept, splits=replace(self.splits, test=()))

    def batch(self, index: torch.Tensor) -> Batch:
        """Return the subjects at some positions `(batch,)` as a batch, on the device of the modalities."""
        inputs = {name: values[index] for name, values in (*self.modalities.items(), *self.derived.items())}
        return Batch(inputs, self.present[index], self.labels[index], index)

    def to(self, device: torch.device | str) -> Cohort:
        """Return the cohort with its tensors on a device."""
        moved = {name: values.to(device) for name, values in self.modalities.items()}
        derived = {name: values.to(device) for name, values in self.derived.items()}
        labels, present = self.labels.to(device), self.present.to(device)
        return replace(self, modalities=moved, labels=labels, present=present, derived=derived)
