"""What the three searches do on known landscapes."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import optuna
import pytest
from optuna.trial import TrialState

from nas_fusion import history
from nas_fusion.samplers import BeamSampler, ExhaustiveSampler, SearchSampler, SFSASampler
from nas_fusion.space import Configuration, SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import (
    EVALUATIONS,
    PATHS,
    PLANTED,
    SAMPLERS,
    UPWARDS,
    choices,
    evaluated,
    lookup,
    planted,
    points,
    random_losses,
    run,
)

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Switches(SearchSpace):
    """Point b has no effect unless a is on, c none if a is on."""

    def is_active(self, parameter: str, configuration: dict[str, str]) -> bool:  # type: ignore[override]
        return {"b": configuration["a"] == "on", "c": configuration["a"] == "off"}.get(parameter, True)


SWITCHES = Switches({"a": ["off", "on"], "b": ["off", "x", "y"], "c": ["off", "x"]})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_planted_landscape(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4))
    study = run(made, planted)
    state = made.state(study)
    assert [points(c) for c in state.path] == PATHS[sampler]
    assert state.best == made.best(study) == made.path(study)[-1]
    assert state.used == tuple(range(EVALUATIONS[sampler]))
    assert (state.in_vain, state.surplus, state.skipped) == ((), (), ())
    assert state.complete
    assert len(study.trials) == EVALUATIONS[sampler] <= made.max_evaluations


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_wider_space_with_inert_points_changes_nothing(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(6))
    study = run(made, lambda trial: PLANTED[tuple(i for i in points(made.space.suggest(trial)) if i < 5)])
    path = [points(c) for c in made.path(study)]
    assert path == PATHS[sampler] if sampler in UPWARDS else path[-1] == (1, 3)


def test_first_rounds_in_order() -> None:
    study = run(SFSASampler(choices(4)), planted)
    space = SearchSpace(choices(4))
    assert [points(c) for c in evaluated(study, space)] == [(), (1,), (2,), (3,), (4,), (1, 2), (2, 3), (2, 4)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_maximise(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4))
    study = run(made, lambda trial: -planted(trial), direction="maximize")
    assert [points(c) for c in made.path(study)] == PATHS[sampler]
    assert len(study.trials) == EVALUATIONS[sampler]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_maximising_the_negative_is_minimising(sampler: Callable[..., SearchSampler]) -> None:
    space = SearchSpace(choices(3, ("mmtm", "concat_conv")))
    for seed in range(5):
        losses, made = random_losses(space, seed), sampler(space, inherit="parent")
        least = run(made, lookup(losses, space))
        most = run(made, lookup({c: -loss for c, loss in losses.items()}, space), direction="maximize")
        assert evaluated(least, space) == evaluated(most, space)
        assert made.state(least) == made.state(most)


@pytest.mark.parametrize(("tolerance", "path"), [(0.0, [(), (2,)]), (0.12, [(), (2,)]), (0.14, [()])])
def test_tolerance(tolerance: float, path: list[tuple[int, ...]]) -> None:
    sampler = SFSASampler(choices(4), tolerance=tolerance)
    study = run(sampler, planted)
    assert [points(c) for c in sampler.path(study)] == path


@pytest.mark.parametrize(("patience", "trials"), [(1, 8), (2, 11), (9, 11)])
def test_patience_passes_through_rounds_without_improvement(patience: int, trials: int) -> None:
    sampler = SFSASampler(choices(4), patience=patience)
    study = run(sampler, planted)
    # From {2}: {1,2} .54, {2,3} .54, {2,4} .54 (the tie goes to the first); from {1,2}: {1,2,3} .34, better than all before.
    expected = [(), (2,)] if patience == 1 else [(), (2,), (1, 2), (1, 2, 3)]
    assert [points(c) for c in sampler.path(study)] == expected
    assert len(study.trials) == trials


def test_ties_go_to_fewer_active_points_then_to_the_index() -> None:
    constant = run(ExhaustiveSampler(choices(3)), lambda trial: 0.0 * len(points(SearchSpace(choices(3)).suggest(trial))))
    assert points(ExhaustiveSampler(choices(3)).best(constant) or {"layer1": "?"}) == ()
    sampler = SFSASampler(choices(3))
    study = run(sampler, lambda trial: -float(bool(points(sampler.space.suggest(trial)))))
    assert [points(c) for c in sampler.path(study)] == [(), (1,)]

    losses = {(1, 2): 0.1, (3,): 0.1}  # {1, 2} has index 3, {3} has index 4 but fewer points
    every = ExhaustiveSampler(choices(3))
    study = run(every, lambda trial: losses.get(points(every.space.suggest(trial)), 1.0))
    assert points(every.best(study) or {}) == (3,)


def test_points_that_offer_several_modules() -> None:
    sampler = SFSASampler(choices(2, ("mmtm", "concat_conv")))
    wanted = {"layer1": "concat_conv", "layer2": "none"}
    study = run(sampler, lambda trial: 0.0 if sampler.space.suggest(trial) == wanted else 1.0)
    assert [dict(c) for c in sampler.path(study)] == [{"layer1": "none", "layer2": "none"}, wanted]
    assert len(study.trials) == 1 + 4 + 2 == sampler.max_evaluations


@pytest.mark.parametrize("inherit", ["none", "parent"])
@pytest.mark.parametrize("sampler", UPWARDS)
def test_parameters_without_effect(sampler: Callable[..., SearchSampler], inherit: str) -> None:
    canonical = [{}, {"a": "on"}, {"a": "on", "b": "x"}, {"a": "on", "b": "y"}, {"c": "x"}]
    losses = {SWITCHES.complete(c): loss for c, loss in zip(canonical, (0.9, 0.6, 0.5, 0.4, 0.7), strict=True)}
    made = sampler(SWITCHES, inherit=inherit)
    study = run(made, lambda trial: losses[SWITCHES.suggest(trial)])
    assert sorted(map(SWITCHES.index, evaluated(study, SWITCHES))) == sorted(map(SWITCHES.index, losses))
    assert [SWITCHES.active(c) for c in made.path(study)] == (
        [{}, canonical[3]] if sampler is ExhaustiveSampler else [{}, {"a": "on"}, canonical[3]]
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_baseline_wins(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(3))
    study = run(made, lambda trial: float(len(points(made.space.suggest(trial)))))
    assert made.path(study) == [made.space.baseline]


def test_parents_and_lineages() -> None:
    def lineages(sampler: SearchSampler) -> list[tuple[tuple[int, ...] | None, list[tuple[int, ...]], int | None]]:
        seen = []

        def objective(trial: optuna.Trial) -> float:
            parent, lineage, claim = history.parent_of(trial), history.lineage_of(trial), history.claim_of(trial)
            assert lineage is not None and claim is not None
            seen.append((None if parent is None else points(parent), [points(c) for c in lineage], claim.round))
            return planted(trial)

        study = run(sampler, objective)
        stored = [history.parent_of(trial) for trial in study.trials]
        assert [None if parent is None else points(parent) for parent in stored] == [parent for parent, _, _ in seen]
        return seen

    beam = {inherit: lineages(BeamSampler(choices(4), inherit=inherit)) for inherit in ("parent", "baseline", "none")}
    second = [((2,), [(), (2,)], 2)] * 3 + [((1,), [(), (1,)], 2)] * 2
    third = [((1, 3), [(), (1,), (1, 3)], 3)] * 2 + [((1, 2), [(), (2,), (1, 2)], 3)]
    assert beam["parent"] == [(None, [], 0)] + [((), [()], 1)] * 4 + second + third
    assert beam["baseline"] == [(p, [] if p is None else [()], r) for p, _, r in beam["parent"]]
    assert beam["none"] == [(p, [], r) for p, _, r in beam["parent"]]
    assert lineages(ExhaustiveSampler(choices(4), inherit="parent")) == [(None, [], 0)] + [((), [()], 1)] * 15
    assert lineages(ExhaustiveSampler(choices(4))) == [(None, [], 0)] + [((), [], 1)] * 15


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_search_by_ask_and_tell(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4))
    study = optuna.create_study(sampler=made)
    while made.outlook(study) == "open":
        trial = study.ask()
        study.tell(trial, planted(trial))
    assert made.outlook(study) == "complete"
    assert [points(c) for c in made.path(study)] == PATHS[sampler]
    surplus = study.ask()
    with pytest.raises(optuna.TrialPruned, match="The search is complete"):
        planted(surplus)
    study.tell(surplus, state=TrialState.PRUNED)
    with pytest.raises(optuna.TrialPruned, match="The search is complete"):
        study.ask({"layer1": optuna.distributions.CategoricalDistribution(["none", "mmtm"])})
    assert made.state(study).surplus == (EVALUATIONS[sampler], EVALUATIONS[sampler] + 1)
    assert history.surplus_reason(surplus) == "complete"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_complete_search_stops_the_study_and_trains_nothing(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4))
    study = run(made, planted)
    before = made.state(study)
    study.optimize(lambda trial: pytest.fail(f"trained {trial.number}") if planted(trial) else 0.0, n_trials=5)
    after = made.state(study)
    assert [trial.state for trial in study.trials[len(before.used) :]] == [TrialState.PRUNED]
    assert after.surplus == (len(before.used),)
    assert after.path == before.path


@pytest.mark.parametrize("n_trials", [1, 3, 7])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_sampler_object_goes_on(sampler: Callable[..., SearchSampler], n_trials: int) -> None:
    study = run(sampler(choices(4)), planted, n_trials=n_trials)
    made = sampler(choices(4))
    study.sampler = pickle.loads(pickle.dumps(made))
    study.optimize(planted)
    space = SearchSpace(choices(4))
    assert evaluated(study, space) == evaluated(run(sampler(choices(4)), planted), space)
    assert made.state(study).complete


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_sampler_object_for_two_studies(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4))
    studies = [optuna.create_study(sampler=made) for _ in range(2)]
    for _ in range(20):
        for study in studies:
            if made.outlook(study) == "open":
                study.optimize(planted, n_trials=1)
    for study in studies:
        assert [points(c) for c in made.path(study)] == PATHS[sampler]
        assert len(study.trials) == EVALUATIONS[sampler]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "`width` must be a whole number of at least 1, but got 0"),
        ({"width": 1.5}, "`width` must be a whole number of at least 1, but got 1.5"),
        ({"patience": math.inf}, "`patience` must be a whole number of at least 1, but got inf"),
        ({"patience": 0}, "`patience` must be a whole number of at least 1, but got 0"),
        ({"tolerance": -0.1}, "`tolerance` must be a finite number of at least 0, but got -0.1"),
        ({"tolerance": math.nan}, "`tolerance` must be a finite number of at least 0, but got nan"),
        ({"max_retries": -1}, "`max_retries` must be a whole number of at least 0, but got -1"),
        ({"inherit": "father"}, "`inherit` must be one of parent, baseline, none, but got 'father'"),
    ],
)
def test_options_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BeamSampler(choices(2), **options)  # type: ignore[arg-type]


def test_inheritance_is_the_spaces_own_by_default() -> None:
    assert SFSASampler(choices(2)).inherit == "none"
    assert SFSASampler(SearchSpace(choices(2), inherit="parent")).inherit == "parent"
    assert SFSASampler(SearchSpace(choices(2), inherit="parent"), inherit="baseline").inherit == "baseline"


def test_multiple_objectives_are_refused() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=SFSASampler(choices(2)))
    with pytest.raises(ValueError, match="SFSASampler cannot be used"):
        study.ask()


def test_state_before_the_first_evaluation() -> None:
    sampler = SFSASampler(choices(2))
    study = optuna.create_study(sampler=sampler)
    state = sampler.state(study)
    assert (state.path, state.best, state.complete, state.used) == ((), None, False, ())
    assert sampler.outlook(study) == "open"
    assert isinstance(sampler.space.baseline, Configuration)
