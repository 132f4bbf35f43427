from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.importance import BaseImportanceEvaluator, get_param_importances
from optuna.testing.pytest_importance import (
    BasicImportanceEvaluatorTestCase,
    ConditionalImportanceEvaluatorTestCase,
    MultiObjectiveImportanceEvaluatorTestCase,
    NonConditionalImportanceEvaluatorTestCase,
)

from nas_fusion.analysis import (
    FAMILIES,
    Landscape,
    ShapleyImportanceEvaluator,
    as_study,
    importance_table,
    shapley_effects,
)
from nas_fusion.analysis.families import quadratic, xor_pair

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


class TestShapleyImportanceEvaluator(
    BasicImportanceEvaluatorTestCase, NonConditionalImportanceEvaluatorTestCase, MultiObjectiveImportanceEvaluatorTestCase
):
    @pytest.fixture
    def evaluator(self) -> Callable[..., BaseImportanceEvaluator]:
        return ShapleyImportanceEvaluator


class TestConditionalShapleyImportanceEvaluator(
    BasicImportanceEvaluatorTestCase, ConditionalImportanceEvaluatorTestCase, MultiObjectiveImportanceEvaluatorTestCase
):
    @pytest.fixture
    def evaluator(self) -> Callable[..., BaseImportanceEvaluator]:
        return lambda: ShapleyImportanceEvaluator(conditional=True)


def searched(objective: Callable[[optuna.Trial], Any], n_trials: int, **options: Any) -> optuna.Study:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), **options)
    study.optimize(objective, n_trials=n_trials)
    return study


def part_of(landscape: Landscape, share: float) -> Landscape:
    kept = np.random.default_rng(0).permutation(len(landscape))[: int(share * len(landscape))]
    losses = list(landscape.losses.items())
    return Landscape(dict(losses[i] for i in kept), landscape.space)


def assert_shares(found: dict[str, float], expected: dict[str, float], *, within: float) -> None:
    assert found.keys() == expected.keys()
    assert list(found.values()) == sorted(found.values(), reverse=True)
    for name, share in expected.items():
        assert found[name] == pytest.approx(share, abs=within), (found, expected)


def test_the_pair_that_matters_only_together_gets_its_due_where_the_default_gives_all_to_the_decoy() -> None:
    table = importance_table(xor_pair(6, 0))
    one, other, decoy = (f"layer{i + 1}" for i in np.random.default_rng(0).permutation(6)[:3])
    assert table["ped_anova"].round(12).to_dict() == {name: float(name == decoy) for name in table.index}
    expected = {one: 0.4, other: 0.4, decoy: 0.2}
    assert table["shapley"].round(12).to_dict() == {name: expected.get(name, 0.0) for name in table.index}
    assert table["fanova"][decoy] > 0.5 > 0.3 > table["fanova"][one] + table["fanova"][other]
    assert table.sum().to_numpy() == pytest.approx(np.ones(4))


def test_of_a_flat_landscape_there_is_no_table() -> None:
    with pytest.raises(ValueError, match="`landscape` must have losses that differ"):
        importance_table(Landscape.from_array(np.ones(4), {"a": ["none", "mmtm"], "b": ["none", "mmtm"]}))


@pytest.mark.parametrize("name", ["trap", "nk3", "synergy", "additive"])
def test_on_a_completely_evaluated_space_it_is_exact(name: str) -> None:
    landscape = FAMILIES[name](6, 0)
    found = ShapleyImportanceEvaluator().evaluate(as_study(landscape))
    assert_shares(found, dict(shapley_effects(landscape).shapley), within=1e-12)


def test_repeated_trials_count_by_their_mean() -> None:
    study = as_study(FAMILIES["trap"](4, 0))
    expected = ShapleyImportanceEvaluator().evaluate(study)
    trial = study.trials[5]
    for value in (trial.value - 0.1, trial.value + 0.1):  # type: ignore[operator]
        study.add_trial(optuna.create_trial(value=value, params=trial.params, distributions=trial.distributions))
    assert_shares(ShapleyImportanceEvaluator().evaluate(study), expected, within=1e-12)


def test_whole_numbers_and_steps_are_exact_too() -> None:
    study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler(seed=0))
    study.optimize(lambda t: t.suggest_int("i", 1, 4) + 10 * t.suggest_float("f", 0, 0.3, step=0.1), n_trials=16)
    assert len(study.trials) == 16
    assert_shares(ShapleyImportanceEvaluator().evaluate(study), {"i": 0.5, "f": 0.5}, within=1e-12)


@pytest.mark.parametrize(
    ("landscape", "share", "within"),
    [(xor_pair(8, 0), 0.15, 0.01), (quadratic(8, 1), 0.3, 0.02), (FAMILIES["trap"](8, 1), 0.3, 0.05)],
)
def test_of_a_part_of_the_space_it_is_near(landscape: Landscape, share: float, within: float) -> None:
    found = ShapleyImportanceEvaluator().evaluate(as_study(part_of(landscape, share)))
    assert sum(found.values()) == pytest.approx(1)
    assert_shares(found, dict(shapley_effects(landscape).shapley), within=within)


def test_three_choices_are_contrasts_of_a_model() -> None:
    worth = {"a": 0.0, "b": 0.3, "c": 0.9}
    space = {"k": ["a", "b", "c"], **{f"x{i}": ["none", "on"] for i in range(6)}}
    landscape = Landscape.from_function(lambda c: worth[c["k"]] * (1 + (c["x0"] == "on")), space)
    found = ShapleyImportanceEvaluator().evaluate(as_study(part_of(landscape, 0.5)))
    assert_shares(found, dict(shapley_effects(landscape).shapley), within=0.02)


def mixed(trial: optuna.Trial) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 1e-3, 1e3, log=True)
    i, k = trial.suggest_int("i", 1, 4), trial.suggest_categorical("k", ["a", "b", "c"])
    return float(np.sin(6 * x) * (np.log10(y) + 3) / 6 + 0.2 * i * (k == "a") + x)


def test_numbers_and_choices_by_a_model_equal_the_table_of_a_fine_grid() -> None:
    study = searched(mixed, 80)
    # From the functional ANOVA of a table of 60 by 60 by 4 by 3 cells.
    expected = {"x": 0.4069, "k": 0.3856, "y": 0.1373, "i": 0.0701}
    assert_shares(ShapleyImportanceEvaluator().evaluate(study), expected, within=0.02)


def test_two_numbers_that_matter_only_together() -> None:
    study = searched(lambda t: 4 * (t.suggest_float("x", 0, 1) - 0.5) * (t.suggest_float("y", 0, 1) - 0.5), 60)
    found = get_param_importances(study, evaluator=ShapleyImportanceEvaluator())
    assert found == pytest.approx({"x": 0.5, "y": 0.5}, abs=0.03)
    default = get_param_importances(study)
    assert sum(default.values()) == pytest.approx(1)


def test_the_same_trials_give_the_same_importances_also_of_very_many() -> None:
    study = searched(lambda t: t.suggest_float("x", 0, 1) ** 2 + 0.1 * t.suggest_float("y", 0, 1), 270)
    first = ShapleyImportanceEvaluator(seed=3).evaluate(study)
    assert first == ShapleyImportanceEvaluator(seed=3).evaluate(study)
    assert first != ShapleyImportanceEvaluator(seed=4).evaluate(study)  # of more than 256 trials others are drawn
    assert first == pytest.approx({"x": 320 / 323, "y": 3 / 323}, abs=1e-3)  # variances 4 / 45 and 0.01 / 12


@pytest.mark.parametrize("loss", [0.1, 0.7, 1 / 3, 0.0])
def test_losses_that_do_not_differ_have_no_importance(loss: float) -> None:
    for n_trials in (3, 20):
        study = searched(lambda t: mixed(t) * 0.0 + loss, n_trials)
        assert set(ShapleyImportanceEvaluator().evaluate(study).values()) == {0.0}
    flat = as_study(Landscape.from_array([loss] * 8, {"a": ["none", "x"], "b": ["none", "x"], "c": ["none", "x"]}))
    assert set(ShapleyImportanceEvaluator().evaluate(flat).values()) == {0.0}


def test_a_target_and_several_objectives() -> None:
    study = searched(lambda t: (t.suggest_int("i", 0, 3), 2.0 * t.suggest_int("j", 0, 1)), 40, directions=["minimize"] * 2)
    evaluator = ShapleyImportanceEvaluator()
    assert evaluator.evaluate(study, target=lambda t: t.values[1]) == pytest.approx({"i": 0.0, "j": 1.0}, abs=1e-12)
    assert evaluator.evaluate(study) == pytest.approx({"i": 0.5, "j": 0.5}, abs=1e-12)


def test_a_parameter_that_is_not_always_there() -> None:
    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("use", [False, True]):
            return 1.0 + trial.suggest_float("size", 0, 1)
        return 0.0

    study = searched(objective, 60)
    assert ShapleyImportanceEvaluator().evaluate(study) == {"use": 1.0}
    found = ShapleyImportanceEvaluator(conditional=True).evaluate(study)
    assert found.keys() == {"use", "size"} and found["use"] > 0.4 and found["size"] > 0.1
    with pytest.raises(
        ValueError, match=r"`params` must name parameters that each be in a completed trial, .* but got 'other'"
    ):
        ShapleyImportanceEvaluator(conditional=True).evaluate(study, params=["other"])


@pytest.mark.parametrize("params", ["ab", ["a", 1], {"a": 1}])
def test_params_must_be_a_list_of_names(params: Any) -> None:
    with pytest.raises(TypeError, match="`params` must be a list of strings, but got"):
        ShapleyImportanceEvaluator().evaluate(optuna.create_study(), params=params)


def test_a_range_that_changes_is_refused_by_name_and_left_out_otherwise() -> None:
    study = optuna.create_study()
    for high in (1.0, 2.0):
        distributions = {"x": FloatDistribution(0, high), "k": CategoricalDistribution(["a", "b"])}
        study.add_trial(optuna.create_trial(value=high, params={"x": 0.5, "k": "ab"[high > 1]}, distributions=distributions))
    assert ShapleyImportanceEvaluator().evaluate(study) == {"k": 1.0}
    assert ShapleyImportanceEvaluator(conditional=True).evaluate(study) == {"k": 1.0}
    with pytest.raises(ValueError, match="`params` must name parameters that each keep its range, but got 'x' of"):
        ShapleyImportanceEvaluator().evaluate(study, params=["x"])


def test_the_study_of_a_landscape_has_every_configuration_as_a_trial() -> None:
    landscape = FAMILIES["nk1"](5, 0)
    study = as_study(landscape)
    assert dict(Landscape.from_study(study, landscape.space).losses) == dict(landscape.losses)
    assert study.best_params == dict(landscape.optimum)
