from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.digits_six_views import PACKAGE, digits_six_views, twins
from nas_fusion.testing import CohortTestCase
from nas_fusion.testing.pytest_cohorts import CohortFactory
from tests.nas_fusion_tests.cohorts_tests.installed import needs

READ = needs(PACKAGE)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return digits_six_views()


def test_twins_share_a_group() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    assert twins(values, ("a", "b", "c")) == ("a", "b", "a")


@READ
def test_six_views_of_two_thousand_digits(cohort: Cohort) -> None:
    sizes = {name: tuple(values.shape) for name, values in cohort.modalities.items()}
    features = {"fac": 216, "fou": 76, "kar": 64, "mor": 6, "pix": 240, "zer": 47}
    assert sizes == {name: (2000, n) for name, n in features.items()}
    assert torch.bincount(cohort.labels).tolist() == [200] * 10  # the header is no subject
    assert all(kind == "vector" for kind in cohort.kinds.values())


@READ
def test_no_view_holds_the_digit_itself(cohort: Cohort) -> None:
    digit = cohort.labels.double().numpy()
    for values in cohort.modalities.values():
        columns = values.double().numpy()
        assert max(abs(np.corrcoef(column, digit)[0, 1]) for column in columns.T) < 0.9


@READ
def test_twins_are_never_torn_apart(cohort: Cohort) -> None:
    assert cohort.groups is not None and sorted(Counter(cohort.groups).values(), reverse=True)[:7] == [2] * 6 + [1]
    assert cohort.splits is not None
    part = dict.fromkeys(cohort.splits.folds[0].train, "train") | dict.fromkeys(cohort.splits.test, "test")
    for group, count in Counter(cohort.groups).items():
        if count > 1:
            members = [s for s, g in zip(cohort.subjects, cohort.groups, strict=True) if g == group]
            assert len({part.get(member, "validation") for member in members}) == 1
            assert len({int(cohort.labels[i]) for i in cohort.positions(members)}) == 1


@READ
def test_features_are_standardised_without_test_subjects(cohort: Cohort) -> None:
    assert cohort.splits is not None
    known = cohort.positions(cohort.splits.development)
    for values in cohort.modalities.values():
        assert values[known].mean(dim=0).abs().max() < 1e-4
        assert (values[known].std(dim=0, unbiased=False) - 1).abs().max() < 1e-3


@READ
def test_some_views_in_another_order_with_folds() -> None:
    cohort = digits_six_views(modalities="zer,mor", folds=5, test=0.0)
    assert list(cohort.modalities) == ["zer", "mor"] and cohort.splits is not None
    assert len(cohort.splits.folds) == 5 and cohort.splits.test == ()


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(ValueError, match="`modalities` must be different ones of fac, fou, kar, mor, pix, zer, but got 'fax'"):
        digits_six_views(modalities="fax")


made_once = cache(digits_six_views)


@READ
class TestDigits(CohortTestCase):
    others = ({"modalities": "zer,mor"}, {"split_seed": 1})

    @pytest.fixture
    def cohort(self) -> CohortFactory:
        return made_once  # reading takes a second
