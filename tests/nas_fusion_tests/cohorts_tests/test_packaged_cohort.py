from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from nas_fusion.cohorts.packaged_cohort import PackagedData, chosen, one_of, standardised
from nas_fusion.cohorts.splits import Fold, Splits

VALUES = np.random.default_rng(0).normal(3, 2, size=(6, 2, 5))
DATA = PackagedData(
    name="toy",
    version=1,
    subjects=("a", "b", "c", "d", "e", "f"),
    labels=("x", "y", "x", "y", "x", "y"),
    classes=("y", "x"),
    values={"signal": VALUES, "table": VALUES[:, 0], "matrix": VALUES},
    kinds={"signal": "image", "table": "vector", "matrix": "image"},
    splits=Splits((Fold(("a", "b"), ("c", "d")),), ("e", "f")),
    scaled={"signal": (2,), "table": ()},
    options={"modalities": ["signal", "table", "matrix"]},
    facts={"source": "nowhere"},
)


def test_statistics_are_those_of_development_subjects_alone() -> None:
    cohort = DATA.cohort()
    known = VALUES[:4].transpose(0, 2, 1).reshape(-1, 2)  # every time point of a development subject is a sample
    wanted = StandardScaler().fit(known).transform(VALUES.transpose(0, 2, 1).reshape(-1, 2)).reshape(6, 5, 2).transpose(0, 2, 1)
    np.testing.assert_allclose(cohort.modalities["signal"], wanted, rtol=1e-5, atol=1e-6)
    table = StandardScaler().fit(VALUES[:4, 0]).transform(VALUES[:, 0])
    np.testing.assert_allclose(cohort.modalities["table"], table, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cohort.modalities["matrix"], VALUES, rtol=1e-6)


def test_values_of_test_subjects_change_nothing_for_the_others() -> None:
    other = VALUES.copy()
    other[4:] *= 100
    kept, changed = DATA.cohort(), replace(DATA, values={**DATA.values, "signal": other, "table": other[:, 0]}).cohort()
    for name in ("signal", "table"):
        assert torch.equal(kept.modalities[name][:4], changed.modalities[name][:4])


def test_labels_classes_and_provenance() -> None:
    cohort = DATA.cohort()
    assert cohort.labels.tolist() == [1, 0, 1, 0, 1, 0] and cohort.classes == ("y", "x")
    assert cohort.provenance == {"source": "nowhere", "version": 1, "modalities": ["signal", "table", "matrix"]}
    assert cohort.present.all() and cohort.modalities["signal"].dtype == torch.float32


def test_the_fingerprint_is_of_what_the_values_depend_on() -> None:
    first = DATA.cohort().fingerprint
    assert replace(DATA, facts={"source": "elsewhere"}).cohort().fingerprint == first
    assert replace(DATA, splits=Splits((Fold(("c",), ("a", "b", "d")),), ("e", "f"))).cohort().fingerprint == first
    for change in ({"version": 2}, {"options": {}}, {"splits": Splits((Fold(("a", "b"), ("c", "d")),), ("e",))}):
        assert replace(DATA, **change).cohort().fingerprint != first


@given(st.integers(1, 5), st.floats(-100, 100), st.floats(0.1, 100))
def test_shift_and_scale_do_not_matter(known: int, shift: float, scale: float) -> None:
    mask = np.arange(6) < known
    np.testing.assert_allclose(standardised(VALUES * scale + shift, mask, (2,)), standardised(VALUES, mask, (2,)), atol=1e-6)


def test_what_is_constant_becomes_zero() -> None:
    assert standardised(np.full((4, 2), 7.0), np.ones(4, bool)).tolist() == np.zeros((4, 2)).tolist()


def test_names_are_text_or_sequence() -> None:
    assert chosen("modalities", "b, a", ("a", "b", "c")) == chosen("modalities", ["b", "a"], ("a", "b", "c")) == ("b", "a")
    assert one_of("scale", "none", ("development", "none")) == "none"


@pytest.mark.parametrize("names", ["", "a,a", "d", [], ["a", "d"]])
def test_wrong_names_are_refused(names: str | list[str]) -> None:
    with pytest.raises(ValueError, match="`modalities` must be different ones of a, b, c, but got"):
        chosen("modalities", names, ("a", "b", "c"))


def test_a_wrong_value_is_refused() -> None:
    with pytest.raises(ValueError, match="`scale` must be one of development, none, but got 'test'"):
        one_of("scale", "test", ("development", "none"))
