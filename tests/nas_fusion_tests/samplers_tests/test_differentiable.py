"""The sampler of differentiable search: what it makes of a ranking, and what it does without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase
from optuna.trial import TrialState

from nas_fusion import history
from nas_fusion.samplers import DifferentiableSampler, load_sampler
from nas_fusion.space import Configuration, SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, points
from tests.nas_fusion_tests.samplers_tests.studies import SPACE, ended, journal, tell


class TestOptunasSuites(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: DifferentiableSampler(choices(3), seed=0)


ORDER = ((1, 3), (3,), (), (1, 2, 3, 4), (1, 2), (4,), (2,))


def ranking(*best: tuple[int, ...], space: SearchSpace = SPACE) -> dict[str, Any]:
    """Return a ranking with these points on, the most probable first."""
    names = list(space.parameters)
    found = [space.complete({names[point - 1]: space.parameters[names[point - 1]][1] for point in each}) for each in best]
    probabilities = [2.0**-i for i in range(1, 1 + len(best))]
    return {
        "configurations": [[dict(c), p] for c, p in zip(found, probabilities, strict=True)],
        "cost": {"epochs": 20.0, "samples": 7168.0},
        "key": "0",
    }


def loss(trial: optuna.Trial) -> float:
    chosen = points(SPACE.suggest(trial))
    return {(1, 3): 0.3, (3,): 0.2}.get(chosen, 1.0)


def searched(study: optuna.Study, **options: Any) -> DifferentiableSampler:
    sampler = DifferentiableSampler(SPACE, **options)
    study.sampler = sampler
    study.optimize(loss)
    return sampler


def test_baseline_then_the_most_probable() -> None:
    study = optuna.create_study()
    history.write_ranking(study, ranking(*ORDER))
    sampler = searched(study, k=3)
    assert [points(trial.params) for trial in study.trials] == [(), (1, 3), (3,), (1, 2, 3, 4)]
    state = sampler.state(study)
    assert state.complete and state.used == (0, 1, 2, 3) and state.surplus == ()
    assert [points(c) for c in state.path] == [(), (3,)]
    assert state.best == SPACE.complete({list(SPACE.parameters)[2]: SPACE.parameters[list(SPACE.parameters)[2]][1]})
    assert sampler.max_evaluations == 4


@pytest.mark.parametrize(("inherit", "lineage"), [("parent", ((),)), ("baseline", ((),)), ("none", ())])
def test_weights_come_from_the_baseline(inherit: str, lineage: tuple[tuple[int, ...], ...]) -> None:
    study = optuna.create_study()
    history.write_ranking(study, ranking(*ORDER))
    searched(study, k=2, inherit=inherit)
    assert ended(study) == {((),): 1, ((1, 3), *lineage): 1, ((3,), *lineage): 1}
    assert [history.parent_of(trial) for trial in study.trials] == [None, SPACE.baseline, SPACE.baseline]


def test_candidates_wait_for_the_baseline_whose_weights_they_inherit() -> None:
    study = optuna.create_study(sampler=DifferentiableSampler(SPACE, inherit="parent"))
    history.write_ranking(study, ranking(*ORDER))
    first, second = study.ask(), study.ask()
    assert history.surplus_reason(first) is None and history.surplus_reason(second) == history.WAITING
    tell(study, first, 0.5)
    assert [history.surplus_reason(study.ask()) for _ in range(3)] == [None] * 3


def test_without_inheritance_nothing_waits() -> None:
    study = optuna.create_study(sampler=DifferentiableSampler(SPACE, inherit="none", k=2))
    history.write_ranking(study, ranking(*ORDER))
    assert [history.surplus_reason(study.ask()) for _ in range(4)] == [None, None, None, history.WAITING]


def test_another_process_goes_on(tmp_path: Path) -> None:
    storage = journal(tmp_path)
    study = optuna.create_study(storage=storage, study_name="s", sampler=DifferentiableSampler(SPACE, k=3))
    history.write_ranking(study, ranking(*ORDER))
    study.optimize(loss, n_trials=2)
    again = optuna.load_study(storage=journal(tmp_path), study_name="s")
    searched(again, k=3)
    assert [points(trial.params) for trial in again.trials] == [(), (1, 3), (3,), (1, 2, 3, 4)]


def test_ranking_may_come_while_it_is_looked_at() -> None:
    study = optuna.create_study(sampler=DifferentiableSampler(SPACE, k=1))
    sampler = study.sampler
    assert isinstance(sampler, DifferentiableSampler)
    assert sampler.needs_ranking(study) and sampler.outlook(study) == history.WAITING
    assert sampler.path(study) == [] and sampler.best(study) is None
    history.write_ranking(study, ranking(*ORDER))
    assert not sampler.needs_ranking(study) and sampler.outlook(study) == "open"
    study.optimize(loss)
    assert sampler.outlook(study) == history.COMPLETE


def test_forced_and_grouped_points() -> None:
    names = list(SPACE.parameters)
    on = SPACE.parameters[names[0]][1]
    study = optuna.create_study()
    history.write_ranking(study, ranking(*ORDER))
    sampler = searched(study, k=3, forced={names[0]: on}, groups=[(names[2], names[3])])
    assert [points(trial.params) for trial in study.trials] == [(1,), (1, 2, 3, 4), (1, 2)]  # no more of them are ranked
    assert sampler.state(study).complete


def test_equivalent_configurations_count_once() -> None:
    class Dependent(SearchSpace):
        def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
            return parameter == "a" or configuration["a"] != "off"

    space = Dependent({"a": ["off", "on"], "b": ["off", "on"]})
    study = optuna.create_study()
    history.write_ranking(study, ranking((2,), (1, 2), (1,), space=space))
    sampler = DifferentiableSampler(space, k=2)
    study.sampler = sampler
    study.optimize(lambda trial: float(len(space.active(space.suggest(trial)))))
    assert [space.active(Configuration(t.params)) for t in study.trials] == [{}, {"a": "on", "b": "on"}, {"a": "on"}]


def test_failed_configurations_are_repeated_then_skipped() -> None:
    study = optuna.create_study(sampler=DifferentiableSampler(SPACE, k=2, max_retries=1))
    history.write_ranking(study, ranking(*ORDER))

    def fails(trial: optuna.Trial) -> float:
        if points(SPACE.suggest(trial)) == (1, 3):
            raise RuntimeError
        return 1.0

    with pytest.warns(UserWarning, match="failed 2 times"):
        study.optimize(fails, catch=RuntimeError)
    assert [trial.state for trial in study.trials].count(TrialState.FAIL) == 2
    assert len(study.trials) == 4


# --- without a ranking ---


def test_own_parameters_say_what_is_missing_and_at_once() -> None:
    study = optuna.create_study(sampler=DifferentiableSampler(SPACE))
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match=r"`study` must have a ranking .* call `EvaluationWorker.rank\(study\)`"):
        study.optimize(loss, n_trials=1)
    assert time.monotonic() - begin < 0.5
    history.write_ranking(study, ranking(*ORDER))
    study.optimize(loss)
    assert [points(t.params) for t in study.trials if t.state == TrialState.COMPLETE] == [(), (1, 3), (3,), (1, 2, 3, 4)]


def test_other_parameters_are_drawn_at_random_and_at_once() -> None:
    study = optuna.create_study(sampler=DifferentiableSampler(SPACE, seed=0))
    begin = time.monotonic()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
    assert len({trial.params["x"] for trial in study.trials}) == 5
    assert time.monotonic() - begin < 1


# --- options ---


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_k_is_a_positive_whole_number(k: Any) -> None:
    with pytest.raises(ValueError, match="`k` must be a whole number of at least 1, but got"):
        DifferentiableSampler(SPACE, k=k)


@pytest.mark.parametrize("length", [0, -1.0, float("inf"), float("nan")])
def test_length_is_positive(length: float) -> None:
    with pytest.raises(ValueError, match="`length` must be a finite number above 0, but got"):
        DifferentiableSampler(SPACE, length=length)


def test_it_is_found_by_its_name() -> None:
    sampler = load_sampler("differentiable", SPACE, seed=0, k=5, length=1.5)
    assert isinstance(sampler, DifferentiableSampler)
    assert (sampler.k, sampler.length, sampler.max_evaluations) == (5, 1.5, 6)
    assert DifferentiableSampler(SPACE, k=100).max_evaluations == SPACE.size
