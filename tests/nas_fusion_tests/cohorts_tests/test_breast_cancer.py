from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from nas_fusion.cohorts.breast_cancer import breast_cancer
from nas_fusion.testing import CohortTestCase
from nas_fusion.testing.pytest_cohorts import CohortFactory


def test_three_views_with_malignant_as_the_positive_class() -> None:
    cohort = breast_cancer()
    assert {name: tuple(values.shape) for name, values in cohort.modalities.items()} == {
        name: (569, 10) for name in ("mean", "error", "worst")
    }
    assert cohort.classes == ("benign", "malignant") and torch.bincount(cohort.labels).tolist() == [357, 212]
    reference = load_breast_cancer()
    np.testing.assert_array_equal(cohort.labels, 1 - reference.target)
    radius = cohort.modalities["mean"][:, 0]
    assert float(radius[cohort.labels == 1].mean()) > float(radius[cohort.labels == 0].mean())  # malignant nuclei are larger
    for name, column in (("mean", "mean radius"), ("error", "radius error"), ("worst", "worst radius")):
        raw = reference.data[:, list(reference.feature_names).index(column)]
        assert np.corrcoef(cohort.modalities[name][:, 0], raw)[0, 1] == pytest.approx(1, abs=1e-6)


def test_features_are_standardised_without_test_subjects() -> None:
    cohort = breast_cancer(split_seed=3)
    assert cohort.splits is not None and len(cohort.splits.test) == 114
    known = cohort.positions(cohort.splits.development)
    for values in cohort.modalities.values():
        assert values[known].mean(dim=0).abs().max() < 1e-5 < values.mean(dim=0).abs().max()


def test_another_seed_draws_other_parts_and_so_has_another_fingerprint() -> None:
    first, second = breast_cancer(), breast_cancer(split_seed=1)
    assert first.fingerprint == breast_cancer().fingerprint != second.fingerprint
    assert first.splits is not None and second.splits is not None and set(first.splits.test) != set(second.splits.test)
    assert first.provenance["licence"] == "CC BY 4.0"


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(ValueError, match="`modalities` must be different ones of mean, error, worst, but got 'best'"):
        breast_cancer(modalities="best")


class TestBreastCancer(CohortTestCase):
    others = ({"modalities": "worst,mean"}, {"split_seed": 1}, {"test": 0.0})

    @pytest.fixture
    def cohort(self) -> CohortFactory:
        return breast_cancer
