"""The full-size record: the two implementations compute the same, and the page shows what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import m3d_bfs

RECORD = m3d_bfs.RECORDS / f"{m3d_bfs.NAME}.json"
CONDITIONS = {
    name: f"<{name}>" for name in ("date", "processor", "cores", "python", "nas-fusion", "torch", "monai", "optuna", "numpy")
}


def record() -> dict[str, Any]:
    stages = [
        {"encoder:SC": {"epochs": 2, "seconds": 1.0}, "static": {"epochs": 2, "seconds": 3.0}},
        {"encoder:SC": {"epochs": 1, "seconds": 2.0}, "static": {"epochs": 2, "seconds": 4.0}},
    ]
    run = {
        "subjects": 60,
        "folds": 2,
        "epochs": 2,
        "regions": 40,
        "seconds": 90.0,
        "cpu_seconds": 60.0,
        "mib_before": 300.0,
        "mib_at_most": 500.0,
    }
    scores = [dict.fromkeys(m3d_bfs.SCORES, value) for value in (0.5, 0.7)]
    far = {f"{form} {what}": 1e-6 for form in m3d_bfs.FORMS for what in ("evaluation", "training", "loss", "gradient")}
    step = {"batch_size": 8, "regions": 40, "differences": far, "torch_geometric": "2.8"}
    step["seconds"] = {"ours": [1.0, 1.1, 0.9], "edges": [4.0, 4.4, 3.6], "csr": [2.0, 2.2, 1.8]}
    said = {"command": "made so", "conditions": CONDITIONS, "load": "load average 1.0 before and 1.0 after"}
    return {"run": {**said, "found": {**run, "stages": stages, "scores": scores}}, "step": {**said, "found": step}}


def test_shares_are_of_the_time_of_all_folds() -> None:
    assert m3d_bfs.shares(record()["run"]["found"]["stages"]) == {"encoder:SC": 0.3, "static": 0.7}


def test_ratio_is_that_of_medians_with_rounds_drawn_together() -> None:
    ours = [1.0, 1.2, 0.8, 1.1, 0.9]
    assert m3d_bfs.ratio([3 * second for second in ours], ours) == pytest.approx((3.0, 3.0, 3.0))
    middle, low, high = m3d_bfs.ratio([3.0, 3.9, 2.4, 3.3, 2.7], ours)
    assert low <= middle <= high and middle == 3.0


def test_page_shows_shares_memory_and_ratios() -> None:
    text = m3d_bfs.page(record())
    assert "| encoder:SC | 3 | 30.0% |" in text and "| static | 4 | 70.0% |" in text
    assert (
        "All folds took 1.5 minutes under these conditions, 1.0 of the processor." in text
        and "500 MiB at most, 300 MiB of them before" in text
    )
    assert "loss 0.600 ± 0.141" in text
    assert "| edges | 4.00 (4.00 to 4.00) | 1.0e-06 | 1.0e-06 | 1.0e-06 |" in text


@pytest.mark.filterwarnings("ignore:Sparse")
def test_both_implementations_compute_the_same() -> None:
    pytest.importorskip("torch_geometric", reason="the comparison needs PyTorch Geometric")
    found = m3d_bfs.differences(8, regions=20)
    assert len(found) == 8
    assert all(value < 1e-5 for value in found.values()), found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sparse")
def test_a_small_run_is_recorded(tmp_path: Path) -> None:
    pytest.importorskip("torch_geometric", reason="the comparison needs PyTorch Geometric")
    sizes = ["--subjects", "50", "--folds", "2", "--epochs", "1", "--rounds", "3", "--batch-size", "16", "--regions", "20"]
    m3d_bfs.main([*sizes, "--out", str(tmp_path)])
    written = json.loads((tmp_path / "m3d_bfs.json").read_text())
    assert [set(each) for each in written["run"]["found"]["stages"]] == [{"encoder:SC", "encoder:FC", "static", "routing"}] * 2
    assert len(written["step"]["found"]["seconds"]["csr"]) == 3
    assert (tmp_path / "m3d_bfs.md").read_text() == m3d_bfs.page(written)


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_page_is_made_from_the_record() -> None:
    written = json.loads(RECORD.read_text())
    assert RECORD.with_suffix(".md").read_text() == m3d_bfs.page(written)
    assert written["run"]["found"]["folds"] == 10 and written["run"]["found"]["regions"] == 90
    assert max(written["step"]["found"]["differences"].values()) <= m3d_bfs.TOLERANCE
