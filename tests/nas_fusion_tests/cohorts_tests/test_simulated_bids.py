"""The written cohort: read back, it is the embedded one."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch

from nas_fusion.cohorts.anatomy import affine
from nas_fusion.cohorts.simulated_mri import normalised, simulated_mri, write_files

OPTIONS = {"shape": 10, "train": 3, "validation": 2, "test": 2, "modalities": ("T1w", "FLAIR", "T2w")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("bids") / "new" / "cohort", **OPTIONS)


def test_volumes_are_the_tensors_before_normalisation(folder: Path) -> None:
    cohort = simulated_mri(**OPTIONS)  # type: ignore[arg-type]
    for i, subject in enumerate(cohort.subjects):
        for name, values in cohort.modalities.items():
            image = nibabel.load(folder / subject / "anat" / f"{subject}_{name}.nii.gz")
            assert image.get_data_dtype() == np.float32 and image.header.get_xyzt_units()[0] == "mm"
            assert image.affine == pytest.approx(affine(10)) and nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
            raw = torch.from_numpy(np.asarray(image.dataobj).astype(np.float32))
            assert float(raw.min()) == 0 and torch.equal(normalised(raw), values[i, 0])


def test_participants_name_class_and_split(folder: Path) -> None:
    cohort = simulated_mri(**OPTIONS)  # type: ignore[arg-type]
    table = pd.read_csv(folder / "participants.tsv", sep="\t")
    assert list(table.columns) == ["participant_id", "group", "split"]
    assert tuple(table["participant_id"]) == cohort.subjects
    assert list(table["group"]) == [cohort.classes[label] for label in cohort.labels.tolist()]
    assert list(table["split"]) == ["train"] * 3 + ["validation"] * 2 + ["test"] * 2


def test_descriptions(folder: Path) -> None:
    description = json.loads((folder / "dataset_description.json").read_text())
    assert {"Name", "BIDSVersion", "GeneratedBy"} <= description.keys()
    assert description["GeneratedBy"][0]["Parameters"]["k2"] == simulated_mri(**OPTIONS).provenance["k2"]  # type: ignore[arg-type]
    assert json.loads((folder / "FLAIR.json").read_text()) == {
        "MagneticFieldStrength": 3,
        "SkullStripped": True,
        "RepetitionTime": 9.0,
        "EchoTime": 0.09,
        "InversionTime": 2.5,
    }
    assert "InversionTime" not in json.loads((folder / "T2w.json").read_text())
    assert json.loads((folder / "participants.json").read_text())["group"]["Levels"].keys() == {"concordant", "discordant"}
    assert "Louis Collins, McConnell Brain Imaging Centre" in (folder / "README").read_text()


def test_a_folder_that_holds_something_is_left_alone(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^`out` must be a new or an empty folder, but got '.*', which holds something\.$"):
        write_files(folder, **OPTIONS)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"^`out` must be a new or an empty folder, but got '.*', which holds something\.$"):
        write_files(tmp_path / "file", **OPTIONS)
    assert (tmp_path / "file").read_text() == "mine"


def test_unknown_options(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^`options` must be some of task, seed, .*, but got 'shapes'\.$"):
        write_files(tmp_path / "out", shapes=3)
    assert not (tmp_path / "out").exists()
