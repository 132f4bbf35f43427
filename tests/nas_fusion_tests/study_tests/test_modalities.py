"""Whole searches on other than two complete images: checked from the predictions that they leave."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss

from nas_fusion import Cohort, compare, load_cohort, load_space
from nas_fusion.analysis import Comparison, availability_table, diagnose
from nas_fusion.cli.results import comparison_json
from nas_fusion.visualization import write_report

SIZE = {"shape": 8, "train": 24, "validation": 24, "test": 16}
PLAN = {"epochs": 1, "width": 1 / 32, "batch_size": 12, "backbone": "resnet10"}


def checked(comparison: Comparison, cohort: Cohort) -> None:
    """Raise unless all losses are finite, are those of the predictions, and the search chose the lowest that it saw."""
    assert cohort.splits is not None
    (search,) = comparison.searches
    assert search.value == min(e.value for e in search.evaluations)
    assert search.chosen is not None and search.best == search.chosen.configuration
    for arm in comparison.arms:
        assert np.isfinite(arm.validation.probabilities).all() and np.isfinite([e.value for e in arm.evaluations]).all()
        assert arm.value == pytest.approx(log_loss(arm.validation.labels, arm.validation.probabilities, labels=[0, 1]))
        assert arm.test is not None and np.isfinite(arm.test.probabilities).all()
        lacks = not arm.name.startswith("alone:")
        assert not lacks or set(arm.validation.subjects) == set(cohort.splits.folds[0].validation)
        assert not lacks or set(arm.test.subjects) == set(cohort.splits.test)


def test_three_mri_modalities() -> None:
    cohort = load_cohort("simulated-mri", **SIZE, modalities=("T1w", "FLAIR", "PDw"))
    space = load_space("fusion-points", points=("layer1", "layer3"), **PLAN)
    comparison = compare(space, cohort, samplers=("sfsa",), device="cpu")
    checked(comparison, cohort)
    (search,) = comparison.searches
    assert search.n_evaluations == 3 if search.best == space.baseline else 4
    names = [arm.name for arm in comparison.arms]
    assert {"A_0", "alone:T1w", "alone:FLAIR", "alone:PDw", "late_fusion", "early_fusion"} < set(names)
    late = comparison.arm("late_fusion").validation
    alone = [comparison.arm(f"alone:{name}").validation.probabilities for name in cohort.modalities]
    assert np.allclose(late.probabilities, np.mean(alone, axis=0))
    assert comparison.availability == {} and availability_table(comparison).empty
    assert "availability" not in comparison_json(comparison, "", Path("report.html"))


def test_an_image_and_a_table_of_which_a_third_is_missing(tmp_path: Path) -> None:
    cohort = load_cohort("simulated-mri", **SIZE, modalities=("T1w", "clinical"), missing=0.3)
    space = load_space("fusion-points", points=("layer1", "layer3"), modality_dropout=0.2, hidden=8, **PLAN)
    comparison = compare(space, cohort, samplers=("sfsa",), device="cpu")
    checked(comparison, cohort)
    assert cohort.splits is not None and cohort.lacking == ("T1w", "clinical")
    parts = {"validation": cohort.splits.folds[0].validation, "test": cohort.splits.test}
    table = availability_table(comparison, resamples=50).set_index(["part", "modalities", "arm"])
    for part, subjects in parts.items():
        for pattern in (("T1w", "clinical"), ("T1w",), ("clinical",)):
            having = [subject for subject in subjects if cohort.availability[subject] == pattern]
            assert table.loc[(part, " + ".join(pattern), "sfsa"), "n"] == len(having) > 0
    for name in cohort.modalities:
        alone = comparison.arm(f"alone:{name}")
        assert set(alone.validation.subjects) == {s for s in parts["validation"] if name in cohort.availability[s]}
    found = comparison_json(comparison, "", Path("report.html"))["availability"]
    assert len(found) == len(table) and not any(math.isnan(row["loss"][0]) for row in found)
    said = [finding for finding in diagnose(comparison) if finding.signature == "few_of_a_pattern"]
    assert len(said) == 1 and "T1w (" in said[0].sentence
    page = write_report(comparison, tmp_path / "report.html").read_text()
    assert "By available modalities" in page and "T1w + clinical" in page and ">nan<" not in page
