from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.cohorts import Cohort, SplitPlan, Splits, draw_splits
from nas_fusion.cohorts.drawing import divide


@st.composite
def people(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Ids and labels of 2 to 4 classes with 12 to 30 subjects each."""
    counts = draw(st.lists(st.integers(12, 30), min_size=2, max_size=4))
    labels = draw(st.permutations([f"class{i}" for i, count in enumerate(counts) for _ in range(count)]))
    return [f"s{i}" for i in range(len(labels))], list(labels)


def check_partition(splits: Splits, subjects: list[str], folds: int) -> None:
    """Every subject is in the test part or in each fold, once; with k folds each validates once."""
    assert len(splits.folds) == folds
    for fold in splits.folds:
        assert sorted([*fold.train, *fold.validation, *splits.test]) == sorted(subjects)
    if folds > 1:
        validated = [subject for fold in splits.folds for subject in fold.validation]
        assert sorted([*validated, *splits.test]) == sorted(subjects)


@settings(deadline=None, max_examples=60)
@given(people(), st.integers(1, 5), st.sampled_from([0.0, 0.2, 0.35]), st.integers(0, 99))
def test_disjoint_complete_and_stratified_within_one(
    who: tuple[list[str], list[str]], folds: int, test: float, seed: int
) -> None:
    subjects, labels = who
    splits = divide(subjects, labels, None, plan=SplitPlan(folds, 0.25, test, seed))
    check_partition(splits, subjects, folds)
    label_of = dict(zip(subjects, labels, strict=True))
    n_test = len(splits.test)
    development = Counter(label_of[subject] for subject in splits.development)
    for label, count in Counter(labels).items():
        assert abs(sum(label_of[s] == label for s in splits.test) - n_test * count / len(labels)) <= 1
        for fold in splits.folds:
            share = len(fold.validation) / (len(subjects) - n_test)
            assert abs(sum(label_of[s] == label for s in fold.validation) - share * development[label]) <= 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 4), min_size=20, max_size=40), st.integers(1, 4), st.integers(0, 99))
def test_groups_are_never_torn(sizes: list[int], folds: int, seed: int) -> None:
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    subjects = [f"s{i}" for i in range(len(groups))]
    labels = ["ab"[int(group[1:]) % 2] for group in groups]
    splits = divide(subjects, labels, groups, plan=SplitPlan(folds, 0.25, 0.2, seed))
    check_partition(splits, subjects, folds)
    group_of = dict(zip(subjects, groups, strict=True))
    for fold in splits.folds:
        parts = [{group_of[subject] for subject in part} for part in (fold.train, fold.validation, splits.test)]
        assert sum(map(len, parts)) == len(set.union(*parts))


def cohort(n: int = 40, groups: tuple[str, ...] | None = None) -> Cohort:
    return Cohort(
        name="tiny",
        subjects=tuple(f"s{i:02d}" for i in range(n)),
        modalities={"x": torch.zeros(n, 2)},
        kinds={"x": "vector"},
        labels=torch.arange(n) % 2,
        classes=("a", "b"),
        fingerprint="0",
        present=torch.ones(n, 1, dtype=torch.bool),
        groups=groups,
    )


def test_same_seed_same_splits_whatever_the_order_of_subjects() -> None:
    first = draw_splits(cohort(), folds=3, seed=1).splits
    shuffled = cohort().subset([f"s{i:02d}" for i in reversed(range(40))])
    assert draw_splits(shuffled, folds=3, seed=1).splits == first
    assert draw_splits(cohort(), folds=3, seed=2).splits != first


def test_sizes_are_those_asked_for() -> None:
    splits = draw_splits(cohort(), validation=0.25, test=0.2).splits
    assert splits is not None
    assert (len(splits.test), len(splits.folds[0].validation), len(splits.folds[0].train)) == (8, 8, 24)
    without = draw_splits(cohort(), test=0).splits
    assert without is not None
    assert without.test == () and len(without.development) == 40


def test_a_grouped_share_is_taken_in_whole_groups() -> None:
    splits = draw_splits(cohort(groups=tuple(f"g{i // 2}" for i in range(40))), test=0.3, validation=0.5).splits
    assert splits is not None
    assert (len(splits.test), len(splits.folds[0].train), len(splits.folds[0].validation)) == (12, 14, 14)


def test_a_group_each_is_no_group() -> None:
    alone = cohort(groups=tuple(f"g{i}" for i in range(40)))
    assert draw_splits(alone, folds=3).splits == draw_splits(cohort(), folds=3).splits


def test_few_groups_are_shared_as_well_as_they_can() -> None:
    few = cohort(8, groups=tuple(f"g{i // 2}" for i in range(8)))
    splits = draw_splits(few, test=0, validation=0.2).splits
    assert splits is not None
    assert (len(splits.folds[0].train), len(splits.folds[0].validation)) == (6, 2)


def test_a_test_part_that_is_there_stays() -> None:
    single = draw_splits(cohort(), seed=3)
    folded = draw_splits(single, folds=4, seed=9)
    assert single.splits is not None and folded.splits is not None
    assert folded.splits.test == single.splits.test
    assert len(folded.splits.folds) == 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"folds": 0}, "`folds` must be a whole number of at least 1, but got 0"),
        ({"folds": 2.0}, "`folds` must be a whole number"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0, but got -1"),
        ({"validation": 0}, "`validation` must be a share above 0 and below 1, but got 0"),
        ({"test": 1.0}, "`test` must be a share at least 0 and below 1, but got 1.0"),
        ({"test": "half"}, "`test` must be a share"),
        ({"folds": 17}, "subject of each class for 17 folds, but a class has 16 subjects"),
    ],
)
def test_refuses_impossible_plans(options: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        draw_splits(cohort(), **options)  # type: ignore[arg-type]


def test_groups_that_hold_one_class_each_are_refused() -> None:
    torn = cohort(groups=tuple("ab"[i % 2] for i in range(40)))
    with pytest.raises(ValueError, match=r"would hold none of '[ab]': groups must not be torn apart"):
        draw_splits(torn, test=0)
    with pytest.raises(ValueError, match="must name at least 3 groups for 3 folds, but got 2"):
        draw_splits(torn, folds=3, test=0)


def test_a_class_that_only_the_test_part_has_is_refused() -> None:
    held = draw_splits(cohort()).splits
    assert held is not None
    of_b = tuple(f"s{i:02d}" for i in range(1, 40, 2))
    only_a = replace(
        cohort(), splits=replace(held, folds=(replace(held.folds[0], train=("s00",), validation=("s02",)),), test=of_b)
    )
    with pytest.raises(ValueError, match="would hold none of 'b': a class has too few subjects"):
        draw_splits(only_a)
