from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.analysis import Landscape, synergy_landscape
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
