from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nas_fusion.cohorts import CohortError, load_cohort
from nas_fusion.cohorts.manifest import read_manifest
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.tables import read_table

Write = Callable[..., Path]


def test_columns_of_files_are_found_by_themselves(manifest: Write) -> None:
    found = read_manifest(manifest(), SourceOptions())
    assert found.kinds == {"T1w": "image", "FLAIR": "image"}
    assert found.table["T1w:T1w"].tolist() == [f"scans/p{i}/T1w.nii.gz" for i in range(10)]
    assert found.name == "cohort"


def test_numeric_columns_become_a_standardised_vector(manifest: Write) -> None:
    cohort = load_cohort(manifest(), modalities=["T1w", "clinical=age+score", "age"])
    assert cohort.inputs.modalities[1].shape == (2,) and cohort.inputs.modalities[2].shape == (1,)
    assert cohort.splits is not None
    known = cohort.positions(cohort.splits.development)
    raw = torch.tensor([[40.0 + i, (i * 7) % 10 / 2] for i in range(10)], dtype=torch.float64)
    mean, scale = raw[known].mean(0), raw[known].std(0, unbiased=False)
    torch.testing.assert_close(cohort.modalities["clinical"].double(), (raw - mean) / scale, rtol=1e-6, atol=1e-6)


def test_no_test_subject_takes_part_in_standardising(manifest: Write) -> None:
    def plain(rows: list[dict[str, object]]) -> None:
        for i, row in enumerate(rows):
            row["split"] = "test" if i < 4 else "train"

    def far_test_subjects(rows: list[dict[str, object]]) -> None:
        plain(rows)
        for row in rows[:4]:
            row["age"] = 1e6

    known, far = (load_cohort(manifest(change), modalities="age").modalities["age"] for change in (plain, far_test_subjects))
    assert torch.equal(known[4:], far[4:])
    assert known[:4].max() < 0 < far[:4].min()


def test_given_parts_and_folds_are_kept(manifest: Write) -> None:
    def folds(rows: list[dict[str, object]]) -> None:
        for i, row in enumerate(rows):
            row |= {"fold": i // 2 % 2} if i < 8 else {"split": "Test"}
            row.setdefault("split", "training")

    splits = load_cohort(manifest(folds), modalities="age").splits
    assert splits is not None
    assert [fold.validation for fold in splits.folds] == [("p0", "p1", "p4", "p5"), ("p2", "p3", "p6", "p7")]
    assert splits.test == ("p8", "p9")
    redrawn = load_cohort(manifest(folds), modalities="age", folds=4).splits
    assert redrawn is not None
    assert len(redrawn.folds) == 4 and redrawn.test == ("p8", "p9")


def test_given_training_validation_and_test(manifest: Write) -> None:
    def parts(rows: list[dict[str, object]]) -> None:
        for row, part in zip(rows, ["train"] * 6 + ["val"] * 2 + ["test"] * 2, strict=True):
            row["split"] = part

    splits = load_cohort(manifest(parts), modalities="age").splits
    assert splits is not None
    assert splits.folds[0].validation == ("p6", "p7") and splits.test == ("p8", "p9") and len(splits.folds) == 1


def test_splits_final_json_is_honoured(manifest: Write, tmp_path: Path) -> None:
    path = manifest()
    (tmp_path / "splits_final.json").write_text('[{"train": ["p0", "p1", "p2"], "val": ["p3", "p4"]}]')
    splits = load_cohort(path, modalities="age", splits="splits_final.json").splits
    assert splits is not None
    assert splits.folds[0].validation == ("p3", "p4") and splits.test == ("p5", "p6", "p7", "p8", "p9")
    with pytest.raises(ValueError, match="`splits` must not be given together with `folds`"):
        load_cohort(path, modalities="age", splits="splits_final.json", folds=2)
    with pytest.raises(CohortError, match=r"splits_final.json, but no.json cannot be read.*\[impossible splits\]"):
        load_cohort(path, modalities="age", splits="no.json")


@pytest.mark.parametrize("column", ["group", "site"])
def test_groups_of_the_manifest_are_honoured(manifest: Write, column: str) -> None:
    def sites(rows: list[dict[str, object]]) -> None:
        for i, row in enumerate(rows):
            row[column] = f"site{i // 2}"

    path = manifest(sites)
    assert load_cohort(path, modalities="age").groups == tuple(f"site{i // 2}" for i in range(10))
    assert load_cohort(path, modalities="age", group="none").groups is None


def test_sessions_are_rows_of_their_own_and_stay_together(manifest: Write) -> None:
    def visits(rows: list[dict[str, object]]) -> None:
        for i, row in enumerate(rows):
            row |= {"subject": f"p{i // 2}", "session": i % 2}

    cohort = load_cohort(manifest(visits), modalities="age")
    assert cohort.subjects[:3] == ("p0_ses-0", "p0_ses-1", "p1_ses-0")
    assert cohort.groups == tuple(f"p{i // 2}" for i in range(10))


def test_numbers_as_classes_are_ordered_by_size(manifest: Write) -> None:
    def grades(rows: list[dict[str, object]]) -> None:
        for i, row in enumerate(rows):
            row["label"] = 10 if i % 2 else 9

    assert load_cohort(manifest(grades), modalities="age").classes == ("9", "10")
    assert load_cohort(manifest(grades), modalities="age", classes="10,9").classes == ("10", "9")


def test_tables_keep_words_and_know_absent_values(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\ufeffsubject; label \n01; NA \n02;n/a\n03;None\n")
    assert read_table(path).to_dict("list") == {"subject": ["01", "02", "03"], "label": ["NA", None, "None"]}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"subject,label\n", "it has no rows"),
        (b"", "cannot be read: No columns to parse from file"),
        (b"\xff\xfe\x00\x01", "cannot be read: 'utf-8' codec can't decode"),
        (b"subject,label\na,b,c\n", "cannot be read: Length of header or names does not match length of data"),
        (b"subject,label\na,b\nc,d,e\n", "cannot be read: .*Expected 2 fields in line 3, saw 3"),
        (b"subject,label,label \na,b,c\n", "it has two columns named 'label'"),
        (b"id,label\na,b\n", r"`subject` must name a column of the table \(id, label\), but got 'subject'"),
        (b"subject,dx\na,b\n", r"`label` must name a column of the table \(subject, dx\), but got 'label'"),
        (b"subject,label\na,b\n", r"`modalities` must be named: no column of the table \(subject, label\) holds scans"),
    ],
)
def test_unreadable_tables_are_one_clear_sentence(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "cohort.csv"
    path.write_bytes(content)
    with pytest.raises(CohortError, match=match):
        load_cohort(path)
