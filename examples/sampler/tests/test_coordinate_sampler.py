"""Optuna's suites for samplers, and what is this sampler's own."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest
from coordinate_sampler import CoordinateSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase

SPACE = {"a": ["none", "x", "y"], "b": ["none", "x"]}


class TestCoordinateSampler(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], CoordinateSampler]:
        return lambda: CoordinateSampler(SPACE, seed=0)


VALUES = {("none", "none"): 5.0, ("x", "none"): 4.0, ("y", "none"): 3.0, ("y", "x"): 2.0, ("none", "x"): 1.5, ("x", "x"): 1.0}


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_what_it_evaluates(direction: str, sign: int) -> None:
    study = optuna.create_study(direction=direction, sampler=CoordinateSampler(SPACE))

    def objective(trial: optuna.Trial) -> float:
        a, b = trial.suggest_categorical("a", SPACE["a"]), trial.suggest_categorical("b", SPACE["b"])
        return sign * VALUES[a, b]

    study.optimize(objective)  # ends by itself
    seen = [(trial.params["a"], trial.params["b"]) for trial in study.trials]
    assert seen[0] == ("none", "none")
    assert set(seen[1:3]) == {("x", "none"), ("y", "none")}  # a, with b off
    assert seen[3] == ("y", "x")  # b, with the best a
    assert set(seen[4:]) == {("none", "x"), ("x", "x")}  # a again
    assert study.best_params == {"a": "x", "b": "x"}
    assert study.sampler.outlook(study) == "complete"


def test_others_evaluate_the_rest_of_a_step() -> None:
    sampler = CoordinateSampler(SPACE)
    study = optuna.create_study(sampler=sampler)
    distributions = sampler.infer_relative_search_space(study, None)
    study.tell(study.ask(distributions), 1.0)
    running = [study.ask(distributions) for _ in range(2)]
    assert {trial.params["a"] for trial in running} == {"x", "y"}
    assert sampler.outlook(study) == "waiting"
    study.tell(running[0], state=optuna.trial.TrialState.FAIL)
    study.tell(running[1], 2.0)
    assert sampler.outlook(study) == "open"
    assert study.ask(distributions).params == {"a": "none", "b": "x"}  # what failed is not better


def test_an_option_out_of_its_range() -> None:
    assert CoordinateSampler(SPACE, sweeps=3).max_evaluations == 10
    with pytest.raises(ValueError, match="`sweeps` must be at least 1, but got 0"):
        CoordinateSampler(SPACE, sweeps=0)
