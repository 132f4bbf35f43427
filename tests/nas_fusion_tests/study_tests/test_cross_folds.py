"""Who is held out, who trains and who validates."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.cohorts import Cohort
from nas_fusion.study.cross_folds import CrossPlan, outer_folds
from tests.nas_fusion_tests.study_tests.cross_toys import hint_cohort


@settings(max_examples=20, deadline=None)
@given(
    st.integers(45, 90), st.integers(2, 6), st.integers(1, 3), st.sampled_from([0.1, 0.25]), st.integers(0, 9), st.booleans()
)
def test_each_subject_is_held_out_once_a_repeat_and_never_trains_or_validates_then(
    n: int, folds: int, repeats: int, validation: float, seed: int, groups: bool
) -> None:
    cohort = hint_cohort(n, groups=groups)
    found = outer_folds(cohort, CrossPlan(folds, repeats, validation, seed))
    assert [(outer.repeat, outer.number) for outer in found] == [(r, k) for r in range(repeats) for k in range(folds)]
    for outer in found:
        (fold,) = outer.splits.folds
        parts = (set(fold.train), set(fold.validation), set(outer.splits.test))
        assert set.union(*parts) == set(cohort.subjects) and sum(map(len, parts)) == n
        for part in parts:
            assert len({cohort.labels[i].item() for i in cohort.positions(sorted(part)).tolist()}) == 2
    for repeat in range(repeats):
        held_out = [subject for outer in found if outer.repeat == repeat for subject in outer.splits.test]
        assert sorted(held_out) == sorted(cohort.subjects)


def test_every_part_is_stratified_to_within_a_subject() -> None:
    cohort = hint_cohort(103)
    for outer in outer_folds(cohort, CrossPlan(folds=10, repeats=2)):
        for part in (*(outer.splits.folds[0].train, outer.splits.folds[0].validation), outer.splits.test):
            counts = Counter(cohort.labels[cohort.positions(part)].tolist())
            assert abs(counts[0] - counts[1]) <= 2
        assert len(outer.splits.folds[0].validation) == round(0.1 * (103 - len(outer.splits.test)))


def test_groups_are_whole_in_both_divisions() -> None:
    cohort = hint_cohort(90, groups=True)
    assert cohort.groups is not None
    group = dict(zip(cohort.subjects, cohort.groups, strict=True))
    for outer in outer_folds(cohort, CrossPlan(folds=4, repeats=2)):
        parts = (outer.splits.folds[0].train, outer.splits.folds[0].validation, outer.splits.test)
        named = [{group[subject] for subject in part} for part in parts]
        assert sum(map(len, named)) == len(set.union(*named)) == 30


def test_neither_order_nor_splits_of_the_cohort_matter_but_repeat_and_seed_do() -> None:
    cohort = hint_cohort(40)
    shuffled = cohort.subset(cohort.subjects[::-1])
    once = outer_folds(cohort, CrossPlan(folds=4, repeats=2))
    again = outer_folds(replace(shuffled, splits=None), CrossPlan(folds=4, repeats=2))
    assert [set(outer.splits.test) for outer in once] == [set(outer.splits.test) for outer in again]
    assert [outer.splits.folds for outer in once] == [outer.splits.folds for outer in again]
    other = outer_folds(cohort, CrossPlan(folds=4, repeats=2, seed=1))
    tests = [frozenset(outer.splits.test) for outer in (*once, *other)]
    assert len(set(tests)) == 16 and len({outer.seed for outer in (*once, *other)}) == 16


def test_more_repeats_leave_the_earlier_ones_as_they_are() -> None:
    cohort = hint_cohort(40)
    assert outer_folds(cohort, CrossPlan(4, 1)) == outer_folds(cohort, CrossPlan(4, 3))[:4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 1}, "`folds` must be a whole number of at least 2, but got 1"),
        ({"repeats": 0}, "`repeats` must be a whole number of at least 1, but got 0"),
        ({"validation": 0.6}, "`validation` must be a share above 0 and of at most 0.5, but got 0.6"),
        ({"validation": 0.0}, "`validation` must be a share above 0 and of at most 0.5, but got 0.0"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0"),
    ],
)
def test_numbers_out_of_range(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CrossPlan(**change)  # type: ignore[arg-type]


def few_of_a_class(n: int) -> Cohort:
    cohort = hint_cohort(40)
    return cohort.subset([subject for i, subject in enumerate(cohort.subjects) if i % 2 == 0 or i < 2 * n])


def test_too_few_subjects_of_a_class_for_as_many_folds() -> None:
    with pytest.raises(ValueError, match="a subject of each class for 10 folds, but a class has 4 subjects to divide"):
        outer_folds(few_of_a_class(4), CrossPlan(10))


def test_too_few_subjects_of_a_class_for_selecting_epochs() -> None:
    with pytest.raises(ValueError, match=r"`validation` must be a share .* but 0\.1 of the 18 that are not held out"):
        outer_folds(few_of_a_class(4), CrossPlan(4))
    assert len(outer_folds(few_of_a_class(4), CrossPlan(4, validation=0.34))) == 4
