from __future__ import annotations

import pickle
import subprocess
import sys

import optuna
import pytest
from optuna.samplers import BaseSampler

from nas_fusion import history, plugins
from nas_fusion.samplers import (
    OPTUNA_SAMPLERS,
    BeamSampler,
    ExhaustiveSampler,
    SFSASampler,
    load_sampler,
    state_of,
)
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, planted, points

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE = SearchSpace(choices(4))


def searched(sampler: BaseSampler, n_trials: int | None = None) -> optuna.Study:
    study = optuna.create_study(sampler=sampler)
    study.optimize(planted, n_trials=n_trials)
    return study


@pytest.mark.parametrize(("name", "kind"), [("sfsa", SFSASampler), ("beam", BeamSampler), ("exhaustive", ExhaustiveSampler)])
def test_ours_by_name(name: str, kind: type[SFSASampler]) -> None:
    sampler = load_sampler(name, choices(4), inherit="baseline", seed=1, n_trials=20)
    assert type(sampler) is kind
    assert sampler.inherit == "baseline"
    assert sampler.space.parameters == SPACE.parameters


def test_options_reach_the_sampler() -> None:
    sampler = load_sampler("beam", SPACE, width=1, patience=2)
    assert [points(c) for c in state_of(searched(sampler), SPACE, sampler).path] == [(), (2,), (1, 2), (1, 2, 3)]


@pytest.mark.parametrize("name", ["random", "tpe", "nsgaii", "bruteforce", "grid"])
def test_optunas_by_name(name: str) -> None:
    sampler = load_sampler(name, SPACE, seed=0)
    study = searched(sampler, 20)
    state = state_of(study, SPACE, sampler)
    seen = {points(t.params) for t in study.trials}
    assert {points(study.trials[n].params) for n in state.used} == seen
    assert sorted((*state.used, *state.in_vain)) == list(range(len(study.trials)))
    assert state.best is not None
    assert planted_value(state.best) == study.best_value == min(planted_value(study.trials[n].params) for n in state.used)
    assert state.path[-1] == state.best
    assert state.complete == (len(seen) == 16) == (name in ("bruteforce", "grid"))


def planted_value(configuration: object) -> float:
    return planted(optuna.trial.FixedTrial(dict(configuration)))  # type: ignore[call-overload, arg-type]


def test_a_seed_is_used() -> None:
    first, second = (searched(load_sampler("random", SPACE, seed=3), 10) for _ in range(2))
    assert [t.params for t in first.trials] == [t.params for t in second.trials]


@pytest.mark.parametrize("name", ["random", "tpe", "nsgaii"])
def test_a_sampler_made_anew_goes_on_instead_of_beginning_again(name: str) -> None:
    whole = searched(load_sampler(name, SPACE, seed=3), 24)
    resumed = optuna.create_study()
    for n_trials in (5, 1, 18):
        resumed.sampler = load_sampler(name, SPACE, seed=3)
        resumed.optimize(planted, n_trials=n_trials)
    drawn = [points(t.params) for t in whole.trials]
    assert [points(t.params) for t in resumed.trials] == drawn
    assert drawn != [points(t.params) for t in searched(load_sampler(name, SPACE, seed=4), 24).trials]
    assert len(set(drawn[:10])) > 5


def test_what_a_killed_process_was_to_evaluate_is_drawn_once_more() -> None:
    study = optuna.create_study(sampler=load_sampler("random", SPACE, seed=3))
    study.optimize(planted, n_trials=3)
    lost = study.ask()
    wanted = SPACE.suggest(lost)
    history.abandon(study, lost)
    study.sampler = pickle.loads(pickle.dumps(load_sampler("random", SPACE, seed=3)))
    assert SPACE.suggest(study.ask()) == wanted
    assert SPACE.suggest(study.ask()) != wanted


def test_the_state_of_a_foreign_search_honours_the_direction_and_breaks_ties() -> None:
    study = optuna.create_study(direction="maximize", sampler=load_sampler("bruteforce", SPACE, seed=1))
    study.optimize(lambda trial: float(bool(points(SPACE.suggest(trial)))))
    state = state_of(study, SPACE, study.sampler)
    assert [points(c) for c in state.path] == [(), (1,)]
    empty = state_of(optuna.create_study(), SPACE, optuna.samplers.RandomSampler())
    assert (empty.path, empty.best, empty.complete, empty.used) == ((), None, False, ())


def test_every_optuna_name_is_known() -> None:
    assert list(OPTUNA_SAMPLERS) == ["random", "tpe", "gp", "nsgaii", "bruteforce", "grid"]
    with pytest.raises(ValueError, match=r"`sampler` must be one of backward, beam, bruteforce, .*, tpe, but got 'annealing'"):
        load_sampler("annealing", SPACE)


@pytest.mark.parametrize("name", ["sfsa", "tpe", "grid"])
def test_an_unknown_option(name: str) -> None:
    with pytest.raises(ValueError, match=f"`options` must be options of the sampler '{name}', but got .*'depth': 3"):
        load_sampler(name, SPACE, depth=3)


def test_an_option_out_of_range() -> None:
    with pytest.raises(ValueError, match="`width` must be a whole number of at least 1, but got 0"):
        load_sampler("beam", SPACE, width=0)


@pytest.mark.parametrize("name", ["sfsa", "beam", "backward", "floating", "surrogate", "differentiable", "exhaustive"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forced": 5}, "`forced` must map parameters of the space to their choices, but got 5"),
        ({"forced": "layer1"}, "`forced` must map parameters of the space to their choices, but got 'layer1'"),
        ({"forced": [["layer1"]]}, "`forced` must map parameters of the space to their choices, but got"),
        ({"groups": 5}, "`groups` must be lists of at least two different parameters, but got 5"),
        ({"groups": "layer1"}, "`groups` must be lists of at least two different parameters, but got 'layer1'"),
        ({"groups": [5]}, "`groups` must be lists of at least two different parameters, but got 5"),
        ({"groups": [["layer1", ["layer2"]]]}, r"`groups` must name parameters among .*, but got \['layer2'\]"),
        ({"max_retries": "x"}, "`max_retries` must be a whole number of at least 0, but got 'x'"),
        ({"max_retries": 1.5}, "`max_retries` must be a whole number of at least 0, but got 1.5"),
    ],
)
def test_a_wrong_option_is_named_and_not_the_error_that_python_makes_of_it(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{message}"):
        load_sampler(name, SPACE, **options)


def test_a_plug_in_is_told_the_budget_if_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_registered", {kind: {} for kind in plugins.KINDS})
    told = []

    @plugins.register("samplers", "planner")
    def planner(space: SearchSpace, *, seed: int | None, inherit: str | None, n_trials: int | None) -> BaseSampler:
        told.append((seed, inherit, n_trials))
        return optuna.samplers.RandomSampler(seed=seed)

    plugins.register("samplers", "nonsense")(lambda space, **options: space)
    assert isinstance(load_sampler("planner", SPACE, seed=4, n_trials=7), optuna.samplers.RandomSampler)
    assert told == [(4, None, 7)]
    with pytest.raises(ValueError, match="`sampler` must make an Optuna sampler, but 'nonsense' made SearchSpace"):
        load_sampler("nonsense", SPACE)


def test_importing_the_samplers_loads_no_torch() -> None:
    code = "import sys, nas_fusion.samplers; print(sorted({'torch', 'monai', 'pandas', 'sklearn'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
