from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nas_fusion.cohorts import CohortError, check_source, load_cohort, parts_table
from nas_fusion.cohorts.bids import Scan, find_scans, prefer, read_bids
from nas_fusion.cohorts.options import SourceOptions

from .conftest import write_scan, write_tsv

OPTIONS = SourceOptions(modalities=("T1w", "FLAIR"), label="group")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("sub-1/anat/sub-1_T1w.nii.gz", ("sub-1", None, "T1w", {})),
        ("sub-1/anat/sub-1_acq-iso08_T1w.nii", ("sub-1", None, "T1w", {"acq": "iso08"})),
        ("sub-1/anat/sub-1_acq-T2sel_FLAIR_roi.nii.gz", ("sub-1", None, "roi", {"acq": "T2sel"})),
        (
            "OAS30001_MR_d0129/anat2/sub-OAS30001_ses-d0129_run-01_T1w.nii.gz",
            ("sub-OAS30001", "d0129", "T1w", {"run": "01"}),
        ),
        ("sub-1/anat/sub-1_T1w.json", None),
        ("T1w.nii.gz", None),
        ("sub-/sub-_T1w.nii.gz", None),
    ],
)
def test_a_name_says_whose_scan_it_is(file: str, expected: tuple[object, ...] | None) -> None:
    scan = Scan.parse(file)
    assert (scan and (scan.participant, scan.session, scan.suffix, scan.entities)) == expected


def test_finds_what_is_there_by_the_last_token(bids: Path) -> None:
    for passed_over in ("derivatives/x", ".git/annex", "sourcedata", "code"):
        write_scan(bids / passed_over / "sub-00001_T1w.nii.gz")
    scans = find_scans(bids)
    assert len(scans) == 25
    assert [scan.file for scan in scans if scan.participant == "sub-00001"] == [
        "sub-00001/anat/sub-00001_acq-T2sel_FLAIR.nii.gz",
        "sub-00001/anat/sub-00001_acq-T2sel_FLAIR_roi.nii.gz",
        "sub-00001/anat/sub-00001_acq-iso08_T1w.nii.gz",
    ]


def test_preferences_decide_in_their_order() -> None:
    scans = [Scan(f"{a}{r}", "sub-1", None, "T1w", {"acq": a, "run": r}) for a in ("x", "y") for r in ("1", "2")]
    assert [scan.file for scan in prefer(scans, {"acq": ["z", "y"], "run": ["2", "1"]})] == ["y2"]
    assert [scan.file for scan in prefer(scans, {"acq": [], "run": ["1"]})] == ["x1", "y1"]


def test_the_table_joins_files_and_participants(bids: Path) -> None:
    manifest = read_bids(bids, OPTIONS)
    assert manifest.problems == ()
    first = manifest.table.iloc[0].to_dict()
    assert first == {
        "subject": "sub-00000",
        "participant": "sub-00000",
        "session": None,
        "label": "hc",
        "group": None,
        "split": "test",
        "fold": None,
        "T1w:T1w": "sub-00000/anat/sub-00000_acq-iso08_T1w.nii.gz",
        "FLAIR:FLAIR": "sub-00000/anat/sub-00000_acq-T2sel_FLAIR.nii.gz",
    }


def test_the_split_column_is_honoured_and_controls_come_first(bids: Path) -> None:
    cohort = load_cohort(bids, modalities="T1w,FLAIR", label="group")
    assert cohort.classes == ("hc", "fcd")
    assert cohort.splits is not None
    assert cohort.splits.test == ("sub-00000", "sub-00001", "sub-00002", "sub-00003")
    assert parts_table(cohort).to_dict("list") == {
        "part": ["all", "train", "validation", "test"],
        "subjects": [12, 6, 2, 4],
        "hc": [6, 3, 1, 2],
        "fcd": [6, 3, 1, 2],
    }


def test_spaces_in_column_names_and_absent_values(bids: Path) -> None:
    for spelling in ("mri _diagnosis", "mri_diagnosis"):
        manifest = read_bids(bids, SourceOptions(modalities=("T1w",), label=spelling))
        assert manifest.table["label"].tolist() == ["x", *[None] * 11]


def test_ids_without_the_prefix_are_the_same_ids(bids: Path) -> None:
    table = bids / "participants.tsv"
    table.write_text(table.read_text().replace("sub-", ""))
    assert read_bids(bids, OPTIONS).table["label"].notna().all()


def test_several_acquisitions_are_ambiguous_until_one_is_preferred(bids: Path) -> None:
    write_scan(bids / "sub-00002" / "anat" / "sub-00002_acq-tse3dvfl_FLAIR.nii.gz")
    options = {"modalities": "T1w,FLAIR", "label": "group"}
    with pytest.raises(
        CohortError,
        match=r"one FLAIR of sub-00002, but there are .*: prefer one by the option acq=T2sel,tse3dvfl\. \[ambiguous files\]",
    ):
        load_cohort(bids, **options)
    manifest = read_bids(bids, SourceOptions.of({**options, "acq": "tse3dvfl,T2sel"}))
    assert manifest.problems == ()
    assert manifest.table["FLAIR:FLAIR"][2] == "sub-00002/anat/sub-00002_acq-tse3dvfl_FLAIR.nii.gz"
    assert manifest.table["FLAIR:FLAIR"][3] == "sub-00003/anat/sub-00003_acq-T2sel_FLAIR.nii.gz"


def test_features_from_participants(bids: Path) -> None:
    rows = [line.split("\t") for line in (bids / "participants.tsv").read_text().splitlines()]
    write_tsv(bids / "participants.tsv", [[*rows[0], "age", "score_a"], *([*row, i, i % 3] for i, row in enumerate(rows[1:]))])
    cohort = load_cohort(bids, modalities="T1w,clinical=age+score_*", label="group", group="none")
    assert cohort.kinds == {"T1w": "image", "clinical": "vector"}
    assert cohort.modalities["clinical"].shape == (12, 2)
    assert cohort.groups is None


# --- OASIS-3 ---


def oasis(root: Path, *, native: bool) -> Path:
    """Eight participants with two visits each, of which one has two runs, in either of the layouts in the wild."""
    for i in range(8):
        name = f"OAS3{i:04d}"
        for day in ("d0129", "d0757"):
            stem = f"sub-{name}_ses-{day}"
            folder = root / f"{name}_MR_{day}" / "anat2" if native else root / f"sub-{name}" / f"ses-{day}" / "anat"
            for suffix in ("T1w", "T2w"):
                write_scan(folder / f"{stem}_{suffix}.nii.gz")
    second = next(root.rglob("sub-OAS30003_ses-d0129_T1w.nii.gz"))
    shutil.move(second, second.with_name("sub-OAS30003_ses-d0129_run-01_T1w.nii.gz"))
    write_scan(second.with_name("sub-OAS30003_ses-d0129_run-02_T1w.nii.gz"))
    return root


@pytest.mark.parametrize("native", [True, False])
def test_oasis_by_participant_and_session(tmp_path: Path, native: bool) -> None:
    root = oasis(tmp_path / "oasis", native=native)
    visits = [(f"OAS3{i:04d}", day, "01"[(i + (day > "d0129")) % 2]) for i in range(8) for day in ("d0129", "d0757")]
    write_tsv(root / "cdr.tsv", [("OASISID", "session", "cdr"), *visits])
    options = {"modalities": "T1w,T2w", "label": "cdr", "labels": "cdr.tsv"}
    with pytest.raises(CohortError, match=r"one T1w of sub-OAS30003_ses-d0129, .* by the option run=01,02"):
        load_cohort(root, **options)
    cohort = load_cohort(root, **options, run="01", folds=3, test=0)
    assert cohort.subjects[:2] == ("sub-OAS30000_ses-d0129", "sub-OAS30000_ses-d0757")
    assert cohort.labels.tolist()[:4] == [0, 1, 1, 0]
    assert cohort.groups is not None and cohort.groups[:3] == ("sub-OAS30000", "sub-OAS30000", "sub-OAS30001")
    assert cohort.splits is not None
    for fold in cohort.splits.folds:
        assert not {s.split("_")[0] for s in fold.train} & {s.split("_")[0] for s in fold.validation}


def test_oasis_by_participant_and_one_session(tmp_path: Path) -> None:
    root = oasis(tmp_path / "oasis", native=False)
    write_tsv(
        root / "participants.tsv", [("participant_id", "dx"), *((f"sub-OAS3{i:04d}", ["cn", "ad"][i % 2]) for i in range(8))]
    )
    cohort = load_cohort(root, modalities="T1w,T2w", label="dx", session="d0757")
    assert cohort.subjects == tuple(f"sub-OAS3{i:04d}_ses-d0757" for i in range(8))
    assert cohort.classes == ("cn", "ad") and cohort.groups is None
    assert load_cohort(root, modalities="T2w", label="dx").labels.tolist() == [0, 0, 1, 1] * 4


def test_a_visit_without_a_label_is_named(tmp_path: Path) -> None:
    root = oasis(tmp_path / "oasis", native=True)
    visits = [(f"OAS3{i:04d}", "d0129", "01"[i % 2]) for i in range(8)]
    write_tsv(root / "cdr.tsv", [("Subject", "session_id", "cdr"), *visits])
    problems = check_source(root, modalities="T2w", label="cdr", labels="cdr.tsv")
    assert [problem.subject for problem in problems] == [f"sub-OAS3{i:04d}_ses-d0757" for i in range(8)]
    assert "must be in cdr.tsv, but sub-OAS30000_ses-d0757 is not" in problems[0].message
    assert len(load_cohort(root, modalities="T2w", label="cdr", labels="cdr.tsv", missing="drop")) == 8


def test_a_number_of_sessions_in_participants_is_no_key(bids: Path) -> None:
    table = bids / "participants.tsv"
    first, *rest = table.read_text().splitlines()
    table.write_text("\n".join([f"{first}\tsession", *(f"{line}\t3" for line in rest)]) + "\n")
    manifest = read_bids(bids, OPTIONS)
    assert manifest.problems == () and manifest.table["session"].isna().all()


def test_labels_of_visits_from_sessions_files(tmp_path: Path) -> None:
    root = oasis(tmp_path / "oasis", native=False)
    write_tsv(root / "participants.tsv", [("participant_id", "sex"), *((f"sub-OAS3{i:04d}", "f") for i in range(8))])
    for i in range(8):
        rows = [("session_id", "dx"), ("ses-d0129", "cn"), ("ses-d0757", ["cn", "ad"][i % 2])]
        write_tsv(root / f"sub-OAS3{i:04d}" / f"sub-OAS3{i:04d}_sessions.tsv", rows)
    manifest = read_bids(root, SourceOptions(modalities=("T2w",), label="dx"))
    assert manifest.table["label"].tolist() == ["cn", "cn", "cn", "ad"] * 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, r"`modalities` must name what is fused, among FLAIR \(12 files\), T1w \(12 files\), roi \(1 files\)"),
        ({"modalities": "T1w"}, r"`label` must name a column of participants.tsv \(group, mri _diagnosis, split\)"),
        ({"modalities": "T1w", "label": "sex"}, "`label` must name a column .*, but got 'sex'"),
        ({"modalities": "T1w", "label": "group", "group": "site"}, "`group` must name a column .*, but got 'site'"),
        ({"modalities": "T1w,T2w", "label": "group"}, r"`modalities` must be among FLAIR .*, but got 'T2w'"),
        ({"modalities": "T1w", "label": "group", "session": "1"}, "`session` must name sessions that have scans, but got 1"),
        (
            {"modalities": "T1w", "label": "group", "labels": "no.tsv"},
            "no.tsv: The table must be readable, but it does not exist",
        ),
        ({"modalities": "T1w,x=y", "label": "group"}, r"must name columns of the table \(.*\), but 'x' has none: y"),
    ],
)
def test_wrong_options_say_what_there_is(bids: Path, options: dict[str, str], match: str) -> None:
    with pytest.raises(CohortError, match=match):
        load_cohort(bids, **options)


def test_a_folder_without_scans(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"must hold files named as in BIDS, such as .* \[no scans\]"):
        load_cohort(tmp_path, modalities="T1w", label="group")
