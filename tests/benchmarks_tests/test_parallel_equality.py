"""Several processes on one study train nothing twice and end where one process ends: every storage, every sampler once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from benchmarks._race import SAMPLERS, SPACE, Course, Outcome, Race, loss, make_study, node_of, serial
from benchmarks._servers import connect, serving, why_missing
from benchmarks.parallel_equality import idle_table, page, table

ONE = SPACE.complete({"layer1": "mmtm"})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The URL of a storage of a kind, served as long as the module's tests run."""
    served: dict[str, str] = {}
    with ExitStack() as stack:

        def served_url(kind: str) -> str:
            if reason := why_missing(kind):
                pytest.skip(reason)
            if kind not in served:
                served[kind] = stack.enter_context(serving(kind, tmp_path_factory.mktemp(kind)))
            return served[kind]

        yield served_url


@pytest.mark.slow
@pytest.mark.xdist_group("parallel")
@pytest.mark.parametrize(
    ("kind", "sampler"),
    [
        ("sqlite", "sfsa"),
        ("postgresql", "beam"),
        ("journal", "backward"),
        ("journal", "floating"),
        ("journal", "differentiable"),
        ("grpc", "surrogate"),
        ("grpc", "exhaustive"),
    ],
)
def test_four_processes_end_as_one(tmp_path: Path, url: Callable[[str], str], kind: str, sampler: str) -> None:
    # Who is killed while holding the lock of Optuna's journal file leaves it for 30 s, and then several may break it at once:
    # one of them ends in an error of Optuna's. So there the four live.
    outcome = Race(sampler, seed=1, url=url(kind), log=tmp_path / "log", kills=kind != "journal").run()
    assert outcome.faults(serial(sampler, 1)) == []
    assert len(outcome.completed) == len(outcome.used) + outcome.in_vain


@pytest.mark.slow
@pytest.mark.xdist_group("parallel")
def test_what_always_fails_is_tried_thrice_by_all_processes_together(tmp_path: Path, url: Callable[[str], str]) -> None:
    failing = SPACE.index(ONE)
    race = Race("exhaustive", seed=2, url=url("journal"), log=tmp_path / "log", delay_s=(0.0, 0.01), failing=failing)
    with pytest.warns(UserWarning, match=r"\{'layer1': 'mmtm'\} failed 3 times: the search goes on without it"):
        outcome = race.run()
    assert outcome.faults(serial("exhaustive", 2, failing)) == []
    assert outcome.skipped == (ONE,)
    name = optuna.get_all_study_names(connect(race.url))[-1]
    trials = optuna.load_study(study_name=name, storage=connect(race.url)).get_trials(states=(TrialState.FAIL,))
    assert [node_of(trial) for trial in trials] == [(failing, 0)] * 3


@pytest.mark.slow
@pytest.mark.xdist_group("parallel")
def test_speculation_trains_more_and_changes_nothing(tmp_path: Path, url: Callable[[str], str]) -> None:
    outcomes = {}
    for speculate in (True, False):
        log = tmp_path / f"{speculate}"
        race = Race("sfsa", seed=0, url=url("journal"), log=log, delay_s=(0.05, 0.3, 0), speculate=speculate)
        outcomes[speculate] = race.run()
        assert outcomes[speculate].faults(serial("sfsa", 0)) == []
    assert outcomes[False].in_vain == 0
    assert len(outcomes[True].completed) >= len(outcomes[False].completed)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_process_ends_with_what_its_table_says(sampler: str) -> None:
    outcome = serial(sampler, 3)
    values = dict(outcome.used)
    assert set(outcome.completed.values()) == {1}
    assert outcome.completed.keys() == values.keys()
    assert values[0, -1] == loss(SPACE.baseline, (), 3)
    best = SPACE.index(outcome.path[-1])
    assert min(value for node, value in values.items() if node[0] == best) == min(values.values())


def test_violations_are_found() -> None:
    right = serial("sfsa", 0)
    assert replace(right, begun={(1, 0): 1}).faults(right) == []
    assert replace(right, completed={(1, 0): 2}).faults(right) == ["(1, 0) was completed 2 times"]
    assert replace(right, begun={(1, 0): 2}).faults(right) == ["(1, 0) was begun 2 times"]
    assert replace(right, begun={(1, 0): 2}, lost=frozenset({(1, 0)})).faults(right) == []
    assert replace(right, begun={(1, 0): 3}, lost=frozenset({(1, 0)})).faults(right) == ["(1, 0) was begun 3 times"]
    assert replace(right, path=()).faults(right)[0].startswith("path is ()")
    assert replace(right, used=right.used[1:]).faults(right)[0].startswith("used is")


def test_a_race_is_repeated_by_its_seed() -> None:
    assert serial("beam", 5) == Outcome(**{**vars(serial("beam", 5))})
    course = Course("sfsa", 5, "", "study", None)
    assert make_study(course).study_name == "study"


def test_the_record_shows_what_was_violated() -> None:
    row = {"storage": "sqlite", "sampler": "sfsa", "repetitions": 2, "killed": 1, "killed_in_training": 1, "repeated": 1}
    row |= {"evaluations": 30, "in_vain": 3, "seconds": 4.0, "faults": ["seed 0: (1, 0) was begun 2 times"]}
    idle = {"sampler": "sfsa", "pairs": 2, "time_ratio": 0.8, "idle": [0.1, 0.25], "trainings_needed": 11.5, "in_vain": 1.5}
    assert table([row]).splitlines()[-1] == "| sqlite | sfsa | 2 | 1 | 1 | 1 | 30 | 3 | 1 |"
    assert idle_table([idle]).splitlines()[-1] == "| sfsa | 2 | 0.80 | 10% | 25% | 11.5 | 1.5 |"
    facts = dict.fromkeys(("date", "processor", "cores", "python", "nas-fusion", "torch", "monai", "optuna", "numpy"), "?")
    record = {"equality": [row], "idleness": [idle], "conditions": facts, "load": "1.0", "command": "command"}
    assert "**1 violations.**" in page(record)
