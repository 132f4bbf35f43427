"""Class folders: the authors' layout, one file a subject, a table beside, and what is found where nothing is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

from nas_fusion.cohorts import CohortError, check_source, load_cohort
from nas_fusion.cohorts.connectome_layouts import holds_connectomes

from .connectomes import Person, people, write_folders, write_table

PEOPLE = people()


def assert_holds(cohort: Any, persons: list[Person], *, atol: float = 1e-6) -> None:
    """Check every number of SC and FC, and every label, against what was written."""
    assert sorted(cohort.subjects) == sorted(person.subject for person in persons)
    for person in persons:
        row = cohort.subjects.index(person.subject)
        assert np.array_equal(cohort.modalities["SC"][row].numpy(), person.counts)
        assert np.allclose(cohort.modalities["FC"][row].numpy(), person.correlation, atol=atol)
        assert cohort.classes[cohort.labels[row]] == person.label


@pytest.mark.parametrize("regions", [90, 80, 116, 400])
@pytest.mark.parametrize("transposed", [False, True], ids=["TxN", "NxT"])
def test_the_authors_layout_with_any_number_of_regions(tmp_path: Path, regions: int, transposed: bool) -> None:
    persons = people(8, regions, 50)
    cohort = load_cohort(write_folders(tmp_path / "hospital", persons, transposed=transposed))
    assert cohort.name == "hospital" and cohort.classes == ("HC", "MDD")
    assert dict(cohort.kinds) == {"SC": "matrix", "FC": "matrix"}
    assert cohort.modalities["FC"].shape == (8, regions, regions) and cohort.modalities["FC"].dtype == torch.float32
    assert bool(cohort.present.all()) and cohort.splits is not None
    assert_holds(cohort, persons)
    assert cohort.provenance["connectivity"] == {"SC": "as in the files", "FC": "pearson, from time series"}


def test_a_stated_orientation_that_the_other_modality_contradicts_is_no_cohort(tmp_path: Path) -> None:
    persons = [Person(p.subject, p.label, p.counts, p.series[:40]) for p in PEOPLE]  # 12 regions, which 40 points outnumber
    root = write_folders(tmp_path, persons)
    wanted = "must have its regions where series=NxT says, but HC/p00/RegionSeries.mat is 40 x 12 and other modalities have 12"
    with pytest.raises(CohortError, match=wanted):
        load_cohort(root, series="NxT", regions=12)
    assert_holds(load_cohort(root, series="TxN", regions=12), persons)
    accepted = load_cohort(root, series="NxT", regions=12, accept="contradicted orientation,short series")
    assert np.allclose(accepted.modalities["FC"][0], np.corrcoef(persons[0].series[:12]), atol=1e-5)


def test_classes_are_sorted_with_controls_first(tmp_path: Path) -> None:
    root = write_folders(
        tmp_path, [Person(p.subject, {"HC": "control", "MDD": "ASD"}[p.label], p.counts, p.series) for p in PEOPLE]
    )
    assert load_cohort(root).classes == ("control", "ASD")
    assert load_cohort(root, classes="ASD,control").classes == ("ASD", "control")


def test_files_beyond_the_two(tmp_path: Path) -> None:
    root = write_folders(tmp_path, PEOPLE)
    for person in PEOPLE:
        savemat(root / person.label / person.subject / "EdgeWeight.mat", {"EdgeWeight": person.counts / 7})
        (root / person.label / person.subject / "notes.md").write_text("no connectome")
    assert list(load_cohort(root).modalities) == ["SC", "FC"]
    cohort = load_cohort(root, modalities="FC,EdgeWeight,SC")
    assert list(cohort.modalities) == ["FC", "EdgeWeight", "SC"]
    assert np.allclose(cohort.modalities["EdgeWeight"][0].numpy(), PEOPLE[0].counts / 7)
    with pytest.raises(
        CohortError, match=r"must name files of the subjects \(DTI_connectivity_count, EdgeWeight, RegionSeries\), but got 'MS'"
    ):
        load_cohort(root, modalities="SC,MS")


def test_names_of_their_own(tmp_path: Path) -> None:
    for person in PEOPLE:
        folder = tmp_path / person.label / person.subject
        (folder / "dwi").mkdir(parents=True)
        np.savetxt(folder / "dwi" / f"{person.subject}_counts.csv", person.counts, delimiter=",")
        np.save(folder / f"{person.subject}_bold.npy", person.series)
    assert_holds(load_cohort(tmp_path, modalities="SC=*_counts,FC=*_bold.npy"), PEOPLE)
    assert_holds(load_cohort(tmp_path, modalities="SC=dwi/*,FC=*_bold"), PEOPLE)
    with pytest.raises(CohortError, match="`modalities` must say which file of a subject is what"):
        load_cohort(tmp_path)


def test_common_names_are_modalities(tmp_path: Path) -> None:
    for person in PEOPLE:
        folder = tmp_path / person.label / person.subject
        folder.mkdir(parents=True)
        np.savetxt(folder / "FC.txt", person.correlation)
        np.savetxt(folder / "SC.txt", person.counts)
        np.savetxt(folder / f"only_{person.subject}.txt", person.counts)
    cohort = load_cohort(tmp_path)
    assert list(cohort.modalities) == ["SC", "FC"]
    assert_holds(cohort, PEOPLE)
    assert cohort.provenance["connectivity"] == {"SC": "as in the files", "FC": "as in the files"}


@pytest.mark.parametrize("inside", [False, True], ids=["one file", "one file in a folder"])
def test_one_text_file_of_time_series_a_subject(tmp_path: Path, inside: bool) -> None:
    for person in PEOPLE:
        folder = tmp_path / person.label / (person.subject if inside else "")
        folder.mkdir(parents=True, exist_ok=True)
        np.savetxt(folder / f"{person.subject}.1D", person.series, header="rois")
    with pytest.raises(CohortError, match=r"The orientation of FC must be known, .* by the option series=TxN") as error:
        load_cohort(tmp_path)
    assert [problem.rule for problem in error.value.problems] == ["ambiguous orientation"]
    cohort = load_cohort(tmp_path, series="TxN")
    assert list(cohort.modalities) == ["FC"] and cohort.subjects[:2] == ("p00", "p02")
    assert np.allclose(cohort.modalities["FC"][1].numpy(), PEOPLE[2].correlation, atol=1e-6)
    several = load_cohort(
        tmp_path, series="TxN", modalities="FC=*,FCpartial=*,FCtangent=*", fc="FCpartial=partial,FCtangent=tangent"
    )
    assert dict(several.kinds) == {"FC": "matrix", "FCpartial": "matrix", "FCtangent": "covariance"}
    assert torch.equal(several.modalities["FC"], cohort.modalities["FC"])


def test_the_first_regions_of_a_larger_atlas(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for person in PEOPLE:
        folder = tmp_path / person.label / person.subject
        folder.mkdir(parents=True)
        np.savetxt(folder / "SC.txt", person.counts)
        np.savetxt(folder / "FC.txt", np.hstack([person.series, rng.normal(size=(len(person.series), 5))]))
    with pytest.raises(
        CohortError, match=r"The FC of p00 must have 12 regions as other modalities have, but HC/p00/FC.txt is 40 x 17"
    ):
        load_cohort(tmp_path)
    with pytest.raises(
        CohortError, match=r"must have the same regions, but SC has 12, FC has 17 \(the option regions=12 keeps the first"
    ):
        load_cohort(tmp_path, series="TxN")
    assert_holds(load_cohort(tmp_path, series="TxN", regions=12), PEOPLE)
    eight = load_cohort(tmp_path, series="TxN", regions=8)
    assert np.array_equal(eight.modalities["SC"][0].numpy(), PEOPLE[0].counts[:8, :8])
    with pytest.raises(CohortError, match="`regions` must be at most 17, as there are in the files, but got 99"):
        load_cohort(tmp_path, series="TxN", regions=99, modalities="FC")


def participants(root: Path, change: Any = lambda rows: None) -> Path:
    rows: list[dict[str, object]] = [
        {
            "participant_id": p.subject,
            "group": p.label,
            "site": "AB"[i // 2 % 2],
            "sex": "mf"[i // 2 % 2],
            "split": ["train", "validation", "test"][i // 4],
        }
        for i, p in enumerate(PEOPLE)
    ]
    change(rows)
    write_table(root / "participants.tsv", rows)
    return root


def test_a_table_beside_gives_splits_and_groups(tmp_path: Path) -> None:
    root = participants(write_folders(tmp_path, PEOPLE))
    with pytest.raises(CohortError, match="A group must be in one part of the splits, but A is in several"):
        load_cohort(root)  # the column group only repeats the class, so site is the group
    cohort = load_cohort(root, group="none")
    assert cohort.groups is None and cohort.splits is not None
    assert set(cohort.splits.test) == {"p08", "p09", "p10", "p11"}
    assert set(cohort.splits.folds[0].validation) == {"p04", "p05", "p06", "p07"}
    assert load_cohort(root, group="none", label="sex").classes == ("f", "m")
    (root / "participants.tsv").write_text((root / "participants.tsv").read_text().replace("p00", "sub-p00"))
    assert load_cohort(root, group="none").splits == cohort.splits


def test_groups_are_not_torn(tmp_path: Path) -> None:
    def ungroup(rows: list[dict[str, object]]) -> None:
        for i, row in enumerate(rows):
            row["split"] = None
            row["group"] = f"family {i // 2}"

    cohort = load_cohort(participants(write_folders(tmp_path, PEOPLE), ungroup))
    assert cohort.groups is not None and len(set(cohort.groups)) == 6


def test_the_table_and_the_folders_must_name_the_same_people(tmp_path: Path) -> None:
    def change(rows: list[dict[str, object]]) -> None:
        rows[0]["participant_id"] = "p77"
        rows[2] = rows[3]

    root = participants(write_folders(tmp_path, PEOPLE), change)
    found = {(problem.rule, problem.subject) for problem in check_source(root, group="none")}
    assert {("subject without files", "p77"), ("duplicate subject", "p03")} <= found
    assert {("subject not in table", "p00"), ("subject not in table", "p02")} <= found


def test_subjects_outside_the_table_may_be_dropped(tmp_path: Path) -> None:
    root = participants(write_folders(tmp_path, PEOPLE), lambda rows: rows.__delitem__(0))
    assert "p00" not in load_cohort(root, group="none", missing="drop").subjects


def test_regions_from_a_table(tmp_path: Path) -> None:
    root = write_folders(tmp_path, PEOPLE)
    rows = [{"name": f"area {i}", "x": i, "y": -i, "z": 0.5, "network": "abc"[i % 3]} for i in range(12)]
    write_table(root / "regions.tsv", rows)
    regions: Any = load_cohort(root).provenance["regions"]
    assert regions["names"][3] == "area 3" and regions["coordinates"][3] == [3.0, -3.0, 0.5] and regions["networks"][3] == "a"
    shorter: Any = load_cohort(root, regions=5).provenance["regions"]
    assert len(shorter["names"]) == len(shorter["coordinates"]) == 5
    write_table(root / "regions.tsv", rows[:11])
    with pytest.raises(CohortError, match="The table of regions must have 12 rows as the connectomes, but has 11"):
        load_cohort(root)
    write_table(root / "regions.tsv", [{**row, "x": "left"} for row in rows])
    with pytest.raises(CohortError, match="coordinates x, y, z must be numbers in mm for every region"):
        load_cohort(root)
    write_table(root / "regions.tsv", [{"label": "a"}])
    with pytest.raises(CohortError, match="must name every region in a column name, but has label"):
        load_cohort(root)


def test_a_table_of_regions_orients_time_series(tmp_path: Path) -> None:
    for person in PEOPLE:
        (tmp_path / person.label).mkdir(exist_ok=True)
        np.savetxt(tmp_path / person.label / f"{person.subject}.txt", person.series.T)
    write_table(tmp_path / "regions.csv", [{"name": i} for i in range(12)])
    assert np.allclose(load_cohort(tmp_path).modalities["FC"][0].numpy(), PEOPLE[0].correlation, atol=1e-6)


def test_what_are_no_class_folders(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "a", PEOPLE)
    assert holds_connectomes(root, {})
    (root / ".git").mkdir()
    (root / "code").mkdir()
    assert holds_connectomes(root, {})
    (root / "sub-01").mkdir()
    assert not holds_connectomes(root, {})
    scans = tmp_path / "b" / "HC" / "p1"
    scans.mkdir(parents=True)
    (scans / "sub-1_T1w.nii.gz").touch()
    (scans / "sub-1_scans.tsv").touch()
    assert not holds_connectomes(tmp_path / "b", {})
