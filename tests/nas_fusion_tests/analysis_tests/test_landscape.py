from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from nas_fusion import history
from nas_fusion.analysis import Landscape, synergy_landscape
from nas_fusion.analysis.landscape_table import Loss
from nas_fusion.samplers import ExhaustiveSampler
from nas_fusion.space import Configuration, SearchSpace
from tests.nas_fusion_tests.analysis_tests.builders import SPACE, on

TWO = SearchSpace({"a": ["none", "x", "y"], "b": ["none", "x"]})


class OnlyWithA(SearchSpace):
    """`b` has an effect only where `a` is on."""

    def is_active(self, parameter: str, configuration: Configuration) -> bool:  # type: ignore[override]
        return parameter == "a" or configuration["a"] != "none"


def numbered() -> Landscape:
    return Landscape.from_function(lambda c: 1.0 - 0.1 * TWO.index(c), TWO)


def test_optimum_minimum_and_regret() -> None:
    landscape = numbered()
    assert dict(landscape.optimum) == {"a": "y", "b": "x"}
    assert landscape.minimum == pytest.approx(0.5)
    assert landscape.regret(TWO.baseline) == pytest.approx(0.5)
    assert landscape.regret(landscape.optimum) == 0.0
    assert landscape.loss({"a": "x", "b": "none"}) == pytest.approx(0.9)
    assert len(landscape) == 6 and landscape.complete
    assert repr(landscape) == "Landscape(6 of 6 configurations, minimum 0.5)"


def test_ties_go_to_fewer_active_parameters_then_to_the_lower_index() -> None:
    flat = Landscape.from_function(lambda c: 0.5, TWO)
    assert flat.optimum == TWO.baseline
    losses = {c: (1.0 if c == TWO.baseline else 0.5) for c in TWO.configurations()}
    assert dict(Landscape(losses, TWO).optimum) == {"a": "x", "b": "none"}


def test_a_configuration_without_effect_is_read_by_its_canonical_form() -> None:
    space = OnlyWithA({"a": ["none", "x"], "b": ["none", "x"]})
    landscape = Landscape.from_function(lambda c: float(len(space.active(c))), space)
    assert len(landscape) == 3 and landscape.complete
    assert landscape.loss({"a": "none", "b": "x"}) == 0.0
    with pytest.raises(ValueError, match=r"`losses` must give .* one loss, but got 1.0 and 2.0\."):
        Landscape({Configuration({"a": "none", "b": "none"}): 1.0, Configuration({"a": "none", "b": "x"}): 2.0}, space)


def test_an_incomplete_landscape_knows_what_it_does_not_know() -> None:
    landscape = Landscape({TWO.baseline: 0.7}, TWO)
    assert not landscape.complete
    with pytest.raises(ValueError, match=r"`configuration` must be in the landscape, but got .*, whose loss is not known\."):
        landscape.regret({"a": "x", "b": "none"})


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({}, "`losses` must hold at least one configuration, but got none"),
        ({TWO.baseline: float("nan")}, "`losses` must be finite, but got nan"),
        ({Configuration({"a": "none"}): 1.0}, "`configuration` must choose exactly for"),
        ({Configuration({"a": "z", "b": "x"}): 1.0}, "`configuration` must choose 'a' from"),
    ],
)
def test_what_is_no_landscape_is_refused(losses: dict[Configuration, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Landscape(losses, TWO)


@settings(max_examples=25, deadline=None)
@given(losses=st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6))
def test_csv_gives_the_same_landscape_to_the_last_bit(losses: list[float], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("csv") / "landscape.csv"
    landscape = Landscape(dict(zip(TWO.configurations(), losses, strict=True)), TWO)
    landscape.to_csv(path)
    for again in (Landscape.from_csv(path), Landscape.from_csv(path, TWO)):
        assert dict(again.losses) == dict(landscape.losses)
        assert dict(again.space.parameters) == dict(TWO.parameters)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\nnone,x\n", r"`path` must have a column 'loss', but .*\['a', 'b'\]"),
        ("a,b,loss\nnone,none,1\nnone,none,2\n", "`path` must hold each configuration once, but .* twice"),
        ("a,b,loss\nnone,none,high\n", "`loss` must be a number, but got 'high'"),
        ("a,b,loss\nnone,z,1\n", "`configuration` must choose 'b' from"),
        ("a,loss\nnone,1\n", "`configuration` must choose exactly for"),
    ],
)
def test_a_damaged_csv_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "landscape.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Landscape.from_csv(path, TWO)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_it_is_an_objective_and_a_study_gives_it_back() -> None:
    study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler(seed=1))
    study.optimize(numbered(), n_trials=6)
    again = Landscape.from_study(study, TWO)
    assert dict(again.losses) == pytest.approx(dict(numbered().losses))
    assert study.best_params == dict(numbered().optimum)


def test_folds_and_seeds() -> None:
    first, second, third, *_ = TWO.configurations()
    landscape = Landscape({first: 0.7, second: [0.5, 0.6], third: [[0.2, 0.4], [0.3, 0.5], [0.1, 0.3]]}, TWO)
    assert dict(landscape.losses) == pytest.approx({first: 0.7, second: 0.55, third: 0.3})
    assert landscape.samples[first] == (0.7,)
    assert landscape.samples[second] == (0.5, 0.6)
    assert landscape.samples[third] == pytest.approx((0.2, 0.4))  # one a fold, each the mean over three seeds
    assert landscape.runs[third] == ((0.2, 0.4), (0.3, 0.5), (0.1, 0.3))
    seeds = Landscape({first: [[0.3], [0.5], [0.7]]}, TWO)
    assert seeds.samples[first] == (0.3, 0.5, 0.7)  # one fold: one a seed
    assert seeds.standard_error(first) == pytest.approx(float(stats.sem([0.3, 0.5, 0.7])))
    assert landscape.standard_error(third) == pytest.approx(0.1)
    assert math.isnan(landscape.standard_error(first))
    with pytest.raises(ValueError, match=r"`configuration` must be in the landscape, but got .*, whose loss is not known\."):
        seeds.standard_error(second)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ([], r"`losses` must be the same number of folds for each seed, but got \[\]"),
        ([[0.1, 0.2], [0.3]], "`losses` must be the same number of folds for each seed, but got"),
        ([[0.1, 0.2], 0.3], "`losses` must be the same number of folds for each seed, but got"),
        ([0.1, float("inf")], "`losses` must be finite, but got inf"),
    ],
)
def test_what_are_no_folds_is_refused(loss: Loss, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Landscape({TWO.baseline: loss}, TWO)


def test_what_cannot_be_told_from_the_optimum() -> None:
    losses = (0.50, 0.40, 0.42, 0.45, 0.40, 0.43)
    single = Landscape.from_array(losses, TWO)
    assert [TWO.index(c) for c in single.optima()] == [1, 4]  # fewer active parameters first
    assert single.optima(standard_errors=1.0) == single.optima()
    folds = Landscape.from_array([[loss - 0.03, loss, loss + 0.03] for loss in losses], TWO)
    error = 0.03 / math.sqrt(3)
    assert folds.standard_error(folds.optimum) == pytest.approx(error)
    for count, expected in [(0.0, [1, 4]), (1.0, [1, 4]), (1.2, [1, 4, 2]), (2.0, [1, 4, 2, 5])]:
        found = [TWO.index(c) for c in folds.optima(standard_errors=count)]
        assert set(found) == {i for i, loss in enumerate(losses) if loss <= 0.4 + count * error + 1e-12} == set(expected)
        assert found[0] == TWO.index(folds.optimum)
    with pytest.raises(ValueError, match=r"`standard_errors` must be at least 0, but got -1\."):
        folds.optima(standard_errors=-1.0)


def test_an_array_by_index_is_the_quick_way() -> None:
    losses = np.random.default_rng(0).random((6, 2, 3))
    landscape = Landscape.from_array(losses, TWO)
    slow = Landscape({c: losses[TWO.index(c)] for c in TWO.configurations()}, TWO)
    assert dict(landscape.runs) == dict(slow.runs)
    assert dict(Landscape.from_array(losses[:, 0], TWO).samples) == {
        c: tuple(losses[TWO.index(c), 0]) for c in landscape.losses
    }
    for (i, a), (j, b) in itertools.product(enumerate(["none", "x", "y"]), enumerate(["none", "x"])):
        assert landscape.array[i, j] == landscape.loss({"a": a, "b": b}) == pytest.approx(losses[i + 3 * j].mean())
    with pytest.raises(ValueError, match="read-only"):
        landscape.array[0, 0] = 1.0


@pytest.mark.parametrize(
    ("losses", "space", "message"),
    [
        (np.zeros(5), TWO, r"`losses` must have 6 rows of 0 to 2 axes, but got the shape \(5,\)"),
        (np.zeros((6, 0)), TWO, r"`losses` must have 6 rows of 0 to 2 axes, but got the shape \(6, 0\)"),
        (np.full(6, np.nan), TWO, "`losses` must be finite, but got nan"),
        (
            np.zeros(4),
            OnlyWithA({"a": ["none", "x"], "b": ["none", "x"]}),
            "`space` must have no parameter without effect, but got the constrained OnlyWithA",
        ),
    ],
)
def test_what_is_no_array_of_losses_is_refused(losses: npt.NDArray[np.float64], space: SearchSpace, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Landscape.from_array(losses, space)


def test_the_array_of_a_constrained_space_repeats_the_canonical_form() -> None:
    space = OnlyWithA({"a": ["none", "x"], "b": ["none", "x"]})
    landscape = Landscape.from_function(lambda c: float(len(space.active(c))), space)
    assert landscape.array.tolist() == [[0.0, 0.0], [1.0, 2.0]]
    with pytest.raises(ValueError, match=r"`landscape` must be complete, but got 1 of 3 configurations\."):
        Landscape({space.baseline: 1.0}, space).check_complete()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), seeds=st.integers(1, 3), folds=st.integers(1, 3))
def test_a_long_csv_gives_folds_and_seeds_back(
    data: st.DataObject, seeds: int, folds: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "landscape.csv"
    landscape = Landscape.from_array(data.draw(arrays(float, (6, seeds, folds), elements=st.floats(-1e6, 1e6))), TWO)
    landscape.to_csv(path)
    header = ["a", "b"] + ["seed"] * (seeds > 1) + ["fold"] * (folds > 1) + ["loss"]
    assert path.read_text().splitlines()[0].split(",") == header
    assert len(path.read_text().splitlines()) == 1 + 6 * seeds * folds
    assert dict(Landscape.from_csv(path).runs) == dict(landscape.runs)


def test_seeds_and_folds_are_taken_by_their_labels(tmp_path: Path) -> None:
    path = tmp_path / "landscape.csv"
    path.write_text("a,b,seed,fold,loss\nnone,none,7,1,0.4\nnone,none,7,0,0.3\nnone,none,3,0,0.1\nnone,none,3,1,0.2\n")
    assert Landscape.from_csv(path, TWO).runs[TWO.baseline] == ((0.1, 0.2), (0.3, 0.4))
    path.write_text("a,b,seed,fold,loss\nnone,none,0,0,0.3\nnone,none,1,1,0.2\n")
    with pytest.raises(ValueError, match=r"`path` must hold every fold of every seed, but seed 0, fold 1 of .* is missing"):
        Landscape.from_csv(path, TWO)
    for empty, message in (("", "must have a column 'loss'"), ("a,b,loss\n", "must hold at least one configuration")):
        path.write_text(empty)
        with pytest.raises(ValueError, match=f"`path` {message}"):
            Landscape.from_csv(path, TWO)
    path.write_text("a,b,seed,loss\nnone,none,first,0.3\n")
    with pytest.raises(ValueError, match="`seed` must be a whole number, but got 'first'"):
        Landscape.from_csv(path, TWO)


def test_no_parameter_may_have_the_name_of_a_column() -> None:
    landscape = Landscape.from_array([0.1, 0.2], {"fold": ["none", "x"]})
    with pytest.raises(ValueError, match="`space` must have no parameter named seed, fold or loss, but got 'fold'"):
        landscape.frame()


def test_pooled_landscapes_are_each_others_seeds() -> None:
    losses = np.random.default_rng(0).random((3, 6, 2))
    each = [Landscape.from_array(part, TWO) for part in losses]
    pooled = Landscape.pooled(each)
    assert pooled.runs[TWO.baseline] == tuple(tuple(part[0]) for part in losses)
    assert pooled.samples[TWO.baseline] == pytest.approx(tuple(losses[:, 0].mean(axis=0)))
    part = Landscape({TWO.baseline: [0.1, 0.2]}, TWO)
    assert len(Landscape.pooled([each[0], part])) == 1
    for wrong, message in [
        ([], "`landscapes` must hold at least one landscape, but got none"),
        ([each[0], Landscape.from_array([0.1, 0.2], {"a": ["none", "x"]})], "`landscapes` must have one space, but got"),
        ([Landscape({TWO.configuration(1): 0.1}, TWO), part], "`landscapes` must have a configuration in common, but got none"),
    ]:
        with pytest.raises(ValueError, match=message):
            Landscape.pooled(wrong)


def test_as_an_objective_it_writes_what_its_loss_is_the_mean_of() -> None:
    landscape = Landscape.from_array(np.random.default_rng(0).random((6, 3)), TWO)
    study = optuna.create_study(sampler=ExhaustiveSampler(TWO))
    study.optimize(landscape)
    assert len(study.trials) == 6
    for trial in study.trials:
        configuration = TWO.canonical(trial.params)
        assert history.losses_of(trial) == landscape.samples[configuration]
        assert trial.value == landscape.losses[configuration]
    assert dict(Landscape.from_study(study, TWO).samples) == dict(landscape.samples)
    study = optuna.create_study(sampler=ExhaustiveSampler(TWO))
    study.optimize(numbered(), n_trials=1)
    assert history.losses_of(study.trials[0]) == ()


def test_of_a_repeated_configuration_the_first_trial_counts() -> None:
    study = optuna.create_study()
    space = {"a": ["none", "x"]}
    for value in (0.5, 0.3):
        study.add_trial(
            optuna.trial.create_trial(
                value=value, params={"a": "x"}, distributions={"a": optuna.distributions.CategoricalDistribution(["none", "x"])}
            )
        )
    assert dict(Landscape.from_study(study, space).losses) == {Configuration({"a": "x"}): 0.5}


def test_studies_that_hold_no_losses_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`study` must minimise one loss, but got \['maximize'\]\."):
        Landscape.from_study(optuna.create_study(direction="maximize"), TWO)
    with pytest.raises(ValueError, match=r"`study` must have a completed trial of the space, but .* has none\."):
        Landscape.from_study(optuna.create_study(), TWO)


def test_the_planted_landscape_traps_a_greedy_search() -> None:
    landscape = synergy_landscape()
    assert len(landscape) == 16
    assert landscape.optimum == on(1, 3) and landscape.minimum == 0.30
    singles = {i: landscape.loss(on(i)) for i in range(1, 5)}
    assert min(singles, key=singles.__getitem__) == 2
    assert all(landscape.loss(c) > landscape.loss(on(2)) for c in SPACE.forward_moves(on(2)))
    assert landscape.regret(on(2)) == pytest.approx(0.22)


def test_further_points_of_the_planted_landscape_are_inert() -> None:
    landscape = synergy_landscape(6, choice="concat_conv")
    assert len(landscape) == 64
    assert landscape.space.active(landscape.optimum) == {"layer1": "concat_conv", "layer3": "concat_conv"}
    both = landscape.optimum.replace(layer5="concat_conv", layer6="concat_conv")
    assert landscape.loss(both) == landscape.minimum
    with pytest.raises(ValueError, match=r"`points` must be at least 4, but got 3\."):
        synergy_landscape(3)
