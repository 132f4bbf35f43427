from __future__ import annotations

import optuna
import pytest

from nas_fusion.analysis import FAMILIES, Landscape, cheapest, noisy, synergy_landscape
from nas_fusion.samplers import SFSASampler
from nas_fusion.space import Configuration
from nas_fusion.study.escapes import ESCAPES, escapes
from nas_fusion.study.replay import replay

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def points(configuration: Configuration) -> str:
    return "".join(name.removeprefix("layer") for name, choice in configuration.items() if choice != "none")


def test_greedy_search_on_the_planted_landscape() -> None:
    run = replay(synergy_landscape(), "sfsa")
    assert [points(c) for c in run.order] == ["", "1", "2", "3", "4", "12", "23", "24"]
    assert run.regrets == pytest.approx([0.35, 0.31, 0.22, 0.22, 0.22, 0.22, 0.22, 0.22])
    assert [points(c) for c in run.path] == ["", "2"]
    assert points(run.best) == "2" and run.regret == pytest.approx(0.22)
    assert (run.evaluations, run.duplicates) == (8, 0)
    assert run.evaluations_to() is None and run.evaluations_to(0.25) == 3


@pytest.mark.parametrize("name", ["exhaustive", "bruteforce", "grid"])
def test_samplers_that_go_everywhere_find_the_optimum(name: str) -> None:
    run = replay(FAMILIES["nk3"](5, 1), name, seed=2)
    assert run.evaluations == 32 and run.duplicates == 0 and run.regret == 0
    assert run.regrets[-1] == 0 and list(run.regrets) == sorted(run.regrets, reverse=True)


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_optuna_s_samplers_have_a_budget_and_a_seed(name: str) -> None:
    landscape = FAMILIES["nk3"](4, 1)
    run = replay(landscape, name, seed=1)
    assert run.evaluations == 16 == len(run.regrets)
    assert run.duplicates == 16 - len(set(run.order)) > 0
    assert replay(landscape, name, seed=1) == run != replay(landscape, name, seed=2)
    assert replay(landscape, name, seed=1, n_trials=5).order == run.order[:5]


def test_regret_is_measured_by_the_truth_where_one_is_given() -> None:
    truth = synergy_landscape()
    seen = noisy(truth, sd=0.05, seed=1)
    run = replay(seen, "exhaustive", truth=truth)
    assert run.best == seen.optimum and run.regret == truth.regret(seen.optimum)
    assert replay(seen, "exhaustive").regret == 0.0


def test_a_sampler_as_it_is_and_what_optuna_logs_is_left_as_it_was() -> None:
    landscape, verbosity = synergy_landscape(), optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    assert replay(landscape, SFSASampler(landscape.space)).order == replay(landscape, "sfsa").order
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    optuna.logging.set_verbosity(verbosity)


def test_wrong_use_is_refused() -> None:
    landscape = synergy_landscape()
    with pytest.raises(ValueError, match=r"`n_trials` must be at least 1, but got 0\."):
        replay(landscape, "sfsa", n_trials=0)
    with pytest.raises(ValueError, match="`sampler` must be one of"):
        replay(landscape, "nonsense")
    part = Landscape({landscape.space.baseline: 0.65}, landscape.space)
    with pytest.raises(ValueError, match="`configuration` must be in the landscape, but got"):
        replay(part, "sfsa")
    with pytest.raises(ValueError, match=r"`landscape` must be complete, but got 1 of 16 configurations\."):
        escapes(part)


def test_ways_out_of_the_planted_trap() -> None:
    found = escapes(synergy_landscape())
    told = {(e.sampler, *e.options.values()): (e.evaluations, e.finds) for e in found}
    assert len(told) == len(ESCAPES)
    assert told["sfsa",] == (8, False) and told["sfsa", 3] == (11, False)
    assert told["beam", 2] == (13, True) and told["backward",] == (11, True)
    assert told["floating", "forward"] == (16, True) and told["exhaustive",] == (16, True)
    best = cheapest(found)
    assert best is not None and best.sampler == "backward"
    assert best.regret == 0 and best.found_after == 9 and points(best.order[8]) == "13"


def test_what_lies_within_one_standard_error_counts_as_found() -> None:
    landscape = synergy_landscape()
    rough = Landscape({c: [loss - 0.4, loss + 0.4] for c, loss in landscape.losses.items()}, landscape.space)
    (only,) = escapes(rough, standard_errors=1.0, candidates=[("sfsa", {})])
    assert only.finds and only.found_after == 1 and only.regret == pytest.approx(0.22)
