"""Options of the simulated connectome cohort, checked: who is simulated, with which task, on how many regions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nas_fusion.cohorts.simulated_connectome_tasks import TASKS
from nas_fusion.cohorts.splits import Fold, Splits

NAME = "simulated-connectomes"
VERSION = 1
"""Of the generator: raised whenever the same options give other numbers."""

WHOLE = {
    "seed": (0, 2**63),
    "train": (1, 10**6),
    "validation": (1, 10**6),
    "test": (0, 10**6),
    "regions": (20, 1000),
    "timepoints": (20, 10**5),
}
REAL = {"gain": (0.0, 1.0), "phenotype": (0.0, 6.0), "flip": (0.0, 0.499)}


@dataclass(frozen=True)
class Options:
    """Options of the cohort, checked.

    Attributes:
        task: One of `TASKS`.
        seed: Which subjects, at least 0.
        train: Subjects that train.
        validation: Subjects that validate.
        test: Subjects that no search sees.
        regions: Brain regions, an even number: each has its mirror image in the other hemisphere.
        timepoints: Length of the time series that a functional connectome is estimated from.
        gain: How much stronger or weaker the coupling inside a network becomes by its gain of +1 or -1, in [0, 1].
        phenotype: How much the log-weights inside a subtype's marker networks are raised, in [0, 6].
        flip: Probability that a label is wrong, in [0, 0.499].
    """

    task: str = "selection"
    seed: int = 0
    train: int = 512
    validation: int = 512
    test: int = 256
    regions: int = 90
    timepoints: int = 300
    gain: float = 0.75
    phenotype: float = 3.0
    flip: float = 0.0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"`task` must be one of {', '.join(TASKS)}, but got {self.task!r}.")
        for name, (low, high) in WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"`{name}` must be a whole number in [{low}, {high}], but got {value!r}.")
        if self.regions % 2:
            raise ValueError(f"`regions` must be an even number, half of them in each hemisphere, but got {self.regions}.")
        for name, (least, most) in REAL.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise ValueError(f"`{name}` must be a number in [{least}, {most}], but got {value!r}.")

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
        return cls(**options)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Ids, those that train first, those that test last."""
        return tuple(f"sub-{i + 1:05d}" for i in range(self.train + self.validation + self.test))

    @property
    def splits(self) -> Splits:
        """The one fold and the test subjects."""
        ids, held_out = self.subjects, self.train + self.validation
        return Splits((Fold(ids[: self.train], ids[self.train : held_out]),), ids[held_out:])

    def part(self, position: int) -> str:
        """Return the part of the split that the subject at a position belongs to: `train`, `validation` or `test`."""
        return "train" if position < self.train else "validation" if position < self.train + self.validation else "test"

    @property
    def fingerprint(self) -> str:
        """Digest of all options and of the generator's version."""
        text = json.dumps({"cohort": NAME, "version": VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
