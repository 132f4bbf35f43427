"""Racing: who is ended, after how many folds, and who never."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import optuna
import pytest
from scipy import stats

from nas_fusion import BackwardSampler, BeamSampler, ExhaustiveSampler, SFSASampler, history, write_losses
from nas_fusion.pruners import RacingPruner, least_folds
from nas_fusion.pruners.rounds import round_of
from nas_fusion.space import Configuration
from tests.nas_fusion_tests.pruners_tests.races import Losses, objective, points, race, switches
from tests.nas_fusion_tests.samplers_tests.studies import journal

N = 8
RIPPLE = np.array([0.03, -0.01, 0.02, -0.02, 0.01, 0.0, -0.03, 0.015])  # common to all: paired tests do not see it


def table(means: dict[str, float], *, default: float = 0.9, controls: float = 2.0, slope: float = 0.001) -> Losses:
    """Losses of eight folds around given means; differences grow from fold to fold so that no two of them are equal."""

    def losses(configuration: Configuration, is_control: bool) -> list[float]:
        mean = controls if is_control else means.get(points(configuration), default)
        return [float(x) for x in mean + RIPPLE + slope * mean * np.arange(N)]

    return losses


GREEDY = {"": 0.8, "1": 0.6, "2": 0.7, "3": 0.5, "13": 0.55, "23": 0.45, "123": 0.6}


@pytest.mark.parametrize(
    ("p", "expected"), [(0.1, 4), (0.05, 5), (0.0625, 5), (0.0626, 4), (0.2, 3), (0.3, 2), (0.4, 2), (0.01, 7)]
)
def test_the_least_number_of_folds(p: float, expected: int) -> None:
    assert least_folds(p) == expected
    worst = stats.wilcoxon(np.arange(1.0, expected + 1), alternative="greater").pvalue
    assert worst < p and stats.wilcoxon(np.arange(1.0, expected), alternative="greater").pvalue >= p


def test_a_candidate_that_lags_behind_the_best_of_its_round_is_ended_after_four_folds() -> None:
    found, study = race(SFSASampler(switches(3)), RacingPruner(), table(GREEDY))
    # Round 1: 1 is the first, 2 lags behind it, 3 leads. Round 2 on top of 3: 13 is worse than 3 itself, 23 better. Round 3.
    assert found == {"": "whole", "1": "whole", "2": 4, "3": "whole", "13": 4, "23": "whole", "123": 4}
    assert [points(c) for c in study.sampler.path(study)] == ["", "3", "23"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("p", "after"), [(0.1, 4), (0.05, 5), (0.01, 7), (0.004, 8), (0.003, "whole")])
def test_the_level_decides_after_how_many_folds(p: float, after: int | str) -> None:
    found, _ = race(SFSASampler(switches(2)), RacingPruner(p), table({"": 0.8, "1": 0.6, "2": 0.7}))
    assert found["2"] == after


def test_who_has_the_better_mean_goes_on_whatever_the_ranks_say() -> None:
    lags = np.array([0.01, 0.02, 0.03, 0.04, -0.9, 0.05, 0.06, 0.07, 0.08, 0.09])  # worse in nine of ten folds

    def losses(configuration: Configuration, is_control: bool) -> list[float]:
        return [float(x) for x in {"": 0.9 + 0 * lags, "1": 0.6 + 0 * lags}.get(points(configuration), 0.6 + lags)]

    assert stats.wilcoxon(lags, alternative="greater").pvalue < 0.05 and lags.mean() < 0
    found, _ = race(BeamSampler(switches(2), width=1), RacingPruner(0.05), losses)
    assert found["2"] == "whole"


def test_it_is_wilcoxons_test_fold_by_fold() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        leader, own = rng.normal(0.5, 0.1, N), rng.normal(0.55, 0.1, N)
        folds = {"": [9.0] * N, "1": leader.tolist(), "2": own.tolist(), "12": [9.0] * N}
        found, _ = race(SFSASampler(switches(2)), RacingPruner(0.2, n_folds=N), lambda c, _: folds[points(c)])  # noqa: B023
        expected: str | int = "whole"
        for n in range(3, N):
            lags = own[:n] - leader[:n]
            if lags.mean() > 0 and stats.wilcoxon(lags, alternative="greater").pvalue < 0.2:
                expected = n
                break
        assert found["2"] == expected


def test_what_has_no_more_folds_to_save_is_not_ended() -> None:
    losses = table({"": 0.8, "1": 0.6, "2": 0.7})
    four = lambda configuration, control: losses(configuration, control)[:4]  # noqa: E731
    assert race(SFSASampler(switches(2)), RacingPruner(), four)[0]["2"] == 4
    with pytest.warns(UserWarning, match="from 5 folds on"):
        assert race(SFSASampler(switches(2)), RacingPruner(n_folds=4), four)[0]["2"] == "whole"
    assert race(SFSASampler(switches(2)), RacingPruner(n_folds=N), losses)[0]["2"] == 4


def test_the_parent_must_be_improved_on_only_where_nothing_else_can_survive() -> None:
    worse = table({"": 0.5, "1": 0.6, "2": 0.55, "12": 0.7})
    assert race(SFSASampler(switches(2)), RacingPruner(), worse)[0] == {"": "whole", "1": 4, "2": 4}
    patient, _ = race(SFSASampler(switches(2), patience=2), RacingPruner(), worse)
    assert patient == {"": "whole", "1": "whole", "2": "whole", "12": "whole"}


def test_the_last_survivor_of_a_beam_is_who_must_be_reached() -> None:
    losses = table({"": 1.0, "1": 0.5, "2": 0.6, "3": 0.7, "4": 0.55})
    found, _ = race(BeamSampler(switches(4), width=2), RacingPruner(), losses)
    assert [found[name] for name in "1234"] == ["whole", "whole", 4, "whole"]


def test_controls_take_part_in_no_race_but_must_be_beaten() -> None:
    sampler = SFSASampler(switches(2), inherit="parent", control=True, speculate=False)
    losses = table({"": 0.9, "1": 0.6, "2": 0.7, "12": 0.5}, controls=0.55)
    found, study = race(sampler, RacingPruner(), losses)
    assert found == {"": "whole", "1": "whole", "2": 4, "*": "whole"}
    assert points(sampler.best(study) or {"p1": "on"}) == ""


def test_what_backward_search_begins_with_is_not_raced_against_the_baseline() -> None:
    losses = table({"": 0.5, "123": 0.9, "12": 0.4, "13": 0.8, "23": 0.95, "1": 0.6, "2": 0.6})
    found, study = race(BackwardSampler(switches(3)), RacingPruner(), losses)
    assert found["123"] == "whole" and found["23"] == 4 and found["12"] == "whole"
    assert points(study.sampler.best(study)) == "12"  # type: ignore[attr-defined]


def test_where_the_study_maximises() -> None:
    base = table(GREEDY)
    found, study = race(SFSASampler(switches(3)), RacingPruner(), lambda c, k: [-x for x in base(c, k)], direction="maximize")
    assert found == race(SFSASampler(switches(3)), RacingPruner(), base)[0]
    assert study.best_value == pytest.approx(-np.mean(base(Configuration({"p1": "off", "p2": "on", "p3": "on"}), False)))


def test_reported_losses_will_do_where_none_are_written() -> None:
    losses = table(GREEDY)
    assert (
        race(SFSASampler(switches(3)), RacingPruner(), losses, written=False)[0]
        == race(SFSASampler(switches(3)), RacingPruner(), losses)[0]
    )


def test_what_is_speculated_competes_with_nobody() -> None:
    space = switches(3)
    sampler = SFSASampler(space)
    study = optuna.create_study(sampler=sampler, pruner=RacingPruner())
    losses, trials = table(GREEDY), [study.ask()]

    def run(trial: optuna.Trial) -> None:
        configuration = space.suggest(trial)
        folds = losses(configuration, False)
        write_losses(trial, folds)
        study.tell(trial, float(np.mean(folds)))

    run(trials[0])
    trials += [study.ask() for _ in range(3)]
    run(trials[1])
    speculated = study.ask()  # on top of the first, as if the two that are running were worthless
    run_claim = history.claim_of(speculated)
    assert run_claim is not None and (run_claim.round, points(run_claim.parent or {})) == (2, "1")
    space.suggest(speculated)
    write_losses(speculated, [9.0] * N)
    assert round_of(study, study._storage.get_trial(speculated._trial_id)).mates == ()  # type: ignore[union-attr]
    assert speculated.should_prune()  # its parent is done, and it is worse than that
    study.tell(speculated, state=optuna.trial.TrialState.PRUNED)
    for trial in trials[2:]:
        run(trial)
    real = study.ask()
    space.suggest(real)
    found = round_of(study, study._storage.get_trial(real._trial_id))
    assert found is not None and found.mates == () and [points(t.params) for t in found.must_beat] == ["3"]


@pytest.mark.parametrize("sampler", [ExhaustiveSampler(switches(2)), optuna.samplers.RandomSampler(seed=0)])
def test_without_rounds_it_does_nothing(sampler: optuna.samplers.BaseSampler) -> None:
    space = switches(2)
    study = optuna.create_study(sampler=sampler, pruner=RacingPruner())
    study.optimize(objective(space, table({"": 0.5})), n_trials=4)
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}


def test_with_nothing_reported_nobody_is_ended() -> None:
    space = switches(2)
    study = optuna.create_study(sampler=SFSASampler(space), pruner=RacingPruner())
    trial = study.ask()
    assert not trial.should_prune()
    write_losses(trial, [0.5] * N)
    assert not trial.should_prune()  # the first of all has nobody to lag behind


def test_several_threads_on_a_journal(tmp_path: Path) -> None:
    space = switches(3)
    sampler = SFSASampler(space)
    study = optuna.create_study(storage=journal(tmp_path), sampler=sampler, pruner=RacingPruner())
    study.optimize(objective(space, table(GREEDY)), n_jobs=3)
    assert [points(c) for c in sampler.path(study)] == ["", "3", "23"]


def test_it_can_be_pickled_and_must_have_folds_enough() -> None:
    assert isinstance(pickle.loads(pickle.dumps(RacingPruner(0.2, n_folds=5))), RacingPruner)
    with pytest.warns(UserWarning, match="ends nothing before the last of 4 folds: it saves from 5 folds on"):
        RacingPruner(0.1, n_folds=4)
    with pytest.raises(ValueError, match=r"`racing` at p = 0.1 must have at least 4 folds to be able to prune .* but got 3"):
        RacingPruner(0.1, n_folds=3)
    for p in (0.0, 0.5, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"`p` must be in \(0, 0.5\), but got"):
            RacingPruner(p)
