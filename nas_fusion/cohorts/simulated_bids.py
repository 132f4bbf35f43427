"""The simulated MRI cohort as a folder of NIfTI files in BIDS layout, as a scanner's users would have it.

The files hold the raw signals, 0 outside the brain, in float32: whoever reads them, keeps their grid and takes the z-score over
non-zero voxels has the tensors of `simulated_mri` to the last bit.
"""

from __future__ import annotations

import json
import math
from importlib.resources import files
from pathlib import Path

import nibabel
import pandas as pd

from nas_fusion.cohorts.anatomy import affine
from nas_fusion.cohorts.physics import SEQUENCES, InversionRecovery
from nas_fusion.cohorts.simulated_clinical import CLINICAL, COLUMNS, READOUTS, SHIFT
from nas_fusion.cohorts.simulated_options import NAME, Options
from nas_fusion.cohorts.simulated_subjects import clinical_table, raw_subjects
from nas_fusion.cohorts.simulated_tasks import AGED, LESIONS, Task, make_task

BIDS_VERSION = "1.10.0"
README = """# Simulated MRI cohort

Nobody was scanned: the brains are deformations of a template's tissue map, the scans equations of their pulse sequences.
Volumes are raw signals on one grid in MNI space, skull-stripped, 0 outside the brain. `participants.tsv` names each subject's
class (`group`) and its part of the frozen split (`split`). The task is `{task}`; all options are in `dataset_description.json`.

The tissue map comes with this notice:

{notice}"""


def write_cohort(out: Path, options: Options) -> Path:
    """Write the cohort into a folder, which must be new or empty, and return it.

    Args:
        out: The folder; it and its parents are made.
        options: The cohort's.

    Raises:
        ValueError: If there is something in the folder, or it is a file.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"`out` must be a new or an empty folder, but got {str(out)!r}, which holds something.")
    out.mkdir(parents=True, exist_ok=True)
    task = make_task(options.task, flip=options.flip)
    rows, known = [], _clinical(options, task)
    for subject, (label, scans) in zip(options.subjects, raw_subjects(options, task), strict=True):
        folder = out / subject / "anat"
        if scans:
            folder.mkdir(parents=True)
        for name, raw in scans.items():
            image = nibabel.Nifti1Image(raw.numpy(), affine(options.shape))  # type: ignore[no-untyped-call]
            image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
            nibabel.save(image, folder / f"{subject}_{name}.nii.gz")
        facts = {"participant_id": subject, "group": task.classes[label], "split": options.part(subject)}
        rows.append(facts | known.get(subject, {}))
    pd.DataFrame(rows).to_csv(out / "participants.tsv", sep="\t", index=False)
    _write_descriptions(out, options, task.classes)
    return out


def _write_descriptions(out: Path, options: Options, classes: tuple[str, str]) -> None:
    notice = (files("nas_fusion.cohorts") / "data" / "NOTICE.md").read_text()
    (out / "README").write_text(README.format(task=options.task, notice=notice))
    documents = {
        "dataset_description.json": {
            "Name": "Simulated MRI cohort",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "GeneratedBy": [
                {"Name": "nas-fusion", "Description": f"The embedded cohort {NAME}.", "Parameters": options.stated}
            ],
        },
        "participants.json": {
            "group": {"Description": "Class to tell", "Levels": {name: name for name in classes}},
            "split": {
                "Description": "Part of the frozen split",
                "Levels": {part: part for part in ("train", "validation", "test")},
            },
            **(_columns() if CLINICAL in options.modalities else {}),
        },
        **{f"{name}.json": _sidecar(name) for name in options.modalities if name != CLINICAL},
    }
    for name, document in documents.items():
        (out / name).write_text(json.dumps(document, indent=2) + "\n")


def _clinical(options: Options, task: Task) -> dict[str, dict[str, str]]:
    """Return each subject's columns of the clinical table as texts that are read back to the last bit, `n/a` where absent."""
    if CLINICAL not in options.modalities:
        return {}
    rows = clinical_table(options, task).tolist()
    texts = [["n/a" if math.isnan(value) else repr(value) for value in row] for row in rows]
    return {subject: dict(zip(COLUMNS, row, strict=True)) for subject, row in zip(options.subjects, texts, strict=True)}


def _columns() -> dict[str, object]:
    what = {AGED: "ageing", LESIONS: "lesions"}
    told = {name: f"Reads out {what[bit]}: {SHIFT} standard deviations higher with it" for name, bit in READOUTS.items()}
    return {
        name: {"Description": told.get(name, "Tells nothing of the class"), "Units": "standard deviations"} for name in COLUMNS
    }


def _sidecar(modality: str) -> dict[str, object]:
    """Return the metadata of a modality, in the units of BIDS (seconds, tesla)."""
    sequence = SEQUENCES[modality]
    times = {"RepetitionTime": sequence.tr / 1000, "EchoTime": sequence.te / 1000}
    if isinstance(sequence, InversionRecovery):
        times["InversionTime"] = sequence.ti / 1000
    return {"MagneticFieldStrength": 3, "SkullStripped": True, **times}
