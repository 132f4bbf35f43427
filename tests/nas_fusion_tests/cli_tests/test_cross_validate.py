"""`nas-fusion cross-validate` from end to end, resumed by more processes, and what it refuses."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from tests.nas_fusion_tests.cli_tests.conftest import ONE, Run

SIZE = ("--folds", "3", "--arm", "p0=on", "--reference", "late_fusion")


def test_from_end_to_end_and_again_by_two_processes(run: Run) -> None:
    first = run("cross-validate", "tiny", *ONE, *SIZE, "--json")
    assert first.code == 0, first.err
    assert first.err.startswith("1 × 3 folds: at most 9 evaluations\n") and first.err.count("validation loss") == 9
    found = first.json
    assert [arm["name"] for arm in found["arms"]] == ["A_0", "late_fusion", "p0=on"] and found["against"] == "A_0"
    table = pd.read_csv(found["table"])
    means = table.query("metric == 'loss'").groupby("arm")["value"].mean()
    assert found["table"].endswith("tiny-cross-validation/cross-validation.csv") and len(table) == 9 * 8
    for arm in found["arms"]:
        assert arm["scores"]["loss"]["mean"] == pytest.approx(means[arm["name"]]) and arm["scores"]["loss"]["folds"] == 3
    p0 = found["arms"][2]["scores"]["loss"]
    assert p0["difference"] == pytest.approx(means["p0=on"] - means["A_0"]) and p0["low"] < p0["difference"] < p0["high"]
    assert [finding["signature"] for finding in found["findings"]][-1] == "chosen_before"
    assert all(finding["sentence"] in first.out for finding in found["findings"])
    command = "nas-fusion cross-validate tiny --arm p0=on --reference late_fusion --folds 3 --workers 1"
    with open(found["report"], encoding="utf-8") as page:
        assert f"<pre>{command}</pre>" in page.read()
    more = run("cross-validate", "tiny", "--workers", "2", *SIZE, "--repeats", "2", "--json")
    assert more.code == 0, more.err
    assert more.err.count("(known already)") == 9 and more.err.count("validation loss") == 18
    repeated = pd.read_csv(json.loads(more.out.splitlines()[-1])["table"])
    pd.testing.assert_frame_equal(repeated.query("repeat == 1").reset_index(drop=True), table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--arm p9=on", r"`arm` must name parameters of the space \(p0, p1, p2\), but got 'p9'"),
        ("--arm p0", "`arm` must have the form PARAMETER=CHOICE"),
        ("--arm p0=on --arm p0=on", "`arms` must be different, but 'p0=on' is there 2 times"),
        ("--reference late", "`reference` must be one of alone:x, alone:y, late_fusion, all_active"),
        ("--ablations", "`ablations` must be asked of a space that has some, but 'tiny' has none"),
        ("--against nobody", "`against` must be one of the arms A_0, alone:x, .*, but got 'nobody'"),
        ("--folds 1", "`--folds` must be at least 2, but got 1"),
        ("--folds 99", "a subject of each class for 99 folds, but a class has"),
        ("--repeats 0", "`--repeats` must be at least 1, but got 0"),
        ("--validation 1.5", "`validation` must be a share above 0 and of at most 0.5, but got 1.5"),
        ("--cohort-set tarin=3", "`tarin` must be an option of the cohort"),
        ("--name=", "`--name` must not be empty"),
    ],
)
def test_wrong_use(run: Run, options: str, message: str) -> None:
    outcome = run("cross-validate", "tiny", *ONE, *options.split())
    assert outcome.code == 2 and outcome.err.count("\n") == 1
    assert re.search(message, outcome.err), outcome.err


def test_development_only_leaves_the_test_subjects_out(run: Run) -> None:
    outcome = run("cross-validate", "tiny", *ONE, "--folds", "2", "--reference", "alone:x", "--development-only", "--json")
    assert outcome.json["cohort"]["subjects"] == 96
