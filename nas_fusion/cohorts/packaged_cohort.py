"""A cohort of packaged data: chosen modalities, splits, values standardised without test subjects, and where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.splits import Splits

Array = npt.NDArray[np.float64]
Names = str | Sequence[str]


@dataclass(frozen=True)
class PackagedData:
    """Data as they are read, before anything is standardised.

    Attributes:
        name: Of the cohort.
        version: Raised whenever the same options give other numbers.
        subjects: Unique ids.
        labels: Class of each subject.
        classes: In the order of the indices, for binary tasks the positive one last.
        values: Name of each modality to an array `(subjects, *shape)`.
        kinds: Name to kind, see `Modality`.
        splits: Who trains, validates and tests.
        scaled: Modalities that are standardised, with the axes beside that of the subjects that share mean and deviation.
        groups: Group of each subject that no split tears apart, or `None`.
        options: What was asked for: JSON-compatible, part of the fingerprint.
        facts: Source, licence, traps and whatever else is to be known: JSON-compatible, not part of the fingerprint.
    """

    name: str
    version: int
    subjects: tuple[str, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    values: Mapping[str, Array]
    kinds: Mapping[str, str]
    splits: Splits
    scaled: Mapping[str, tuple[int, ...]]
    groups: tuple[str, ...] | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)

    def cohort(self) -> Cohort:
        """Return the cohort: what is to be standardised has mean 0 and deviation 1 over the development subjects."""
        held_out = set(self.splits.test)
        known = np.array([subject not in held_out for subject in self.subjects])
        own = {
            name: standardised(values, known, self.scaled[name]) if name in self.scaled else values
            for name, values in self.values.items()
        }
        return Cohort(
            name=self.name,
            subjects=self.subjects,
            modalities={name: torch.from_numpy(values.astype(np.float32)) for name, values in own.items()},
            kinds=self.kinds,
            labels=torch.tensor([self.classes.index(label) for label in self.labels]),
            classes=self.classes,
            fingerprint=self._fingerprint(held_out),
            present=torch.ones(len(self.subjects), len(own), dtype=torch.bool),
            groups=self.groups,
            splits=self.splits,
            provenance={**self.facts, "version": self.version, **self.options},
        )

    def _fingerprint(self, held_out: Iterable[str]) -> str:
        text = {"cohort": self.name, "version": self.version, "options": self.options, "held_out": sorted(held_out)}
        return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()


def standardised(values: Array, known: npt.NDArray[np.bool_], axes: tuple[int, ...] = ()) -> Array:
    """Return values `(subjects, *shape)` less their mean, over their standard deviation; where that is 0, the difference alone.

    Args:
        values: Of all subjects.
        known: Whose values mean and deviation are taken from `(subjects,)`: never those of test subjects.
        axes: Other axes over which they are taken, such as time.
    """
    sample = values[known]
    scale = sample.std(axis=(0, *axes), keepdims=True)
    shifted: Array = values - sample.mean(axis=(0, *axes), keepdims=True)
    return shifted / np.where(scale > 0, scale, 1.0)


def chosen(argument: str, names: Names, known: Sequence[str]) -> tuple[str, ...]:
    """Return names that are given as a sequence, or as one text with commas between them.

    Raises:
        ValueError: If there is none, one is unknown, or one occurs twice.
    """
    found = tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else tuple(names)
    if not found or len(set(found)) < len(found) or not set(found) <= set(known):
        raise ValueError(f"`{argument}` must be different ones of {', '.join(known)}, but got {names!r}.")
    return found


def one_of(argument: str, value: Any, known: Sequence[str]) -> str:
    """Return a value that is one of those known.

    Raises:
        ValueError: If it is none.
    """
    if value not in known:
        raise ValueError(f"`{argument}` must be one of {', '.join(known)}, but got {value!r}.")
    return str(value)
