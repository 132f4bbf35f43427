from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.drawing import SplitPlan
from nas_fusion.cohorts.watch import FILE, PACKAGE, SHA256, splits_by_person, watch
from nas_fusion.testing import CohortTestCase
from nas_fusion.testing.pytest_cohorts import CohortFactory
from tests.nas_fusion_tests.cohorts_tests.installed import needs

READ = needs(PACKAGE)
PEOPLE = [f"p{i}" for i in range(10) for _ in range(i + 1)]  # one to ten windows each
WINDOWS = [f"w{i:02d}" for i in range(len(PEOPLE))]


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return watch()


def people_of(cohort: Cohort, part: tuple[str, ...]) -> set[str]:
    groups = cohort.groups or ()
    return {groups[i] for i in cohort.positions(part).tolist()}


@pytest.mark.parametrize(("folds", "test", "sizes"), [(4, 0.2, [2, 2, 2, 2]), (5, 0.0, [2] * 5), (10, 0.0, [1] * 10)])
def test_folds_hold_equal_numbers_of_whole_people(folds: int, test: float, sizes: list[int]) -> None:
    splits = splits_by_person(WINDOWS, PEOPLE, plan=SplitPlan(folds, 0.25, test))
    whose = dict(zip(WINDOWS, PEOPLE, strict=True))
    assert [len({whose[w] for w in fold.validation}) for fold in splits.folds] == sizes
    held = sorted(window for fold in splits.folds for window in fold.validation)
    assert sorted([*held, *splits.test]) == WINDOWS  # everybody once
    for fold in splits.folds:
        parts = [{whose[w] for w in part} for part in (fold.train, fold.validation, splits.test)]
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


def test_people_who_are_named_are_the_test_part() -> None:
    splits = splits_by_person(WINDOWS, PEOPLE, plan=SplitPlan(1, 0.25, 0.0), held_out=["p9", "p0"])
    assert len(splits.test) == 11 and len(splits.folds) == 1
    validating = {person for window, person in zip(WINDOWS, PEOPLE, strict=True) if window in splits.folds[0].validation}
    assert len(validating) == 2


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="`folds` must be at most the number of people outside the test part, 8, but got 9"):
        splits_by_person(WINDOWS, PEOPLE, plan=SplitPlan(9, 0.25, 0.2))


@READ
def test_every_recording_of_everybody_is_there(cohort: Cohort) -> None:
    assert len(cohort) == 2369 and cohort.classes == ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
    assert torch.bincount(cohort.labels).tolist() == [254, 389, 396, 363, 366, 294, 307]
    assert {name: tuple(values.shape) for name, values in cohort.modalities.items()} == {
        "accelerometer": (2369, 3, 100),
        "gyroscope": (2369, 3, 100),
    }
    recordings = {subject.rpartition("_")[0] for subject in cohort.subjects}
    assert len(recordings) == 140 and Counter(name.split("_")[2] for name in recordings) == {"left": 70, "right": 70}
    assert Counter(cohort.groups)["person03"] == 157
    assert all(modality.kind == "image" and modality.spatial_dims == 1 for modality in cohort.inputs.modalities)


@READ
def test_windows_are_those_of_the_file(cohort: Cohort) -> None:
    (content,) = PACKAGE.read([FILE], SHA256)
    from io import BytesIO

    held: dict[str, Any] = np.load(BytesIO(content), allow_pickle=True).item()  # numpy's own reader as the reference
    raw = watch(scale="none")
    signals = {
        (int(p), int(y), float(s)): x for p, y, s, x in zip(held["subject"], held["y"], held["side"], held["X"], strict=True)
    }
    for position in (0, 777, 2368):
        person, exercise, side, number = raw.subjects[position].split("_")
        values = signals[int(person[-2:]), held["y_labels"].index(exercise), float(side == "right")]
        wanted = values[(int(number) - 1) * 100 : int(number) * 100].T.astype(np.float32)
        np.testing.assert_array_equal(raw.modalities["accelerometer"][position], wanted[:3])
        np.testing.assert_array_equal(raw.modalities["gyroscope"][position], wanted[3:])
        assert raw.classes[int(raw.labels[position])] == exercise
    assert raw.fingerprint != cohort.fingerprint


@READ
def test_channels_are_standardised_without_test_people(cohort: Cohort) -> None:
    assert cohort.splits is not None and len(people_of(cohort, cohort.splits.test)) == 2
    known = cohort.positions(cohort.splits.development)
    for values in cohort.modalities.values():
        assert values[known].mean(dim=(0, 2)).tolist() == pytest.approx([0] * 3, abs=1e-5)
        assert values[known].std(dim=(0, 2), unbiased=False).tolist() == pytest.approx([1] * 3, abs=1e-4)
        assert values.mean(dim=(0, 2)).abs().max() > 1e-3


@READ
def test_no_part_shares_a_person_with_another(cohort: Cohort) -> None:
    assert cohort.splits is not None and len(cohort.splits.folds) == 4
    test = people_of(cohort, cohort.splits.test)
    for fold in cohort.splits.folds:
        train, validation = people_of(cohort, fold.train), people_of(cohort, fold.validation)
        assert len(validation) == 2 and len(train) == 6 and not train & validation and not (train | validation) & test
    held = watch(test_people="3, 7")
    assert held.splits is not None and people_of(held, held.splits.test) == {"person03", "person07"}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"modalities": "magnetometer"},
            "`modalities` must be different ones of accelerometer, gyroscope, but got 'magnetometer'",
        ),
        ({"scale": "test"}, "`scale` must be one of development, none, but got 'test'"),
        ({"test_people": "1,11"}, "`test_people` must be different numbers from 1 to 10, but got '1,11'"),
        ({"test_people": [2, 2]}, r"`test_people` must be different numbers from 1 to 10, but got \[2, 2\]"),
        ({"test_people": ""}, "`test_people` must be different numbers from 1 to 10, but got ''"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        watch(**options)


made_once = cache(watch)


@READ
class TestWatch(CohortTestCase):
    others = ({"modalities": "gyroscope"}, {"scale": "none"}, {"test_people": "1,2"})

    @pytest.fixture
    def cohort(self) -> CohortFactory:
        return made_once  # reading takes a second
