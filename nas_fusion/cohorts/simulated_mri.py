"""The embedded MRI cohort: simulated scans and a clinical table, with a task whose best possible loss is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nas_fusion.cohorts.anatomy import EXTENT_MM, affine
from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.features import scaled
from nas_fusion.cohorts.simulated_bids import write_cohort
from nas_fusion.cohorts.simulated_clinical import CLINICAL, COLUMNS
from nas_fusion.cohorts.simulated_floors import floors
from nas_fusion.cohorts.simulated_options import NAME, VERSION, Options, names_of, task_of
from nas_fusion.cohorts.simulated_presence import present
from nas_fusion.cohorts.simulated_subjects import clinical_table, raw_subjects
from nas_fusion.cohorts.simulated_tasks import Task, make_task


def simulated_mri(
    *,
    task: str | None = "discordance",
    seed: int = 0,
    shape: int = 32,
    train: int = 320,
    validation: int = 160,
    test: int = 400,
    modalities: str | Sequence[str] = ("T1w", "FLAIR"),
    flip: float = 0.05,
    contrast: float = 0.5,
    k2: float = 2.5,
    missing: float = 0.0,
) -> Cohort:
    """Return the simulated MRI cohort, with its splits.

    Brains are deformations of a template's tissue map; scans follow the equations of their pulse sequences. In `discordance`
    FLAIR lesions mean one thing in a brain whose T1 grey-white contrast has aged, another in one that has not: no modality, and
    no sum of a function of each, gets below a loss that `provenance["floors"]` names, while both together do. Subject i is the
    same whatever the number of subjects, the task and the modalities.

    Args:
        task: `discordance`, `additive` or `null`.
        seed: Which subjects, at least 0.
        shape: Voxels along each axis of a cube of 180 mm, 8 to 96.
        train: Subjects that train, at least 1.
        validation: Subjects that validate, at least 1.
        test: Subjects that no search sees.
        modalities: Some of `T1w`, `FLAIR`, `T2w`, `PDw` and `clinical`, in the order of the streams, also as one text with
            commas. T2w shows ageing and lesions both, as physics has it, so that with it a single modality tells the label; PDw
            shows lesions, and ageing faintly. `clinical` is a table: a number that reads out ageing and one for lesions, both
            with noise, and four of noise alone, standardised by the development subjects.
        flip: Probability that a label is wrong, in [0, 0.499]; `discordance` alone.
        contrast: Relative lengthening of the white matter's T1 in an aged brain, in [0, 1].
        k2: Factor of T2 in lesions, in [1, 4].
        missing: Expected share of the (subject, modality) cells that are absent, completely at random, at most 1 - 1 / number
            of modalities: everybody keeps one. What others have does not change by it.

    Returns:
        Each scan `(subjects, 1, shape, shape, shape)`, z-scored inside the brain and 0 outside, the table `(subjects, 6)`;
        zeros where it is absent.

    Raises:
        ValueError: If an option is unknown or out of its range.
    """
    options = Options(task_of(task), seed, shape, train, validation, test, names_of(modalities), flip, contrast, k2, missing)
    return _cohort(options)


def _cohort(options: Options) -> Cohort:
    task, n, size = make_task(options.task, flip=options.flip), len(options.subjects), options.shape
    values = {name: torch.zeros(n, 1, size, size, size) for name in options.modalities if name != CLINICAL}
    there = present(options)
    labels = torch.zeros(n, dtype=torch.long)
    for i, (label, scans) in enumerate(raw_subjects(options, task)):
        labels[i] = label
        for name, raw in scans.items():
            values[name][i, 0] = normalised(raw)
    if CLINICAL in options.modalities:
        known = torch.arange(n) < options.train + options.validation
        values[CLINICAL] = scaled(clinical_table(options, task), there[:, options.modalities.index(CLINICAL)], known)
    return Cohort(
        name=NAME,
        subjects=options.subjects,
        modalities={name: values[name] for name in options.modalities},
        kinds={name: "vector" if name == CLINICAL else "image" for name in options.modalities},
        labels=labels,
        classes=task.classes,
        fingerprint=options.fingerprint,
        present=there,
        splits=options.splits,
        provenance=provenance(options, task),
    )


def normalised(raw: torch.Tensor) -> torch.Tensor:
    """Return a scan with mean 0 and standard deviation 1 over its non-zero voxels, the others 0.

    The same operations, in the same order, as MONAI's `NormalizeIntensity(nonzero=True)`, so that a cohort read from its files
    is the same to the last bit.
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
        **options.stated,
        "modalities": list(options.modalities),
        "grid": {"shape": [options.shape] * 3, "voxel_mm": EXTENT_MM / options.shape, "affine": affine(options.shape).tolist()},
        "normalisation": "z-score over non-zero voxels",
        **({"features": list(COLUMNS)} if CLINICAL in options.modalities else {}),
        "prevalence": {"aged": task.aged, "lesions": 0.5},
        "floors": floors(task, options.modalities, options.missing),
    }


def write_files(out: str | Path, **options: Any) -> Path:
    """Write the cohort as NIfTI files in BIDS layout and return the folder.

    `sub-00001/anat/sub-00001_T1w.nii.gz` and so on hold raw signals, 0 outside the brain; `participants.tsv` the columns
    `participant_id`, `group` (the class), `split` (`train`, `validation`, `test`) and those of the clinical table, if it is
    among the modalities. Absent scans have no file, absent numbers are `n/a`. Reading them on their own grid with a z-score
    over non-zero voxels, and numbers standardised by the development subjects, gives the tensors of `simulated_mri`.

    Args:
        out: A new or empty folder.
        **options: Those of `simulated_mri`.

    Raises:
        ValueError: If the folder is not empty, or an option is unknown or out of its range.
    """
    return write_cohort(Path(out), Options.from_mapping(options))
