"""The surrogate sampler: what it finds for what budget, and that its batches depend on nothing but the history."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase

import nas_fusion
from nas_fusion import history
from nas_fusion.analysis import families
from nas_fusion.analysis.landscape import Landscape
from nas_fusion.samplers import SurrogateSampler, _base
from nas_fusion.samplers.engine import Key
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.samplers_tests.engines import Table
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, evaluated, planted, points, run
from tests.nas_fusion_tests.samplers_tests.studies import sqlite

optuna.logging.set_verbosity(optuna.logging.WARNING)
SHARES = {6: 25, 8: 51, 10: 102}  # 40, 20 and 10 per cent of all


class TestSurrogateSampler(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: SurrogateSampler(choices(3), seed=0)


# --- what it finds ---


def first_hit(landscape: Landscape, n_trials: int | None = None) -> int:
    """After how many evaluations an optimum is found."""
    study = run(SurrogateSampler(landscape.space, n_trials=n_trials), landscape)
    regrets = [landscape.regret(configuration) for configuration in evaluated(study, landscape.space)]
    return next((number for number, regret in enumerate(regrets, 1) if regret < 1e-9), 10**9)


@pytest.mark.parametrize(("m", "at_most"), [(4, 9), (6, 18), (8, 34), (10, 55)])
def test_synergy_is_found_long_before_all_is_tried(m: int, at_most: int) -> None:
    assert first_hit(families.synergy_landscape(m)) <= at_most <= SHARES.get(m, 9)


@pytest.mark.parametrize(
    "family", [families.additive, families.diminishing, families.synergy_pairs, families.trap, families.quadratic]
)
def test_optima_of_second_order_are_found_within_the_default_budget(family: Callable[..., Landscape]) -> None:
    for m in (6, 8):
        assert all(first_hit(family(m, 20_000 + seed)) <= SHARES[m] for seed in range(3))


def test_modules_are_chosen_too() -> None:
    space = SearchSpace(choices(5, ("mmtm", "concat_conv", "attention")))

    def loss(chosen: Mapping[str, str]) -> float:
        pair = chosen["layer2"] == "attention" and chosen["layer5"] == "mmtm"
        return 0.65 - 0.3 * pair - 0.05 * (chosen["layer1"] == "concat_conv") + 0.01 * (chosen["layer3"] != "none")

    landscape = Landscape.from_function(loss, space)
    assert len(landscape) == 1024
    assert first_hit(landscape, n_trials=102) <= 102


def test_noise_of_folds_is_allowed_for() -> None:
    truth = families.synergy_pairs(6, 20_003)
    seen = families.noisy(truth, sd=0.04, folds=5, seed=4)
    sampler = SurrogateSampler(seen.space)
    study = run(sampler, seen)
    best = sampler.best(study)
    assert best is not None
    assert truth.regret(best) <= 0.04 / math.sqrt(5)


def test_large_spaces_are_searched_without_listing_them() -> None:
    space = SearchSpace(choices(24))
    weights = np.random.default_rng(20_000).normal(size=24)

    def objective(trial: optuna.Trial) -> float:
        active = np.array([choice != "none" for choice in space.suggest(trial).values()])
        return float(active @ weights - 3.0 * (active[2] and active[7]))

    sampler = SurrogateSampler(space, n_trials=64, batch_size=8)
    study = run(sampler, objective)
    optimum = np.minimum(weights, 0).sum() - 3.0 + np.maximum(weights[[2, 7]], 0).sum()
    assert len(study.trials) == 64
    assert study.best_value < 0.9 * optimum


# --- what is asked of it ---


def test_the_default_budget_is_that_of_second_order() -> None:
    budgets = {m: SurrogateSampler(choices(m)).max_evaluations for m in (1, 2, 3, 4, 6, 8, 10)}
    assert budgets == {1: 2, 2: 4, 3: 8, 4: 13, 6: 25, 8: 42, 10: 63}
    assert SurrogateSampler(choices(3), n_trials=100).max_evaluations == 8
    assert SurrogateSampler(choices(8), n_trials=10).max_evaluations == 10
    assert SurrogateSampler(choices(6), forced={"layer1": "mmtm"}, groups=[["layer2", "layer3"]]).max_evaluations == 13
    assert len(run(SurrogateSampler(choices(4), n_trials=7, batch_size=3), planted).trials) == 7


@pytest.mark.parametrize("option", ["n_trials", "batch_size"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_budgets_and_batches_are_whole_numbers(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{option}` must be a whole number of at least 1, but got {value}"):
        SurrogateSampler(choices(3), **{option: value})  # type: ignore[arg-type]


def test_the_whole_space_is_evaluated_once_if_the_budget_allows() -> None:
    sampler = SurrogateSampler(choices(4), n_trials=16)
    study = run(sampler, planted)
    assert len(study.trials) == len({*evaluated(study, sampler.space)}) == 16
    assert [points(configuration) for configuration in sampler.path(study)] == [(), (1, 3)]
    assert sampler.state(study).complete


def test_what_is_forced_and_grouped_is_kept() -> None:
    sampler = SurrogateSampler(choices(6), forced={"layer6": "mmtm"}, groups=[["layer1", "layer3"]])
    study = run(
        sampler, lambda trial: families._PLANTED[points({**sampler.space.suggest(trial), "layer5": "none", "layer6": "none"})]
    )
    found = [points(configuration) for configuration in evaluated(study, sampler.space)]
    assert found[0] == (6,)
    assert all(6 in chosen and (1 in chosen) == (3 in chosen) for chosen in found)
    best = sampler.best(study)
    assert best is not None
    assert points(best) == (1, 3, 6)


def test_if_all_is_forced_there_is_one_evaluation() -> None:
    sampler = SurrogateSampler(choices(2), forced={"layer1": "mmtm", "layer2": "none"})
    study = run(sampler, lambda trial: float(len(points(sampler.space.suggest(trial)))))
    assert [points(configuration) for configuration in evaluated(study, sampler.space)] == [(1,)]
    assert sampler.max_evaluations == 1


def test_a_study_may_maximise() -> None:
    minimised, maximised = SurrogateSampler(choices(5)), SurrogateSampler(choices(5))
    landscape = families.quadratic(5, 20_000)
    one = run(minimised, landscape)
    other = run(maximised, lambda trial: -landscape(trial), direction="maximize")
    assert [trial.params for trial in one.trials] == [trial.params for trial in other.trials]
    assert minimised.path(one) == maximised.path(other)


# --- batches ---


@dataclass(frozen=True)
class Rounds(Table):
    """What is known, with the rounds of claims."""

    chosen: Mapping[Key, int] = field(default_factory=dict)

    def rounds(self) -> Mapping[Key, int]:
        return self.chosen


def searched(sampler: SurrogateSampler, landscape: Landscape, n_workers: int, chance: random.Random) -> list[tuple[int, int]]:
    """Evaluate by several workers who end in any order and now and then start anew or die; return configurations, rounds."""
    engine, costs, running, chosen = sampler._engine(), dict[Key, float](), set[Key](), dict[Key, int]()
    while not engine.is_complete(Rounds(costs)):
        if chance.random() < 0.2:
            engine = sampler._engine()
        if running and chance.random() < 0.1:
            running.discard(chance.choice(sorted(running)))  # it died; that it had claimed may have been forgotten
            chosen = {key: round_ for key, round_ in chosen.items() if key in costs or key in running or chance.random() < 0.5}
        engine.refresh(Rounds(costs, running, chosen=chosen))
        while len(running) < n_workers and (move := engine.next_move(Rounds(costs, running, chosen=chosen))) is not None:
            assert move.key not in costs and move.key not in running and move.claim.round is not None
            running.add(move.key)
            chosen[move.key] = move.claim.round
            engine.refresh(Rounds(costs, running, chosen=chosen))
        key = chance.choice(sorted(running))
        running.remove(key)
        costs[key] = landscape.loss(sampler.space.configuration(key.configuration))
    return sorted((chosen[key], key.configuration) for key in costs)


@pytest.mark.parametrize("inherit", ["none", "parent"])
def test_any_number_of_workers_evaluates_the_same(inherit: str) -> None:
    for seed in range(3):
        landscape = families.quadratic(6, 20_000 + seed)
        sampler = SurrogateSampler(landscape.space, batch_size=4, inherit=inherit)
        study = run(sampler, landscape)
        serial = [
            (claim.round, landscape.space.index(claim.configuration))
            for trial in study.trials
            if (claim := history.claim_of(trial)) is not None and claim.configuration is not None
        ]
        assert len(serial) == 25
        assert [round_ for round_, _ in serial] == [i // 4 for i in range(25)]
        for n_workers in (1, 2, 4, 9):
            assert searched(sampler, landscape, n_workers, random.Random(n_workers)) == sorted(serial)


def test_a_batch_waits_for_its_last_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base, "WAIT_S", 0.05)
    sampler = SurrogateSampler(choices(4), batch_size=3)
    study = optuna.create_study(sampler=sampler)
    trials = [study.ask() for _ in range(3)]
    assert sampler.outlook(study) == "waiting"
    assert history.surplus_reason(study.ask()) == "waiting"
    for trial in trials[1:]:
        study.tell(trial, planted(trial))
    assert sampler.outlook(study) == "waiting"
    study.tell(trials[0], planted(trials[0]))
    assert sampler.outlook(study) == "open"
    claim = history.claim_of(study.ask())
    assert claim is not None and claim.round == 1


@pytest.mark.parametrize("inherit", ["parent", "baseline"])
def test_weights_come_from_the_baseline_which_comes_first(inherit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base, "WAIT_S", 0.05)
    sampler = SurrogateSampler(choices(4), batch_size=4, inherit=inherit)
    study = optuna.create_study(sampler=sampler)
    first = study.ask()
    assert history.surplus_reason(study.ask()) == "waiting"
    study.tell(first, planted(first))
    claims = [history.claim_of(study.ask()) for _ in range(3)]
    assert all(claim is not None and claim.lineage == (sampler.space.baseline,) and claim.round == 0 for claim in claims)


def test_another_process_continues_in_the_middle_of_a_batch(tmp_path: Path) -> None:
    landscape = families.quadratic(6, 20_005)
    serial = run(SurrogateSampler(landscape.space, batch_size=4), landscape)
    study = optuna.create_study(storage=sqlite(tmp_path), sampler=SurrogateSampler(landscape.space, batch_size=4))
    for n in (2, 3, 1, 7):
        study.sampler = SurrogateSampler(landscape.space, batch_size=4)
        study.optimize(landscape, n_trials=n)
    study.sampler = SurrogateSampler(landscape.space, batch_size=4)
    study.optimize(landscape)
    assert [trial.params for trial in study.trials] == [trial.params for trial in serial.trials]


# --- what does not go as planned ---


@pytest.mark.parametrize("end", ["pruned", "inf", "marked", "fail"])
def test_what_has_no_value_is_passed_over(end: str) -> None:
    sampler = SurrogateSampler(choices(4), n_trials=16, max_retries=0)

    def objective(trial: optuna.Trial) -> float:
        chosen = points(sampler.space.suggest(trial))
        if chosen not in ((), (1, 2), (1, 3)):
            return planted(trial)
        if end == "pruned":
            raise optuna.TrialPruned
        if end == "marked":
            history.mark_non_finite(trial, math.nan)
        return math.nan if end != "inf" else math.inf

    if end == "fail":
        with pytest.warns(UserWarning, match="the search goes on without it"):
            study = run(sampler, objective)
    else:
        study = run(sampler, objective)
    state = sampler.state(study)
    assert state.complete
    assert len(study.trials) == 16
    assert [points(configuration) for configuration in state.path] == [(), (1, 3, 4)]
    assert len(state.skipped) == (3 if end == "fail" else 0)


def test_nothing_finite_at_all_ends_too() -> None:
    sampler = SurrogateSampler(choices(3))
    study = run(sampler, lambda trial: math.inf * (1 + len(points(sampler.space.suggest(trial)))))
    assert sampler.state(study).complete
    assert sampler.best(study) is None
    assert len(study.trials) == 8


def test_failures_are_repeated_and_change_nothing() -> None:
    landscape = families.quadratic(5, 20_001)
    sampler = SurrogateSampler(landscape.space)
    chance = random.Random(0)

    def unlucky(trial: optuna.Trial) -> float:
        loss = landscape(trial)
        if trial.number % 3 == 1 and chance.random() < 0.7:
            raise RuntimeError("out of luck")
        return loss

    serial = run(SurrogateSampler(landscape.space), landscape)
    study = run(sampler, unlucky, catch=RuntimeError)
    assert len(study.trials) > len(serial.trials)
    assert {*evaluated(study, landscape.space)} == {*evaluated(serial, landscape.space)}


def test_what_others_evaluated_is_evidence_and_counts() -> None:
    landscape = families.synergy_landscape(6)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(landscape, n_trials=15)
    before = {*evaluated(study, landscape.space)}
    sampler = SurrogateSampler(landscape.space)
    study.sampler = sampler
    study.optimize(landscape)
    after = evaluated(study, landscape.space)[15:]
    assert after[0] == landscape.space.baseline or landscape.space.baseline in before
    assert not before & {*after}
    assert len(before) + len(after) == len({*before, *after}) == 25
    assert sampler.best(study) == landscape.optimum


def test_what_users_enqueue_is_not_evaluated_again_and_counts() -> None:
    landscape = families.synergy_landscape(4)
    sampler = SurrogateSampler(landscape.space)
    study = optuna.create_study(sampler=sampler)
    study.optimize(landscape, n_trials=2)
    for active in ((1, 3), (2,), (4,)):
        study.enqueue_trial(dict(landscape.space.complete({f"layer{i}": "mmtm" for i in active})))
    study.optimize(landscape)
    found = [points(configuration) for configuration in evaluated(study, landscape.space)]
    assert found[2:5] == [(1, 3), (2,), (4,)]
    assert len(found) == len({*found}) == 13
    assert [points(configuration) for configuration in SurrogateSampler(landscape.space).path(study)] == [(), (1, 3)]


def test_losses_of_folds_reach_the_model() -> None:
    landscape = families.quadratic(5, 20_002)
    draws = np.random.default_rng(0).normal(size=(32, 4))

    def folds_with(noise: float) -> Callable[[optuna.Trial], float]:
        def objective(trial: optuna.Trial) -> float:
            loss, around = landscape(trial), draws[trial.number] - draws[trial.number].mean()
            nas_fusion.write_losses(trial, (loss + noise * around + [0.0, 0.1, 0.2, 0.3]).tolist())
            return loss

        return objective

    def asked(objective: Callable[[optuna.Trial], float]) -> list[dict[str, str]]:
        return [trial.params for trial in run(SurrogateSampler(landscape.space), objective).trials]

    exact = asked(landscape)
    assert asked(folds_with(0.0)) == exact  # that folds differ alike for all is no noise
    noisy = asked(folds_with(0.5))
    assert noisy[:2] == exact[:2]
    assert noisy != exact
