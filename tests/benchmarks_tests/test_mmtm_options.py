"""Ratio and gate of MMTM: what the record shows is what was measured, with one baseline for all variants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _answers as answers
from benchmarks import mmtm_options as options
from nas_fusion import EvaluationWorker, load_cohort, load_space

RECORD = answers.RECORDS / f"{options.NAME}.json"


def row(seed: int, worse: float) -> dict[str, Any]:
    """A cohort in which ratio 128 is worse than everything else."""
    losses = {name: 0.3 + 0.01 * seed + (worse if name == "sigmoid, ratio 128" else 0) for name in options.VARIANTS}
    arms = {n: {p: {"test": loss, "validation": loss} for p in options.POINTS} for n, loss in losses.items()}
    return {"seed": seed, "target": 0.41, "arms": arms, "baseline": {"test": 0.66}, "subjects": {}}


def test_variants_are_compared_with_the_default() -> None:
    results = [row(seed, 0.2 + 0.01 * seed) for seed in range(3)]
    found = options.comparisons(results)
    assert len(found) == len(options.VARIANTS)
    assert found["sigmoid, ratio 128 − sigmoid, ratio 4"] == pytest.approx([0.2, 0.21, 0.22])
    assert found["softmax, ratio 4 − sigmoid, ratio 4"] == pytest.approx([0.0] * 3)
    assert options.learned(results, "sigmoid, ratio 128") == (0, 12) and options.learned(results, options.DEFAULT) == (12, 12)
    assert "1 have a 95 % interval without 0" in options.answer(results) and "0.310 (sigmoid, ratio 4)" in options.answer(
        results
    )
    unclear = [row(seed, 0.2 * (-1) ** seed) for seed in range(4)]
    assert options.answer(unclear).startswith("On this cohort neither ratio nor gate of MMTM matters measurably")


def test_the_shared_baseline_is_what_each_variant_would_train(tmp_path: Path) -> None:
    cohort = load_cohort("simulated-mri", shape=8, train=8, validation=4, test=4)
    own = [load_space("fusion-points", **options.VARIANTS[name]) for name in (options.DEFAULT, options.PUBLISHED)]
    shared = [EvaluationWorker(space, cohort, store=tmp_path, plan={"epochs": 1}) for space in own]
    shared[0].evaluate(own[0].baseline)
    options.share_baseline(*shared)
    found = shared[1].evaluate(own[1].baseline)
    trained = EvaluationWorker(own[1], cohort, plan={"epochs": 1}).evaluate(own[1].baseline)
    assert not found.trained and trained.trained and found.key == trained.key and found.curves == trained.curves
    assert (
        shared[1].evaluate(own[1].complete({"layer1": "mmtm_as_published"}), lineage=[own[1].baseline]).cost["lineage_epochs"]
        == 2
    )


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_page_is_made_from_the_record() -> None:
    record = json.loads(RECORD.read_text())
    assert RECORD.with_suffix(".md").read_text() == options.page(record)
    assert len(record["results"]) >= 3
