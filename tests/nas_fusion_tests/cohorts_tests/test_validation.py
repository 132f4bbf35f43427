"""Every rule that data can break, in folders and tables that break it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from nas_fusion.cohorts import CohortError, Problem, check_source, load_cohort
from nas_fusion.cohorts.validation import summary

from .conftest import voxels, write_scan

Write = Callable[..., Path]
Rows = list[dict[str, object]]
OPTIONS = {"modalities": "T1w,FLAIR", "label": "group"}
T1W = "sub-00003/anat/sub-00003_acq-iso08_T1w.nii.gz"
FLAIR = "sub-00003/anat/sub-00003_acq-T2sel_FLAIR.nii.gz"


def unlink(root: Path) -> None:
    (root / FLAIR).unlink()


def annexed(root: Path) -> None:
    unlink(root)
    (root / FLAIR).symlink_to("../../.git/annex/objects/Xx/Yy/SHA256E-s1--0.nii.gz/SHA256E-s1--0.nii.gz")


def dangling(root: Path) -> None:
    unlink(root)
    (root / FLAIR).symlink_to("/nowhere/at/all.nii.gz")


def pointer(root: Path) -> None:
    (root / FLAIR).write_text("/annex/objects/SHA256E-s1--0.nii.gz\n")


def empty(root: Path) -> None:
    (root / FLAIR).write_bytes(b"")


def cut(root: Path) -> None:
    (root / FLAIR).write_bytes((root / FLAIR).read_bytes()[:900])


def text(root: Path) -> None:
    (root / FLAIR).write_text("not an image at all, but long enough to look like one")


def affine(root: Path) -> None:
    write_scan(root / FLAIR, affine=np.diag([1, 1, 1.2, 1]))


def shape(root: Path) -> None:
    write_scan(root / FLAIR, voxels(root / FLAIR, (8, 8, 9)))


def singular(root: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((8, 8, 8))
    header.set_sform(np.diag([0, 1, 1, 1]), code=1)
    image = nibabel.Nifti1Image(voxels(root / FLAIR), None, header)
    image.header["srow_x"] = 0
    nibabel.save(image, root / FLAIR)


def plane(root: Path) -> None:
    write_scan(root / FLAIR, voxels(root / FLAIR, (8, 8)))


def nan(root: Path) -> None:
    values = voxels(root / FLAIR)
    values[0, 0, :4] = np.nan
    write_scan(root / FLAIR, values)


def constant(root: Path) -> None:
    write_scan(root / FLAIR, np.full((8, 8, 8), 3, dtype=np.float32))


def mask(root: Path) -> None:
    write_scan(root / FLAIR, (voxels(root / FLAIR) > 10).astype(np.float32))


def channels(root: Path) -> None:
    write_scan(root / FLAIR, voxels(root / FLAIR, (8, 8, 8, 2)))


def copied(root: Path) -> None:
    (root / FLAIR).write_bytes((root / FLAIR.replace("00003", "00005")).read_bytes())


def unlisted(root: Path) -> None:
    edit(root, lambda lines: [line for line in lines if not line.startswith("sub-00003")])


def unlabelled(root: Path) -> None:
    edit(root, lambda lines: [line.replace("fcd", "n/a") if line.startswith("sub-00003") else line for line in lines])


def repeated(root: Path) -> None:
    edit(root, lambda lines: [*lines, next(line for line in lines if line.startswith("sub-00003"))])


def odd_split(root: Path) -> None:
    edit(root, lambda lines: [line.replace("test", "held") if line.startswith("sub-00003") else line for line in lines])


def absent(root: Path) -> None:
    edit(root, lambda lines: [*lines, "sub-00099\thc\tn/a\ttrain"])


def edit(root: Path, change: Callable[[list[str]], list[str]]) -> None:
    table = root / "participants.tsv"
    table.write_text("\n".join(change(table.read_text().splitlines())) + "\n")


FOLDERS: list[tuple[Callable[[Path], None], str, str]] = [
    (unlink, "file missing", "sub-00003 must have a scan of FLAIR, but has none"),
    (annexed, "file not fetched", f"but {FLAIR} is a link of git-annex to content that is not here"),
    (dangling, "file not fetched", f"but {FLAIR} is a link that leads nowhere"),
    (pointer, "file not fetched", f"but {FLAIR} is a pointer of git-annex or git-lfs"),
    (empty, "corrupt file", f"but {FLAIR} is empty"),
    (cut, "corrupt file", f"but {FLAIR} cannot be read"),
    (text, "corrupt file", f"but {FLAIR} cannot be read"),
    (affine, "grid mismatch", f"but {FLAIR} has another position, orientation or voxel size (affine differs by up to 0.2)"),
    (shape, "grid mismatch", f"but {FLAIR} has shape (8, 8, 9) instead of (8, 8, 8) of its T1w"),
    (singular, "corrupt file", f"but {FLAIR} has no usable affine"),
    (plane, "corrupt file", f"but {FLAIR} has the shape (8, 8): three spatial axes"),
    (nan, "NaN", f"but {FLAIR} has NaN or infinite values in 0.78% of its voxels"),
    (constant, "constant image", f"but {FLAIR} is constant: 3 everywhere"),
    (mask, "constant image", f"but {FLAIR} is constant: 1 wherever it is not 0"),
    (channels, "channel mismatch", "Every FLAIR must have 1 channels as most have, but that of sub-00003 has 2"),
    (copied, "identical scans", "sub-00005_acq-T2sel_FLAIR.nii.gz of sub-00005 has the same content as one of sub-00003"),
    (unlisted, "subject not in table", "must be in participants.tsv, but sub-00003 is not"),
    (unlabelled, "missing label", "Every subject must have a label, but sub-00003 has none"),
    (repeated, "duplicate subject", "one row in participants.tsv, but sub-00003 has several"),
    (odd_split, "unknown split", "The split of sub-00003 must be train, validation or test, but is 'held'"),
    (absent, "file missing", "sub-00099 must have a scan of T1w, but has none"),
]


@pytest.mark.parametrize(("spoil", "rule", "sentence"), FOLDERS, ids=[entry[0].__name__ for entry in FOLDERS])
def test_a_folder_that_breaks_a_rule(bids: Path, spoil: Callable[[Path], None], rule: str, sentence: str) -> None:
    spoil(bids)
    first = check_source(bids, **OPTIONS)[0]
    assert first.rule == rule
    assert sentence in first.message and first.message.endswith(".")
    assert first.subject in ("sub-00003", "sub-00005", "sub-00099") and first.subject in str(first)
    with pytest.raises(CohortError, match=re.escape(f"[{rule}]")):
        load_cohort(bids, **OPTIONS)


def test_all_problems_are_reported_at_once(bids: Path) -> None:
    unlabelled(bids)
    write_scan(bids / FLAIR.replace("00003", "00004"), np.zeros((8, 8, 8), dtype=np.float32))
    cut(bids)
    (bids / T1W.replace("00003", "00007")).unlink()
    with pytest.raises(
        CohortError, match=r"has 4 problems:\n- .*label.*\n- .*scan of T1w.*\n- .*cannot be read.*\n- .*0 everywhere"
    ) as caught:
        load_cohort(bids, **OPTIONS)
    assert list(caught.value.problems) == check_source(bids, **OPTIONS)
    assert summary(caught.value.problems) == {"missing label": 1, "file missing": 1, "corrupt file": 1, "constant image": 1}


def set_rows(key: str, *values: object) -> Callable[[Rows], None]:
    """Return a change of the first rows of a manifest."""

    def change(rows: Rows) -> None:
        for row, value in zip(rows, values, strict=False):
            row[key] = value

    return change


MANIFESTS: list[tuple[str, Callable[[Rows], None], dict[str, Any], str, str]] = [
    (
        "path",
        set_rows("T1w", "no/such.nii.gz"),
        {},
        "file missing",
        "The T1w of p0 must be a NIfTI file, but no/such.nii.gz does not",
    ),
    ("folder", set_rows("T1w", "scans"), {"modalities": "T1w"}, "file missing", "but scans is a folder"),
    ("long", set_rows("T1w", "x" * 300), {"modalities": "T1w"}, "corrupt file", "cannot be opened (File name too long)"),
    ("format", set_rows("T1w", "cohort.csv"), {"modalities": "T1w"}, "unknown format", "an ending other than .nii or .nii.gz"),
    ("shared", set_rows("T1w", "scans/p1/T1w.nii.gz"), {}, "shared file", "is T1w of p0 and T1w of p1"),
    ("twice", set_rows("subject", "p1"), {}, "duplicate subject", "Every subject must have one row, but p1 has rows 1, 2"),
    ("nobody", set_rows("subject", ""), {}, "missing subject", "row 1 does not"),
    ("label", set_rows("label", "c"), {"classes": "a,b"}, "unknown label", "The label of p0 must be one of a, b, but is 'c'"),
    ("one class", set_rows("label", *["a"] * 10), {}, "one class", "at least two classes"),
    ("many", set_rows("label", *map(str, range(10))), {}, "small class", "but there are 1 of '0'"),
    ("small", set_rows("label", *"babababa"), {"folds": 6}, "small class", "6 folds need 6 subjects of each class"),
    ("fold", set_rows("fold", "1", "x"), {}, "unknown fold", "The fold of p1 must be a whole number, but is 'x'"),
    ("one fold", set_rows("fold", *[0] * 10), {}, "one fold", "must hold at least 2 folds, but holds 1"),
    ("no train", set_rows("split", *["test"] * 10), {}, "no training subjects", "must have subjects that train"),
    ("groupless", set_rows("site", "x", "y"), {}, "missing group", "Every subject must have a group, but p2 has none"),
    ("word", set_rows("age", "old"), {"modalities": "c=age"}, "not a number", "age of p0 must be a number, but is 'old'"),
    ("infinite", set_rows("age", "inf"), {"modalities": "c=age"}, "not a number", "age of p0 must be a number, but is 'inf'"),
    ("absent", set_rows("age", "n/a"), {"modalities": "c=age"}, "missing value", "age of p0 must be a number, but is absent"),
]


@pytest.mark.parametrize(("change", "options", "rule", "sentence"), [m[1:] for m in MANIFESTS], ids=[m[0] for m in MANIFESTS])
def test_a_manifest_that_breaks_a_rule(
    manifest: Write, change: Callable[[Rows], None], options: dict[str, Any], rule: str, sentence: str
) -> None:
    problems = check_source(manifest(change), **options)
    assert [problem for problem in problems if problem.rule == rule and sentence in problem.message], problems


def test_splits_that_tear_groups_or_participants(manifest: Write) -> None:
    def tear(rows: Rows) -> None:
        for i, row in enumerate(rows):
            row |= {"subject": f"p{i // 2}", "session": i % 2, "split": "test" if i in (0, 8, 9) else "train", "site": i // 4}
        rows[2]["site"] = 7

    rules = [(problem.rule, problem.subject) for problem in check_source(manifest(tear), modalities="age")]
    assert rules == [("participant in several groups", "p1"), ("torn group", "p0"), ("torn group", "0")]


def test_dropping_incomplete_subjects(bids: Path) -> None:
    unlabelled(bids)
    (bids / FLAIR.replace("00003", "00005")).unlink()
    cohort = load_cohort(bids, **OPTIONS, missing="drop")
    assert len(cohort) == 10 and not {"sub-00003", "sub-00005"} & set(cohort.subjects)
    assert bool(cohort.present.all())


def test_keeping_subjects_without_a_modality(bids: Path) -> None:
    unlink(bids)
    cohort = load_cohort(bids, **OPTIONS, missing="keep")
    assert cohort.present[3].tolist() == [True, False] and int(cohort.present.sum()) == 23
    assert float(cohort.modalities["FLAIR"][3].abs().max()) == 0.0


def test_a_problem_says_where_it_is() -> None:
    assert str(Problem("rule", "It is wrong.", "sub-1", "a.nii")) == "sub-1, a.nii: It is wrong."
    assert str(Problem("rule", "The a.nii of sub-1 is wrong.", "sub-1", "a.nii")) == "The a.nii of sub-1 is wrong."
