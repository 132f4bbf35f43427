"""Every rule that connectomes can break, in class folders that break it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from nas_fusion.cohorts import CohortError, check_source, load_cohort
from nas_fusion.cohorts.connectome_checks import asymmetry, check_matrix, check_series, is_symmetric

from .connectomes import Matrix, people, write_folders, write_hdf5, write_table

PEOPLE = people()
SC, FC = "HC/p02/DTI_connectivity_count.mat", "HC/p02/RegionSeries.mat"
P = PEOPLE[2]
Change = Callable[[Path], object]


def counts(change: Callable[[Matrix], object], file: str = SC) -> Change:
    """Return what rewrites a matrix after a change in place."""

    def apply(root: Path) -> None:
        values = P.counts.astype(float)
        change(values)
        savemat(root / file, {"connectivity": values})

    return apply


def series(change: Callable[[Matrix], object]) -> Change:
    def apply(root: Path) -> None:
        values = P.series.copy()
        changed = change(values)
        savemat(root / FC, {"RegionSeries": values if changed is None else changed})

    return apply


def put(*index: Any) -> Callable[[Matrix], object]:
    """Return what sets entries: positions and the value last."""

    def change(values: Matrix) -> None:
        for position in index[:-1]:
            values[position] = index[-1]

    return change


def remove(file: str) -> Change:
    return lambda root: (root / file).unlink()


def dangle(root: Path) -> None:
    (root / FC).unlink()
    (root / FC).symlink_to("/nowhere/at/all.mat")


def annex(root: Path) -> None:
    (root / FC).unlink()
    (root / FC).symlink_to("../../.git/annex/objects/Xx/Yy/SHA256E-s1--0.mat/SHA256E-s1--0.mat")


def pointer(root: Path) -> None:
    (root / FC).write_text("version https://git-lfs.github.com/spec/v1\n")


def same_file(root: Path) -> None:
    (root / FC).unlink()
    (root / FC).symlink_to(root / "HC" / "p04" / "RegionSeries.mat")


def copied(root: Path) -> None:
    (root / FC).write_bytes((root / "HC" / "p04" / "RegionSeries.mat").read_bytes())


def twice(root: Path) -> None:
    np.save(root / "HC" / "p02" / "RegionSeries.npy", P.series)


def both_classes(root: Path) -> None:
    write_folders(root, [people(1, seed=9)[0].__class__("p02", "MDD", P.counts + 1 - np.eye(12), P.series + 1)])


def keys(root: Path) -> None:
    savemat(root / SC, {"a": P.counts, "b": P.counts})


def transposed_cut(values: Matrix) -> Matrix:
    return values[:, :11]


RULES: dict[str, tuple[Change, str, str]] = {
    "asymmetry": (
        counts(put((0, 1), 99)),
        "asymmetry",
        "The SC of p02 must be symmetric, but {SC} differs from its transpose by up to",
    ),
    "one NaN": (
        counts(put((0, 1), np.nan)),
        "NaN",
        "be finite numbers, but {SC} has NaN or infinite values in 0.69% of its entries",
    ),
    "infinite": (counts(put((0, 1), (1, 0), np.inf)), "NaN", "in 1.39% of its entries"),
    "zero row": (
        counts(put(4, (slice(None), 4), 0)),
        "all-zero row",
        "must connect every region, but {SC} has only zeros in the row of region 5",
    ),
    "negative": (
        counts(put((0, 1), (1, 0), -3)),
        "negative weight",
        "must have no negative weights, but {SC} has 2, down to -3",
    ),
    "region count": (
        lambda root: savemat(root / SC, {"connectivity": P.counts[:11, :11]}),
        "wrong region count",
        "The SC of p02 must be 12 x 12 as of most subjects, but {SC} is 11 x 11",
    ),
    "no matrix": (
        lambda root: savemat(root / SC, {"connectivity": P.counts[:11]}),
        "wrong region count",
        "must be 12 x 12 as of most subjects, but {SC} is 11 x 12",
    ),
    "series region count": (
        series(transposed_cut),
        "wrong region count",
        "must have 12 regions as other modalities have, but {FC} is 42 x 11",
    ),
    "square series": (
        series(lambda v: v[:12]),
        "ambiguous orientation",
        "which axis is the regions, but {FC} is 12 x 12: state it by",
    ),
    "constant": (
        series(put((slice(None), 3), 5.0)),
        "constant series",
        "must vary in every region, but {FC} is constant in region 4",
    ),
    "series NaN": (series(put((0, 3), np.nan)), "NaN", "The FC of p02 must be finite numbers, but {FC} has NaN"),
    "short": (series(lambda v: v[:25]), "short series", "must have at least 30 time points, but {FC} has 25"),
    "no FC": (remove(FC), "one modality only", "p02 must have SC and FC, but has SC only: FC is nowhere"),
    "no SC": (remove(SC), "one modality only", "p02 must have SC and FC, but has FC only: SC is nowhere"),
    "dangling": (dangle, "file not fetched", "The FC of p02 must be a connectome, but {FC} is a link that leads nowhere"),
    "annex": (annex, "file not fetched", "{FC} is a link of git-annex to content that is not here"),
    "pointer": (pointer, "file not fetched", "{FC} is a pointer of git-annex or git-lfs"),
    "empty": (lambda root: (root / FC).write_bytes(b""), "corrupt file", "{FC} is empty"),
    "unreadable": (
        lambda root: (root / FC).write_text("nonsense " * 99),
        "corrupt file",
        "a matrix or time series, but {FC} cannot be read",
    ),
    "keys": (keys, "missing key", r"{SC} has several arrays (a, b): name one by the option key=NAME"),
    "same file": (
        same_file,
        "shared file",
        "A file must belong to one subject, but HC/p04/RegionSeries.mat belongs to p02 and p04",
    ),
    "copy": (copied, "identical connectomes", "but HC/p04/RegionSeries.mat of p04 has the same content as one of p02"),
    "two files": (
        twice,
        "ambiguous files",
        "There must be one FC of p02, but there are {FC}, HC/p02/RegionSeries.npy: name one by",
    ),
    "two classes": (both_classes, "duplicate subject", "Every subject must have one row, but p02 has rows 2, 8"),
}


@pytest.mark.parametrize(("change", "rule", "message"), RULES.values(), ids=RULES)
def test_a_broken_rule_is_one_sentence(tmp_path: Path, change: Change, rule: str, message: str) -> None:
    root = write_folders(tmp_path / "people", PEOPLE)
    change(root)
    with pytest.raises(CohortError, match=re.escape(message.format(SC=SC, FC=FC))) as error:
        load_cohort(root)
    assert [problem.rule for problem in error.value.problems] == [rule]
    assert check_source(root) == list(error.value.problems)
    assert str(error.value.problems[0]).endswith(".")


def correlations(change: Callable[[Matrix], Matrix]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        rows = []
        for i, person in enumerate(PEOPLE):
            np.save(folder / f"{i}_SC.npy", person.counts)
            np.save(folder / f"{i}_FC.npy", change(person.correlation) if i == 2 else person.correlation)
            rows.append({"subject": person.subject, "label": person.label, "SC": f"{i}_SC.npy", "FC": f"{i}_FC.npy"})
        return write_table(folder / "cohort.csv", rows)

    return write


@pytest.mark.parametrize(
    ("change", "rule", "match"),
    [
        (
            lambda m: np.arctanh(m * (1 - np.eye(12)) * 0.9 + 0.1 * (1 - np.eye(12))) * 3,
            "correlation out of range",
            r"be in \[-1, 1\], but 2_FC.npy has values up to",
        ),
        (
            lambda m: m.astype(np.int16),
            "integer values",
            "must be correlations, but 2_FC.npy has only whole numbers",
        ),
        (lambda m: np.sign(m), "integer values", "has only whole numbers beside the diagonal, as after a cast to integers"),
        (lambda m: m + np.tri(12) * 0.01, "asymmetry", "differs from its transpose by up to"),
        (
            lambda m: m * (np.arange(12) != 3) * (np.arange(12) != 3)[:, None],
            "all-zero row",
            "has only zeros in the row of region 4",
        ),
    ],
    ids=["fisher", "cast", "signs", "asymmetric", "zero row"],
)
def test_correlations_must_be_correlations(tmp_path: Path, change: Callable[[Matrix], Matrix], rule: str, match: str) -> None:
    table = correlations(change)(tmp_path)
    with pytest.raises(CohortError, match=match) as error:
        load_cohort(table)
    assert rule in {problem.rule for problem in error.value.problems}
    assert {problem.subject for problem in error.value.problems} == {"p02"}
    assert {problem.file for problem in error.value.problems} == {"2_FC.npy"}


def test_all_problems_at_once(tmp_path: Path) -> None:
    root = write_folders(tmp_path, PEOPLE)
    for key in ("asymmetry", "constant"):
        RULES[key][0](root)
    remove("MDD/p01/RegionSeries.mat")(root)
    (root / "MDD" / "p03" / "RegionSeries.mat").write_bytes(b"")
    savemat(root / "MDD/p05/DTI_connectivity_count.mat", {"connectivity": -np.ones((12, 12)) * np.arange(12)})
    with pytest.raises(CohortError, match="has 6 problems:") as error:
        load_cohort(root)
    assert sorted((problem.subject, problem.rule) for problem in error.value.problems) == [
        ("p01", "one modality only"),
        ("p02", "asymmetry"),
        ("p02", "constant series"),
        ("p03", "corrupt file"),
        ("p05", "asymmetry"),
        ("p05", "negative weight"),
    ]


def test_incomplete_subjects_may_be_dropped(tmp_path: Path) -> None:
    root = write_folders(tmp_path, PEOPLE)
    remove(FC)(root)
    remove("MDD/p01/DTI_connectivity_count.mat")(root)
    cohort = load_cohort(root, missing="drop")
    assert len(cohort) == 10 and not {"p01", "p02"} & set(cohort.subjects)
    with pytest.raises(ValueError, match=r"`missing` must be error or drop for connectomes, .*, but got 'keep'"):
        load_cohort(root, missing="keep")


@pytest.mark.parametrize("key", ["zero row", "negative", "short", "copy"])
def test_rules_may_be_lifted_by_name(tmp_path: Path, key: str) -> None:
    root = write_folders(tmp_path, PEOPLE)
    RULES[key][0](root)
    cohort = load_cohort(root, accept=RULES[key][1])
    options: Any = cohort.provenance["options"]
    assert len(cohort) == 12 and options["accept"] == [RULES[key][1]]


def test_directed_weights_may_be_averaged(tmp_path: Path) -> None:
    root = write_folders(tmp_path, PEOPLE)
    RULES["asymmetry"][0](root)
    cohort = load_cohort(root, symmetrise=True)
    expected = P.counts.astype(float)
    expected[0, 1] = expected[1, 0] = (99 + expected[1, 0]) / 2
    assert np.array_equal(cohort.modalities["SC"][cohort.subjects.index("p02")].numpy(), expected)


def test_options_without_effect_are_problems(tmp_path: Path) -> None:
    table = correlations(lambda m: m)(tmp_path)
    with pytest.raises(CohortError, match="`fc` must go with time series, but FC and SC are matrices"):
        load_cohort(table, fc="partial")
    with pytest.raises(CohortError, match="`fc` must go with time series, but SC are matrices"):
        load_cohort(write_folders(tmp_path / "folders", PEOPLE), fc="SC=partial")
    with pytest.raises(CohortError, match="`series` must go with time series, but FC and SC are matrices"):
        load_cohort(table, series="TxN")


def test_regions_are_named_where_they_are_known() -> None:
    names = ["L.Hip", "R.Hip", "L.Amy", "R.Amy"]
    faults = {fault.rule: fault.but for fault in check_matrix("SC", np.zeros((4, 4)), names=names)}
    assert faults == {
        "all-zero row": "has only zeros in the row of region 1 (L.Hip), region 2 (R.Hip), region 3 (L.Amy) and 1 others"
    }
    assert "region 2 (R.Hip)" in next(check_series(np.eye(40)[:, :4] * [1, 0, 1, 1], names=names)).but


def test_rules_depend_on_the_modality() -> None:
    large = np.array([[0, 2.0, -3], [2, 0, 1], [-3, 1, 0]])
    assert {fault.rule for fault in check_matrix("SC", large)} == {"negative weight"}
    assert {fault.rule for fault in check_matrix("FC_partial", large)} == {"integer values", "correlation out of range"}
    assert not list(check_matrix("morphometry", large))


def test_rounding_is_no_asymmetry() -> None:
    matrix = PEOPLE[0].correlation
    rounded = matrix + np.random.default_rng(0).normal(size=matrix.shape) * 1e-8
    assert is_symmetric(rounded) and not is_symmetric(matrix + np.tri(12) * 1e-3)
    assert asymmetry(np.array([[0, 1.0], [0.5, 0]])) == 0.5
    assert asymmetry(np.array([[0, np.nan, 2], [0.5, 0, 1], [1, 1, 0]])) == 0.5
    assert not any(fault.rule == "correlation out of range" for fault in check_matrix("FC", np.ones((3, 3)) * (1 + 1e-6)))


def test_a_missing_library_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folders(tmp_path, PEOPLE)
    for person in (PEOPLE[2], PEOPLE[4]):
        write_hdf5(root / "HC" / person.subject / "RegionSeries.mat", RegionSeries=person.series)
    assert len(load_cohort(root, cache="none")) == 12
    monkeypatch.setitem(sys.modules, "h5py", None)
    problems = check_source(root)
    assert [(problem.rule, problem.subject) for problem in problems] == [("missing library", "p02")]
