"""The connectome cohort as a folder of files: what is written, read with scipy and pandas alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import loadmat
from typer.testing import CliRunner

from nas_fusion.cli.app import app
from nas_fusion.cohorts import load_cohort
from nas_fusion.cohorts.simulated_connectome import simulated_connectomes, write_files
from nas_fusion.cohorts.simulated_connectome_options import Options

OPTIONS = {"train": 6, "validation": 4, "test": 3, "regions": 24, "timepoints": 60, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("connectomes") / "new" / "cohort", **OPTIONS)


def test_files_hold_the_numbers_of_the_cohort(folder: Path) -> None:
    cohort, table = simulated_connectomes(**OPTIONS), pd.read_csv(folder / "participants.tsv", sep="\t")
    assert table["participant_id"].tolist() == list(cohort.subjects)
    assert table["group"].tolist() == [cohort.classes[label] for label in cohort.labels]
    assert table["split"].tolist() == ["train"] * 6 + ["validation"] * 4 + ["test"] * 3
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["control", "patient"]
    for i, row in table.iterrows():
        subject = folder / row["group"] / row["participant_id"]
        counts = loadmat(subject / "DTI_connectivity_count.mat")["connectivity"]
        series = loadmat(subject / "RegionSeries.mat")["RegionSeries"]
        assert np.array_equal(counts, cohort.modalities["SC"][i].numpy()) and series.shape == (60, 24)
        assert np.allclose(np.corrcoef(series.T.astype(float)), cohort.modalities["FC"][i].numpy(), atol=1e-6)


def test_the_loader_of_users_files_gives_the_cohort_again(folder: Path) -> None:
    made, read = simulated_connectomes(**OPTIONS), load_cohort(folder)
    index = read.positions(made.subjects)
    assert read.inputs == made.inputs and torch.equal(read.labels[index], made.labels)
    assert torch.equal(read.modalities["SC"][index], made.modalities["SC"])
    assert torch.allclose(read.modalities["FC"][index], made.modalities["FC"], atol=1e-6)
    assert made.splits is not None and read.splits is not None
    assert [set(fold.train) for fold in read.splits.folds] == [set(fold.train) for fold in made.splits.folds]
    assert set(read.splits.test) == set(made.splits.test)
    regions, expected = read.provenance["regions"], made.provenance["regions"]
    assert regions["names"] == expected["names"] and regions["coordinates"] == expected["coordinates"]  # type: ignore[index]


def test_descriptions(folder: Path) -> None:
    described = json.loads((folder / "dataset_description.json").read_text())
    assert described["GeneratedBy"][0]["Parameters"] == asdict(Options(**OPTIONS))
    regions, facts = pd.read_csv(folder / "regions.tsv", sep="\t"), simulated_connectomes(**OPTIONS).provenance["regions"]
    assert regions["name"].tolist() == facts["names"]  # type: ignore[index]
    assert np.allclose(regions[["x", "y", "z"]], facts["coordinates"])  # type: ignore[index]


def test_a_folder_that_holds_something_is_left_alone(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^`out` must be a new or an empty folder, but got '.*', which holds something\.$"):
        write_files(folder, **OPTIONS)


def test_command_line(folder: Path, tmp_path: Path) -> None:
    settings = [text for key, value in OPTIONS.items() for text in ("--cohort-set", f"{key}={value}")]
    done = CliRunner().invoke(app, ["cohort", "make", "simulated-connectomes", "--out", str(tmp_path / "out"), *settings])
    assert done.exit_code == 0, done.output
    names = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    assert sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*")) == names
    assert (tmp_path / "out" / "participants.tsv").read_text() == (folder / "participants.tsv").read_text()
