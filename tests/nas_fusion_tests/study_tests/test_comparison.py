"""`compare` from Python: everything in memory, or in a storage of one's own."""

from __future__ import annotations

import sys
from pathlib import Path

import optuna
import pytest

from nas_fusion import compare
from nas_fusion.study.progress import EpochDone, EvaluationDone, Event, PhaseStarted

sys.path.append(str(Path(__file__).parents[1] / "cli_tests" / "plugin"))

from tiny_plugin import TinySpace, tiny_cohort

ARMS = ["sfsa", "exhaustive", "A_0", "alone:x", "alone:y", "late_fusion", "all_active", "ensemble_of_placements"]


def test_compares_in_memory() -> None:
    space, events = TinySpace(points=2), list[Event]()
    found = compare(space, tiny_cohort(), samplers=("sfsa", "exhaustive"), device="cpu", listener=events.append)
    assert [arm.name for arm in found.arms] == ARMS
    assert found.landscape is not None and found.landscape.complete and found.landscape_inherit == "baseline"
    exhaustive = found.arm("exhaustive")
    assert exhaustive.best == found.landscape.optimum and exhaustive.regret == 0
    assert found.arm("sfsa").parents[0] is None and found.arm("sfsa").parents[1] == space.baseline
    assert all(arm.test is not None and len(arm.test.subjects) == 32 for arm in found.arms)
    assert found.cohort["name"] == "tiny-cohort" and found.cohort["subjects"] == 128 and found.cohort["floors"] == {}
    titles = [event.title for event in events if isinstance(event, PhaseStarted)]
    assert titles == ["tiny-sfsa", "tiny-exhaustive", "references", "references", "test subjects, once"]
    trained = [event for event in events if isinstance(event, EvaluationDone) and event.trained]
    searched = 4 + 1  # SFSA grows both points from one, exhaustive search from the baseline
    assert len(trained) == searched + 2 + 3  # and each vector alone, and three averages of what is known
    assert len([event for event in events if isinstance(event, EpochDone)]) == 3 * (searched + 2)


def test_resumes_in_a_storage_of_ones_own(tmp_path: Path) -> None:
    storage, options = optuna.storages.InMemoryStorage(), {"samplers": ("sfsa",), "artifacts": tmp_path, "device": "cpu"}
    first = compare(TinySpace(points=2), tiny_cohort(), storage=storage, study="mine", **options)
    events: list[Event] = []
    second = compare(TinySpace(points=2), tiny_cohort(), storage=storage, study="mine", listener=events.append, **options)
    assert optuna.get_all_study_names(storage) == ["mine-sfsa"]
    assert not [event for event in events if isinstance(event, EpochDone)]
    assert [arm.value for arm in second.arms] == [arm.value for arm in first.arms]
    with pytest.raises(ValueError, match="seed=0, but seed=1 was asked for"):
        compare(TinySpace(points=2), tiny_cohort(), storage=storage, study="mine", seed=1, **options)


def test_refuses_a_cohort_without_splits() -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="`splits` must be drawn"):
        compare(TinySpace(), replace(tiny_cohort(), splits=None))
