"""The suite of every cohort, and what is this cohort's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from wine_cohort import wine

from nas_fusion.cohorts import Cohort
from nas_fusion.testing import CohortTestCase


class TestWine(CohortTestCase):
    others = ({"spread": 0.5},)

    @pytest.fixture
    def cohort(self) -> Callable[..., Cohort]:
        return wine


def test_who_is_in_it() -> None:
    cohort = wine()
    assert {modality.name: modality.shape for modality in cohort.inputs.modalities} == {"composition": (6,), "colour": (7,)}
    assert cohort.labels.bincount().tolist() == [59, 71, 48]
    assert all(float(values.abs().max()) < 10 for values in cohort.modalities.values())


def test_an_option_out_of_its_range() -> None:
    with pytest.raises(ValueError, match="`spread` must be above 0, but got 0"):
        wine(spread=0)
