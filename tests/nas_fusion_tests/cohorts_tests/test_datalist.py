from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from monai.data import load_decathlon_datalist

from nas_fusion.cohorts import CohortError, load_cohort
from nas_fusion.cohorts.datalist import read_datalist
from nas_fusion.cohorts.options import SourceOptions

Write = Callable[..., Path]


def test_lists_labels_and_folds(datalist: Write) -> None:
    cohort = load_cohort(datalist())
    assert list(cohort.modalities) == ["T1w", "FLAIR"]
    assert cohort.subjects[0] == "images/s0_T1w" and cohort.classes == ("0", "1")
    assert cohort.labels.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0, 1]
    assert cohort.splits is not None
    assert [fold.validation for fold in cohort.splits.folds] == [
        tuple(f"images/s{i}_T1w" for i in range(k, 8, 2)) for k in (0, 1)
    ]
    assert cohort.splits.test == ("images/s8_T1w", "images/s10_T1w")


def test_paths_are_those_of_monai(datalist: Write) -> None:
    path = datalist()
    manifest = read_datalist(path, SourceOptions())
    expected = [item["FLAIR"] for part in ("training", "test") for item in load_decathlon_datalist(path, False, part)]
    assert [str(manifest.path(row, "FLAIR")) for row in range(10)] == expected


def test_ids_are_given_or_those_of_bids(datalist: Write) -> None:
    def name(content: dict[str, Any]) -> None:
        content["training"][0]["id"] = 17
        content["training"][1]["T1w"] = "sub-07/ses-2/sub-07_ses-2_acq-x_T1w.nii.gz"

    found = read_datalist(datalist(name), SourceOptions()).table["subject"]
    assert found[0] == "17" and found[1] == "sub-07_ses-2"


def test_a_validation_list_validates(datalist: Write) -> None:
    def move(content: dict[str, Any]) -> None:
        content["validation"] = [content["training"].pop() for _ in range(4)]
        for item in (*content["training"], *content["validation"]):
            del item["fold"]

    splits = load_cohort(datalist(move)).splits
    assert splits is not None
    assert len(splits.folds) == 1 and set(splits.folds[0].validation) == {f"images/s{i}_T1w" for i in range(4, 8)}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", r"datalist.json: The datalist must be readable, but .* \[unreadable table\]"),
        ("[]", 'it has no list "training" of subjects'),
        ('{"training": []}', 'it has no list "training" of subjects'),
        ('{"training": ["a.nii.gz"]}', 'item 0 of "training" is not an object'),
        ('{"training": [{"image": ["a.nii.gz", "b.nii.gz"]}]}', "'image' of item 0 of \"training\" is not one file"),
        ('{"training": [{"image": "a.nii.gz"}]}', r"`label` must name a column of the table \(subject, image, split\)"),
    ],
)
def test_other_forms_are_one_clear_sentence(tmp_path: Path, content: str, match: str) -> None:
    path = tmp_path / "datalist.json"
    path.write_text(content)
    with pytest.raises(CohortError, match=match):
        load_cohort(path)
