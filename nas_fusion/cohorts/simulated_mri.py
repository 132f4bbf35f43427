"""The embedded MRI cohort: simulated T1w, FLAIR and T2w scans with a task whose best possible loss is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from nas_fusion.cohorts.anatomy import EXTENT_MM, affine
from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.physics import SEQUENCES
from nas_fusion.cohorts.scanner import draw_traits, generator, make_brain, scan
from nas_fusion.cohorts.simulated_tasks import AGED, LESIONS, TASKS, Task, make_task
from nas_fusion.cohorts.splits import Fold, Splits

NAME = "simulated-mri"
VERSION = 1
"""Of the generator: raised whenever the same options give other numbers."""


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
        modalities: Some of `T1w`, `FLAIR`, `T2w`, in the order of the streams.
        flip: Probability that a label is wrong, in [0, 0.5); `discordance` alone.
        contrast: Relative lengthening of the white matter's T1 in an aged brain, in [0, 1].
        k2: Factor of T2 in lesions, in [1, 4].
    """

    task: str = "discordance"
    seed: int = 0
    shape: int = 32
    train: int = 320
    validation: int = 160
    test: int = 400
    modalities: tuple[str, ...] = ("T1w", "FLAIR")
    flip: float = 0.05
    contrast: float = 0.45
    k2: float = 2.1

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"`task` must be one of {', '.join(TASKS)}, but got {self.task!r}.")
        for name, low, high in (
            ("seed", 0, 2**63),
            ("shape", 8, 96),
            ("train", 1, 10**5),
            ("validation", 1, 10**5),
            ("test", 0, 10**5),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"`{name}` must be a whole number in [{low}, {high}], but got {value!r}.")
        for name, least, most in (("flip", 0.0, 0.499), ("contrast", 0.0, 1.0), ("k2", 1.0, 4.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise ValueError(f"`{name}` must be a number in [{least}, {most}], but got {value!r}.")
        known = set(self.modalities) <= SEQUENCES.keys()
        if isinstance(self.modalities, str) or not known or not 0 < len(set(self.modalities)) == len(self.modalities):
            raise ValueError(f"`modalities` must be different ones of {', '.join(SEQUENCES)}, but got {self.modalities!r}.")

    @property
    def subjects(self) -> tuple[str, ...]:
        """Ids, those that train first, those that test last."""
        return tuple(f"sub-{i + 1:05d}" for i in range(self.train + self.validation + self.test))

    @property
    def splits(self) -> Splits:
        """The one fold and the test subjects."""
        ids, held_out = self.subjects, self.train + self.validation
        return Splits((Fold(ids[: self.train], ids[self.train : held_out]),), ids[held_out:])

    @property
    def fingerprint(self) -> str:
        """Digest of all options and of the generator's version."""
        text = json.dumps({"cohort": NAME, "version": VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def simulated_mri(
    *,
    task: str = "discordance",
    seed: int = 0,
    shape: int = 32,
    train: int = 320,
    validation: int = 160,
    test: int = 400,
    modalities: Sequence[str] = ("T1w", "FLAIR"),
    flip: float = 0.05,
    contrast: float = 0.45,
    k2: float = 2.1,
) -> Cohort:
    """Return the simulated MRI cohort, with its splits.

    Brains are deformations of a template's tissue map; scans follow the equations of their pulse sequences. In `discordance` FLAIR
    lesions mean one thing in a brain whose T1 grey-white contrast has aged, another in one that has not: neither modality, nor any sum
    of a function of each, gets below a loss that `provenance["floors"]` names, while both together do. Subject i is the same whatever
    the number of subjects, the task and the modalities.

    Args:
        task: `discordance`, `additive` or `null`.
        seed: Which subjects, at least 0.
        shape: Voxels along each axis of a cube of 180 mm, 8 to 96.
        train: Subjects that train, at least 1.
        validation: Subjects that validate, at least 1.
        test: Subjects that no search sees.
        modalities: Some of `T1w`, `FLAIR`, `T2w`, in the order of the streams. T2w shows ageing and lesions both, as physics has it.
        flip: Probability that a label is wrong, in [0, 0.499]; `discordance` alone.
        contrast: Relative lengthening of the white matter's T1 in an aged brain, in [0, 1].
        k2: Factor of T2 in lesions, in [1, 4].

    Returns:
        Each modality `(subjects, 1, shape, shape, shape)`, z-scored inside the brain and 0 outside.

    Raises:
        ValueError: If an option is unknown or out of its range.
    """
    options = Options(task, seed, shape, train, validation, test, tuple(modalities), flip, contrast, k2)
    return _cohort(options)


def _cohort(options: Options) -> Cohort:
    task, n, size = make_task(options.task, flip=options.flip), len(options.subjects), options.shape
    values = {name: torch.zeros(n, 1, size, size, size) for name in options.modalities}
    labels = torch.zeros(n, dtype=torch.long)
    for i, (label, scans) in enumerate(raw_subjects(options, task)):
        labels[i] = label
        for name, raw in scans.items():
            values[name][i, 0] = normalised(raw)
    return Cohort(
        name=NAME,
        subjects=options.subjects,
        modalities=values,
        kinds=dict.fromkeys(values, "image"),
        labels=labels,
        classes=task.classes,
        fingerprint=options.fingerprint,
        present=torch.ones(n, len(values), dtype=torch.bool),
        splits=options.splits,
        provenance=provenance(options, task),
    )


def raw_subjects(options: Options, task: Task) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """Yield each subject's label and raw scans `(size, size, size)`, 0 outside the brain, in the order of the ids."""
    streams = {name: k for k, name in enumerate(SEQUENCES, start=1)}
    for i in range(len(options.subjects)):
        traits = draw_traits(generator(options.seed, i))
        aged, lesions = traits.bits[AGED] < task.aged, traits.bits[LESIONS] < 0.5
        brain = make_brain(traits, size=options.shape, ageing=options.contrast * aged, lesions=lesions)
        yield (
            int(traits.label < task.positive[int(aged), int(lesions)]),
            {
                name: scan(brain, name, k2=options.k2, rng=generator(options.seed, i, streams[name]))
                for name in options.modalities
            },
        )


def normalised(raw: torch.Tensor) -> torch.Tensor:
    """Return a scan with mean 0 and standard deviation 1 over its non-zero voxels, the others 0.

    The same operations, in the same order, as MONAI's `NormalizeIntensity(nonzero=True)`: files and tensors agree to the last bit.
    """
    inside = raw != 0
    values = raw[inside]
    result = torch.zeros_like(raw)
    result[inside] = (values - values.mean()) / values.std(unbiased=False)
    return result


def provenance(options: Options, task: Task) -> dict[str, Any]:
    """Return how the cohort was made, and the floors of its task in nats: facts that JSON can hold."""
    return {
        "source": NAME,
        "version": VERSION,
        **asdict(options),
        "modalities": list(options.modalities),
        "grid": {"shape": [options.shape] * 3, "voxel_mm": EXTENT_MM / options.shape, "affine": affine(options.shape).tolist()},
        "normalisation": "z-score over non-zero voxels",
        "prevalence": {"aged": task.aged, "lesions": 0.5},
        "floors": task.floors(options.modalities),
    }
