"""The suite for cohorts: our own pass it, and each defect is found by the test that is meant for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from nas_fusion.cohorts import Cohort, Fold, Splits
from nas_fusion.cohorts.simulated_connectome import simulated_connectomes
from nas_fusion.cohorts.simulated_mri import simulated_mri
from nas_fusion.testing import CohortTestCase
from nas_fusion.testing.pytest_cohorts import CohortFactory


class TestSimulatedMRI(CohortTestCase):
    options = {"shape": 8, "train": 16, "validation": 12, "test": 4}  # noqa: RUF012
    others = ({"seed": 1}, {"shape": 9}, {"train": 17}, {"modalities": "FLAIR,T1w"}, {"flip": 0.1})

    @pytest.fixture
    def cohort(self) -> CohortFactory:
        return simulated_mri


class TestSimulatedConnectomes(CohortTestCase):
    options = {"train": 16, "validation": 12, "test": 4}  # noqa: RUF012
    others = ({"seed": 1}, {"train": 17})

    @pytest.fixture
    def cohort(self) -> CohortFactory:
        return simulated_connectomes


def vectors(n: int = 12, seed: int = 0, fingerprint: str | None = None) -> Cohort:
    """A cohort that passes."""
    generator = torch.Generator().manual_seed(seed)
    subjects = tuple(f"s{i:02d}" for i in range(n))
    return Cohort(
        name="vectors",
        subjects=subjects,
        modalities={"x": torch.randn(n, 3, generator=generator), "y": torch.randn(n, 2, generator=generator)},
        kinds={"x": "vector", "y": "vector"},
        labels=torch.arange(n) % 2,
        classes=("no", "yes"),
        fingerprint=f"{n} {seed}" if fingerprint is None else fingerprint,
        present=torch.ones(n, 2, dtype=torch.bool),
        splits=Splits((Fold(subjects[:4], subjects[4:8]),), subjects[8:]),
    )


class Suite(CohortTestCase):
    others = ({"seed": 1}, {"n": 14})


TESTS = [name for name in dir(CohortTestCase) if name.startswith("test_")]


@pytest.mark.parametrize("name", TESTS)
def test_a_good_cohort_passes(name: str) -> None:
    getattr(Suite(), name)(vectors)


def _changed(**changes: Callable[[Cohort], Any]) -> CohortFactory:
    def cohort(**options: Any) -> Cohort:
        made = vectors(**options)
        return replace(made, **{name: change(made) for name, change in changes.items()})

    return cohort


def _drawn(**options: Any) -> Cohort:
    torch.rand(1)
    return vectors(**options)


def _never_twice(**options: Any) -> Cohort:
    made = vectors(**options)
    with torch.random.fork_rng():
        torch.seed()
        return replace(made, modalities={**made.modalities, "x": torch.randn(len(made), 3)})


DEFECTS: dict[str, list[CohortFactory]] = {
    "test_values_are_finite_floats": [
        _changed(modalities=lambda made: {**made.modalities, "x": made.modalities["x"] / 0}),
        _changed(modalities=lambda made: {**made.modalities, "x": made.modalities["x"].double()}),
    ],
    "test_every_modality_is_described": [
        _changed(kinds=lambda made: {"x": "image", "y": "vector"}),
        _changed(present=lambda made: torch.tensor([[True, False]] * len(made))),
    ],
    "test_modalities_tell_subjects_apart": [
        _changed(modalities=lambda made: {**made.modalities, "x": torch.ones(len(made), 3)})
    ],
    "test_covariances_are_positive_definite": [
        _changed(
            modalities=lambda made: {**made.modalities, "x": -torch.eye(3).expand(len(made), 3, 3)},
            kinds=lambda made: {"x": "covariance", "y": "vector"},
        )
    ],
    "test_labels_are_classes_in_every_part": [
        _changed(labels=lambda made: (torch.arange(len(made)) < 4).long()),
        _changed(classes=lambda made: ("no", "yes", "maybe")),
    ],
    "test_splits_divide_the_subjects": [_changed(splits=lambda made: Splits((Fold(made.subjects[:1], made.subjects[1:]),)))],
    "test_groups_are_not_torn_apart": [_changed(groups=lambda made: ("site",) * len(made))],
    "test_same_options_same_cohort": [_never_twice, _changed(fingerprint=lambda made: "")],
    "test_other_options_other_fingerprint": [_changed(fingerprint=lambda made: "constant")],
    "test_making_it_leaves_random_numbers_alone": [_drawn],
    "test_provenance_is_json": [_changed(provenance=lambda made: {"mean": float("nan")})],
}


def test_there_is_a_defect_for_every_test() -> None:
    assert sorted(DEFECTS) == TESTS


@pytest.mark.parametrize(("name", "cohort"), [(name, cohort) for name, cohorts in DEFECTS.items() for cohort in cohorts])
def test_defects_are_found(name: str, cohort: CohortFactory) -> None:
    with pytest.raises((AssertionError, ValueError)):
        getattr(Suite(), name)(cohort)
