"""Options of the simulated MRI cohort, checked: who is simulated, with which task, on which grid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from nas_fusion.cohorts.physics import SEQUENCES
from nas_fusion.cohorts.simulated_clinical import CLINICAL
from nas_fusion.cohorts.simulated_tasks import TASKS
from nas_fusion.cohorts.splits import Fold, Splits

NAME = "simulated-mri"
VERSION = 1
"""Of the generator: raised whenever the same options give other numbers."""

WHOLE = {"seed": (0, 2**63), "shape": (8, 96), "train": (1, 10**5), "validation": (1, 10**5), "test": (0, 10**5)}
MODALITIES = (*SEQUENCES, CLINICAL)
REAL = {"flip": (0.0, 0.499), "contrast": (0.0, 1.0), "k2": (1.0, 4.0)}


def names_of(modalities: str | Sequence[str]) -> tuple[str, ...]:
    """Return names that are given as a sequence, or as one text with commas between them."""
    return tuple(name.strip() for name in modalities.split(",")) if isinstance(modalities, str) else tuple(modalities)


def task_of(name: str | None) -> str:
    """Return the name of a task; `None` is what readers of JSON make of the word `null`."""
    return "null" if name is None else name


@dataclass(frozen=True)
class Options:
    """Options of the cohort, checked.

    Attributes:
        task: `discordance` (only both modalities together tell the label), `additive` (each adds its part) or `null`.
        seed: Which subjects, at least 0.
        shape: Voxels along each axis of a cube of 180 mm, 8 to 96.
        train: Subjects that train.
        validation: Subjects that validate.
        test: Subjects that no search sees.
        modalities: Some of `T1w`, `FLAIR`, `T2w`, `PDw` and `clinical`, in the order of the streams.
        flip: Probability that a label is wrong, in [0, 0.5); `discordance` alone.
        contrast: Relative lengthening of the white matter's T1 in an aged brain, in [0, 1].
        k2: Factor of T2 in lesions, in [1, 4].
        missing: Expected share of the (subject, modality) cells that are absent; everybody keeps one of them.
    """

    task: str = "discordance"
    seed: int = 0
    shape: int = 32
    train: int = 320
    validation: int = 160
    test: int = 400
    modalities: tuple[str, ...] = ("T1w", "FLAIR")
    flip: float = 0.05
    contrast: float = 0.5
    k2: float = 2.5
    missing: float = 0.0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"`task` must be one of {', '.join(TASKS)}, but got {self.task!r}.")
        for name, (low, high) in WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"`{name}` must be a whole number in [{low}, {high}], but got {value!r}.")
        for name, (least, most) in REAL.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise ValueError(f"`{name}` must be a number in [{least}, {most}], but got {value!r}.")
        known = set(self.modalities) <= set(MODALITIES)
        if not known or not 0 < len(set(self.modalities)) == len(self.modalities):
            raise ValueError(f"`modalities` must be different ones of {', '.join(MODALITIES)}, but got {self.modalities!r}.")
        most = 1 - 1 / len(self.modalities)
        if isinstance(self.missing, bool) or not isinstance(self.missing, int | float) or not 0 <= self.missing <= most:
            raise ValueError(
                f"`missing` must be a share in [0, {most:.3g}], so that everybody keeps one of {len(self.modalities)} "
                f"modalities, but got {self.missing!r}."
            )

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> Options:
        """Return options by name, the defaults elsewhere.

        Raises:
            ValueError: If a name is unknown or a value out of its range.
        """
        known = [field.name for field in fields(cls)]
        unknown = [name for name in options if name not in known]
        if unknown:
            raise ValueError(f"`options` must be some of {', '.join(known)}, but got {unknown[0]!r}.")
        given = dict(options)
        if "modalities" in given:
            given["modalities"] = names_of(given["modalities"])
        if "task" in given:
            given["task"] = task_of(given["task"])
        return cls(**given)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Ids, those that train first, those that test last."""
        return tuple(f"sub-{i + 1:05d}" for i in range(self.train + self.validation + self.test))

    @property
    def splits(self) -> Splits:
        """The one fold and the test subjects."""
        ids, held_out = self.subjects, self.train + self.validation
        return Splits((Fold(ids[: self.train], ids[self.train : held_out]),), ids[held_out:])

    def part(self, subject: str) -> str:
        """Return the part of the split that a subject belongs to: `train`, `validation` or `test`."""
        i = int(subject.removeprefix("sub-")) - 1
        return "train" if i < self.train else "validation" if i < self.train + self.validation else "test"

    @property
    def stated(self) -> dict[str, Any]:
        """The options by name; `missing`, which came later, only where somebody lacks something."""
        options = asdict(self)
        return options if self.missing else {name: value for name, value in options.items() if name != "missing"}

    @property
    def fingerprint(self) -> str:
        """Digest of all options and of the generator's version."""
        text = json.dumps({"cohort": NAME, "version": VERSION, **self.stated}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
