"""Tables of participants and archives: one row, or one slice, a subject."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from nas_fusion.cohorts import CohortError, check_source, load_cohort

from .connectomes import Person, people, write_folders, write_hdf5, write_table
from .test_connectome_folders import assert_holds

PEOPLE = people()
Write = Callable[[Path, np.ndarray[Any, Any]], object]
FORMATS: dict[str, tuple[str, Write]] = {
    "npy": (".npy", np.save),
    "csv": (".csv", lambda path, values: np.savetxt(path, values, delimiter=",")),
    "tsv": (".tsv", lambda path, values: np.savetxt(path, values, delimiter="\t")),
    "txt": (".txt", np.savetxt),
    "mat": (".mat", lambda path, values: savemat(path, {"any": values})),
    "mat 7.3": (".mat", lambda path, values: write_hdf5(path, any=values)),
}


def rows_of(
    folder: Path, persons: list[Person], ending: str, write: Write, *, transposed: bool = False
) -> list[dict[str, object]]:
    (folder / "data").mkdir(exist_ok=True)
    rows = []
    for person in persons:
        names = {name: f"data/{person.subject}_{name}{ending}" for name in ("SC", "FC")}
        write(folder / names["SC"], person.counts)
        write(folder / names["FC"], person.series.T if transposed else person.series)
        rows.append({"subject": person.subject, "label": person.label, "age": 30, **names})
    return rows


@pytest.mark.parametrize(("ending", "write"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("transposed", [False, True], ids=["TxN", "NxT"])
def test_a_table_names_files_of_any_format(tmp_path: Path, ending: str, write: Write, transposed: bool) -> None:
    table = write_table(tmp_path / "cohort.csv", rows_of(tmp_path, PEOPLE, ending, write, transposed=transposed))
    cohort = load_cohort(table)
    assert cohort.name == "cohort" and list(cohort.modalities) == ["SC", "FC"]
    assert_holds(cohort, PEOPLE)


def test_columns_have_the_names_that_the_user_says(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, PEOPLE, ".npy", np.save)
    renamed = [
        {"participant_id": r["subject"], "sex": "fm"[i // 2 % 2], "counts": r["SC"], "bold": r["FC"], "T1w": "x.nii.gz"}
        for i, r in enumerate(rows)
    ]
    table = write_table(tmp_path / "people.tsv", renamed)
    cohort = load_cohort(table, modalities="FC=bold,SC=counts", label="sex")
    assert list(cohort.modalities) == ["FC", "SC"] and cohort.classes == ("f", "m")
    assert np.array_equal(cohort.modalities["SC"][3].numpy(), PEOPLE[3].counts)
    assert list(load_cohort(table, label="sex").modalities) == ["counts", "bold"]
    with pytest.raises(CohortError, match=r"`modalities` must name columns of the table \(.*\), but got 'dti'"):
        load_cohort(table, modalities="SC=dti,FC=bold", label="sex")
    with pytest.raises(
        CohortError, match="`modalities` must be columns of files, but age holds numbers, which cannot go with connectomes"
    ):
        load_cohort(write_table(tmp_path / "b.csv", rows), modalities="SC,FC,age")


def test_splits_folds_groups_and_regions_of_a_table(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, PEOPLE, ".npy", np.save)
    for i, row in enumerate(rows):
        row |= {"site": i // 2, "fold": i // 2 % 3, "split": "test" if i > 9 else "train"}
    write_table(tmp_path / "regions.csv", [{"name": f"r{i}"} for i in range(12)])
    cohort = load_cohort(write_table(tmp_path / "cohort.csv", rows))
    assert cohort.splits is not None and len(cohort.splits.folds) == 3 and cohort.splits.test == ("p10", "p11")
    assert cohort.groups == tuple(str(i // 2) for i in range(12))
    assert cohort.provenance["regions"] == {"names": [f"r{i}" for i in range(12)]}
    assert len(load_cohort(tmp_path / "cohort.csv", folds=2).splits.folds) == 2  # type: ignore[union-attr]


def test_matrices_and_series_under_one_name(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, PEOPLE, ".npy", np.save)
    np.save(tmp_path / "data" / "p00_FC.npy", PEOPLE[0].correlation)  # one subject of twelve
    with pytest.raises(
        CohortError, match=r"The FC of p00 must show which axis is the regions, but data/p00_FC.npy is 12 x 12"
    ) as error:
        load_cohort(write_table(tmp_path / "cohort.csv", rows))
    assert [problem.rule for problem in error.value.problems] == ["ambiguous orientation"]


@pytest.mark.parametrize("stated", ["TxN", "NxT"])
def test_square_series_are_never_guessed(tmp_path: Path, stated: str) -> None:
    persons = [Person(p.subject, p.label, p.counts, np.resize(p.series, (12, 12))) for p in people(12, 12, 40)]
    rows = rows_of(tmp_path, persons, ".mat", lambda path, values: savemat(path, {"tc" if "FC" in path.name else "sc": values}))
    table = write_table(tmp_path / "cohort.csv", rows)
    with pytest.raises(CohortError, match=r"p11_FC.mat is 12 x 12: state it by the option series=TxN"):
        load_cohort(table)
    values = load_cohort(table, series=stated, accept="short series").modalities["FC"][5].numpy()
    series = persons[5].series if stated == "TxN" else persons[5].series.T
    assert np.allclose(values, np.corrcoef(series.T), atol=1e-5)


def test_keys_by_modality(tmp_path: Path) -> None:
    def write(path: Path, values: np.ndarray[Any, Any]) -> None:
        savemat(path, {"one": values, "two": values * 2 if "SC" in path.name else values, "three": np.ones((3, 4))})

    table = write_table(tmp_path / "cohort.csv", rows_of(tmp_path, PEOPLE, ".mat", write))
    with pytest.raises(
        CohortError, match=r"p00_SC.mat has several arrays \(one, two, three\): name one by the option key=NAME"
    ):
        load_cohort(table)
    assert_holds(load_cohort(table, key="one"), PEOPLE)
    assert np.array_equal(load_cohort(table, key="SC=two,FC=one").modalities["SC"][0].numpy(), 2 * PEOPLE[0].counts)
    with pytest.raises(CohortError, match=r"`key` must name modalities \(FC, SC\), but got 'DTI'"):
        load_cohort(table, key="SC=one,FC=one,DTI=one")


def archive(path: Path, persons: list[Person], **more: Any) -> Path:
    arrays = {
        "SC": np.stack([p.counts for p in persons]),
        "FC": np.stack([p.series[:40] for p in persons]),
        "labels": np.array([p.label for p in persons]),
        "subjects": np.array([p.subject for p in persons]),
    }
    np.savez(path, **{name: values for name, values in {**arrays, **more}.items() if values is not None})
    return path


def cut(persons: list[Person]) -> list[Person]:
    return [Person(p.subject, p.label, p.counts, p.series[:40]) for p in persons]


@pytest.mark.parametrize("transposed", [False, True], ids=["TxN", "NxT"])
def test_one_archive_for_all(tmp_path: Path, transposed: bool) -> None:
    series = np.stack([p.series[:40].T if transposed else p.series[:40] for p in PEOPLE])
    path = archive(
        tmp_path / "all.npz",
        PEOPLE,
        FC=series,
        groups=np.arange(12) // 2,
        split=np.array(["train", "val", "test"])[np.arange(12) // 4],
    )
    cohort = load_cohort(path)
    assert_holds(cohort, cut(PEOPLE))
    assert list(cohort.modalities) == ["SC", "FC"] and cohort.groups == tuple(str(i // 2) for i in range(12))
    assert cohort.splits is not None and cohort.splits.test == ("p08", "p09", "p10", "p11")


def test_series_of_different_lengths_are_an_array_a_subject(tmp_path: Path) -> None:
    series = {f"FC/{p.subject}": p.series for p in PEOPLE}
    assert_holds(load_cohort(archive(tmp_path / "all.npz", PEOPLE, FC=None, **series)), PEOPLE)
    del series["FC/p03"]
    path = archive(tmp_path / "less.npz", PEOPLE, FC=None, **series)
    with pytest.raises(CohortError, match="p03 must have SC and FC, but has SC only: FC is nowhere") as error:
        load_cohort(path)
    assert [problem.rule for problem in error.value.problems] == ["one modality only"]
    assert_holds(load_cohort(path, missing="drop"), [p for p in PEOPLE if p.subject != "p03"])
    with pytest.raises(CohortError, match="Every array of FC must belong to a subject, but FC/who belongs to none"):
        load_cohort(archive(tmp_path / "more.npz", PEOPLE, FC=None, **{**series, "FC/who": PEOPLE[0].series}))


def test_what_an_archive_may_leave_out_and_add(tmp_path: Path) -> None:
    regions = {"regions": np.array([f"r{i}" for i in range(12)]), "coordinates": np.ones((12, 3))}
    path = archive(
        tmp_path / "all.npz",
        PEOPLE,
        subjects=None,
        labels=np.arange(12) % 2,
        age=np.arange(12),
        MS=np.stack([p.counts / 9 for p in PEOPLE]),
        **regions,
    )
    cohort = load_cohort(path, fc="tangent")
    assert cohort.subjects[0] == "01" and cohort.classes == ("0", "1")
    assert dict(cohort.kinds) == {"SC": "matrix", "FC": "covariance", "MS": "matrix"}
    assert cohort.provenance["regions"] == {"names": [f"r{i}" for i in range(12)], "coordinates": [[1.0] * 3] * 12}
    assert load_cohort(path, modalities="SC=MS,FC").inputs.names == ("SC", "FC")


@pytest.mark.parametrize(
    ("more", "options", "match"),
    [
        ({"labels": None}, {}, "must hold an array labels, a class a subject, but holds SC, FC, subjects"),
        ({}, {"label": "sex"}, "must hold an array sex, a class a subject"),
        ({"subjects": np.array(["a", "b"])}, {}, "The array subjects must hold 12 values, as there are labels, but holds 2"),
        ({"split": np.array(["train"] * 11)}, {}, "The array split must hold 12 values, as there are labels, but holds 11"),
        ({"SC": np.ones((11, 3, 3))}, {}, "The array SC must hold a matrix for each of 12 subjects, .* but is 11 x 3 x 3"),
        ({"MSN": np.ones((12, 3, 3, 1))}, {}, "The array MSN must hold a matrix for each of 12 subjects"),
        ({"labels": np.array(["a", 1], dtype=object)}, {}, "must be numbers and texts, but some are pickled objects"),
        (
            {},
            {"modalities": "SC,MS"},
            r"`modalities` must be arrays of 12 connectomes \(SC, FC\), but got 'MS': there is no MS",
        ),
        ({"SC": None, "FC": None}, {}, "must hold arrays of 12 connectomes, as there are labels, but holds labels"),
        (
            {"regions": np.array(["a"] * 12), "coordinates": np.ones((12, 2))},
            {},
            "must have a row a region, coordinates three columns",
        ),
        ({"SC": np.ones((12, 12, 12), dtype=complex)}, {}, r"SC\[0\] holds values of type complex128"),
    ],
)
def test_what_is_wrong_with_an_archive(tmp_path: Path, more: dict[str, Any], options: dict[str, Any], match: str) -> None:
    with pytest.raises(CohortError, match=match):
        load_cohort(archive(tmp_path / "all.npz", PEOPLE, **more), **options)


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(CohortError, match="The archive must be readable, but is not"):
        load_cohort(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_text("subject,label")
    with pytest.raises(CohortError, match="The archive must be readable, but is not: it is a text file"):
        load_cohort(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.ones((12, 3, 3)))
    with pytest.raises(CohortError, match=r"One .npy holds one array: put those of all subjects into one .npz"):
        load_cohort(tmp_path / "b.npy")
    np.save(tmp_path / "abide.npy", np.array({"corr": np.ones((2, 3, 3))}, dtype=object))
    assert [problem.rule for problem in check_source(tmp_path / "abide.npy")] == ["pickled file"]
    with pytest.raises(
        CohortError, match=r"The file must hold arrays alone, but abide.npy is pickled: .*by `python -c .*np.savez_compressed"
    ):
        load_cohort(tmp_path / "abide.npy")


def test_what_a_pickled_dictionary_becomes_is_a_cohort(tmp_path: Path) -> None:
    """The arrays of BrainGB under their own names, as the conversion leaves them."""
    arrays = {"timeseires": np.stack([p.series[:40].T for p in PEOPLE]), "corr": np.stack([p.correlation for p in PEOPLE])}
    np.savez(
        tmp_path / "abide.npz", **arrays, label=np.arange(12) % 2, site=np.array(["NYU", "UCLA", "KKI"])[np.arange(12) // 2 % 3]
    )
    cohort = load_cohort(tmp_path / "abide.npz", modalities="FC=corr,FCpartial=timeseires", fc="partial")
    assert np.allclose(cohort.modalities["FC"][0].numpy(), PEOPLE[0].correlation)
    assert set(cohort.groups or ()) == {"NYU", "UCLA", "KKI"}


def subject_values(cohort: Any) -> dict[str, tuple[torch.Tensor, ...]]:
    return {subject: tuple(values[i] for values in cohort.modalities.values()) for i, subject in enumerate(cohort.subjects)}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(12)), st.sampled_from(["pearson", "partial", "tangent"]))
def test_the_order_of_subjects_changes_nobodys_values(tmp_path: Path, order: list[int], fc: str) -> None:
    before = subject_values(load_cohort(archive(tmp_path / "a.npz", PEOPLE), fc=fc))
    after = subject_values(load_cohort(archive(tmp_path / "b.npz", [PEOPLE[i] for i in order]), fc=fc))
    assert before.keys() == after.keys()
    assert all(torch.equal(x, y) for subject in before for x, y in zip(before[subject], after[subject], strict=True))


def test_layouts_agree(tmp_path: Path) -> None:
    """Class folders, a table in reverse order with columns exchanged, and a subset hold the same numbers for everybody."""
    folders = subject_values(load_cohort(write_folders(tmp_path / "folders", PEOPLE)))
    rows = [dict(reversed(row.items())) for row in reversed(rows_of(tmp_path, PEOPLE, ".npy", np.save))]
    table = subject_values(load_cohort(write_table(tmp_path / "cohort.csv", rows), modalities="SC,FC"))
    fewer = subject_values(load_cohort(write_table(tmp_path / "fewer.csv", rows[:6]), modalities="SC,FC"))
    for subject, values in table.items():
        assert all(torch.equal(x, y) for x, y in zip(values, folders[subject], strict=True))
        assert subject not in fewer or all(torch.equal(x, y) for x, y in zip(values, fewer[subject], strict=True))
