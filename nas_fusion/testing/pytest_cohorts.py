"""Conformance suite for cohorts that plug in: functions from options to a `Cohort`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest
import torch

from nas_fusion.cohorts import Cohort, Splits, draw_splits
from nas_fusion.evaluation.folds import check_folds

CohortFactory = Callable[..., Cohort]


class CohortTestCase:
    """What every cohort must fulfil before a search can rest on it.

    Attributes:
        options: Options of the cohort that is looked at, such as few subjects: each test makes it.
        others: Options to change one after the other, each of which must give another fingerprint.
    """

    options: ClassVar[Mapping[str, Any]] = {}
    others: ClassVar[Sequence[Mapping[str, Any]]] = ()

    @pytest.fixture
    def cohort(self) -> CohortFactory:
        """Return the function under test, from options to a cohort: override this fixture."""
        raise NotImplementedError

    def made(self, cohort: CohortFactory, **changes: Any) -> Cohort:
        """Return the cohort with some options changed; splits are drawn if it brings none, as `load_cohort` does."""
        found = cohort(**{**self.options, **changes})
        return draw_splits(found) if found.splits is None else found

    def test_values_are_finite_floats(self, cohort: CohortFactory) -> None:
        for name, values in self.made(cohort).modalities.items():
            assert values.dtype == torch.float32, f"{name} is {values.dtype}"
            assert bool(values.isfinite().all()), f"{name} has values that are not finite, where absent too"

    def test_every_modality_is_described(self, cohort: CohortFactory) -> None:
        made = self.made(cohort)
        axes = {"vector": (1, 1), "matrix": (2, 2), "covariance": (2, 2), "image": (2, 4)}
        for modality in made.inputs.modalities:
            low, high = axes[modality.kind]
            assert low <= len(modality.shape) <= high and min(modality.shape) > 0, f"{modality.name} is no {modality.kind}"
            assert modality.kind in ("vector", "image") or modality.shape[0] == modality.shape[1], modality.name
        assert made.present.dtype == torch.bool and bool(made.present.any(0).all()), "nobody has one of the modalities"

    def test_modalities_tell_subjects_apart(self, cohort: CohortFactory) -> None:
        made = self.made(cohort)
        for position, (name, values) in enumerate(made.modalities.items()):
            seen = values[made.present[:, position]]
            assert bool((seen != seen[:1]).any()), f"{name} is the same for everybody"

    def test_covariances_are_positive_definite(self, cohort: CohortFactory) -> None:
        made = self.made(cohort)
        for position, (name, values) in enumerate(made.modalities.items()):
            if made.kinds[name] == "covariance":
                seen = values[made.present[:, position]].double()
                torch.testing.assert_close(seen, seen.mT, rtol=0, atol=1e-5)
                assert float(torch.linalg.eigvalsh(seen).min()) > 0, name

    def test_labels_are_classes_in_every_part(self, cohort: CohortFactory) -> None:
        made = self.made(cohort)
        assert made.labels.dtype == torch.int64 and len(set(made.classes)) == len(made.classes) > 1
        for fold in _splits(made).folds:
            for part in (fold.train, fold.validation):
                assert set(made.labels[made.positions(part)].tolist()) == set(range(len(made.classes)))

    def test_splits_divide_the_subjects(self, cohort: CohortFactory) -> None:
        made = self.made(cohort)
        check_folds(made)
        splits = _splits(made)
        for fold in splits.folds:
            assert not set(fold.train) & set(fold.validation)
            assert not set(splits.test) & {*fold.train, *fold.validation}
        assert {*splits.development, *splits.test} <= set(made.subjects)
        assert len(made.development()) == len(made) - len(splits.test)

    def test_groups_are_not_torn_apart(self, cohort: CohortFactory) -> None:
        made = self.made(cohort)
        splits = _splits(made)
        group = dict(zip(made.subjects, made.groups or made.subjects, strict=True))
        for fold in splits.folds:
            parts = [{group[subject] for subject in part} for part in (fold.train, fold.validation, splits.test)]
            assert sum(len(part) for part in parts) == len(set().union(*parts)), "a group is in two parts"

    def test_same_options_same_cohort(self, cohort: CohortFactory) -> None:
        one, two = self.made(cohort), self.made(cohort)
        assert one.fingerprint == two.fingerprint and one.fingerprint
        assert (one.subjects, one.splits, one.groups, one.classes) == (two.subjects, two.splits, two.groups, two.classes)
        assert list(one.modalities) == list(two.modalities)
        assert all(torch.equal(values, two.modalities[name]) for name, values in one.modalities.items())
        assert torch.equal(one.labels, two.labels) and torch.equal(one.present, two.present)

    def test_other_options_other_fingerprint(self, cohort: CohortFactory) -> None:
        made = [self.made(cohort), *(self.made(cohort, **changes) for changes in self.others)]
        found = [each.fingerprint for each in made]
        assert len(set(found)) == len(found), "two sets of options have one fingerprint"

    def test_making_it_leaves_random_numbers_alone(self, cohort: CohortFactory) -> None:
        before = torch.get_rng_state()
        self.made(cohort)
        assert torch.equal(torch.get_rng_state(), before), "it draws from torch's global generator"

    def test_provenance_is_json(self, cohort: CohortFactory) -> None:
        provenance = dict(self.made(cohort).provenance)
        assert json.loads(json.dumps(provenance, allow_nan=False)).keys() == provenance.keys()


def _splits(cohort: Cohort) -> Splits:
    assert cohort.splits is not None
    return cohort.splits
