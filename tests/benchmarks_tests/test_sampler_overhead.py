"""The benchmark of what a trial costs: what it asserts, and how it compares."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import _decisions
from benchmarks.sampler_overhead import ARMS, FLOOR, Run, compared, decision_table, enumerate_all, make_storage, page, table
from nas_fusion.space import SearchSpace

SPACE = SearchSpace({f"layer{i + 1}": ["none", "mmtm"] for i in range(3)})


@pytest.mark.parametrize("kind", ["memory", "sqlite", "journal"])
def test_every_configuration_is_completed_once(tmp_path: Path, kind: str) -> None:
    outcomes = enumerate_all(kind, 3, ("ours", "constants"), str(tmp_path))
    assert {arm: (o["trials"], o["distinct"], o["repeated"]) for arm, o in outcomes.items()} == {
        "ours": (8, 8, 0),
        "constants": (8, 1, 7),
    }


def test_failures_are_made_good(tmp_path: Path) -> None:
    outcomes = enumerate_all("memory", 5, FLOOR, str(tmp_path), fails=True)
    assert (outcomes["ours"]["trials"], outcomes["ours"]["distinct"]) == (36, 32)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_runs_block_by_block(arm: str, tmp_path: Path) -> None:
    run = Run(arm, SPACE, make_storage("memory", str(tmp_path)))
    for _ in range(20):
        run.advance(0)
    run.advance(3)
    assert run.outcome()["trials"] == 3
    assert len(run.wall_s) == len(run.cpu_s) == 21


def test_a_sampler_that_misses_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.sampler_overhead.ARMS", {**ARMS, "ours": ARMS["constants"]})
    with pytest.raises(AssertionError, match="'distinct': 1"):
        enumerate_all("memory", 3, ("ours",), str(tmp_path))


def test_ratios_are_paired() -> None:
    def outcome(ms: float) -> dict[str, float]:
        return {name: ms for name in ("ms", "cpu_ms", "ms_last_tenth", "cpu_ms_last_tenth")} | {"trials": 8, "distinct": 8}

    repeats = [{"ours": outcome(ours), "grid": outcome(grid)} for ours, grid in ((1.0, 10.0), (2.0, 8.0), (1.0, 5.0))]
    row = compared(repeats)["grid"]
    assert (row["ms"], row["ours_to_it_ms"], row["ratios_ms"]) == (8.0, 0.2, [10.0, 4.0, 5.0])


def test_decisions_follow_a_long_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_decisions, "N_TRIALS", 50)
    results = _decisions.decisions(["memory"], str(tmp_path), make_storage)
    assert [(r["storage"], r["sampler"], r["trials"]) for r in results] == [("memory", "sfsa", 50), ("memory", "beam(3)", 50)]
    assert all(0 < r["write_ms"] < r["decision_ms"] for r in results)
    assert decision_table(results).splitlines()[2].startswith("| memory | sfsa | ")


def test_the_page_names_its_conditions(tmp_path: Path) -> None:
    row = {"storage": "memory", "m": 3, "fails": False, "arms": compared([enumerate_all("memory", 3, FLOOR, str(tmp_path))])}
    facts = dict.fromkeys(("date", "processor", "cores", "python", "nas-fusion", "torch", "monai", "optuna", "numpy"), "?")
    written = page({"conditions": facts, "load": "1", "fsync_ms": 7.0, "command": "c", "enumerations": [row], "decisions": []})
    assert "7.000 ms to make 200 bytes permanent" in written
    assert table([row]).count("8 of 8") == 1
