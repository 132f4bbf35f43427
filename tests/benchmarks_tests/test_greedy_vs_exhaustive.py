"""The benchmark of samplers on landscapes: its arithmetic by hand, its harness on landscapes small enough to check."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from scipy.stats import binomtest

from benchmarks.greedy_vs_exhaustive.__main__ import NAME, RECORDS, jobs, main, parse
from benchmarks.greedy_vs_exhaustive.claims import margin
from benchmarks.greedy_vs_exhaustive.costs import costs, evaluations_for, regrets
from benchmarks.greedy_vs_exhaustive.known import Known, Searched, code_of, key_of
from benchmarks.greedy_vs_exhaustive.landscapes import Problem, Target, recordings, shuffled, synthetic
from benchmarks.greedy_vs_exhaustive.measures import (
    bootstrap_mean,
    evaluations_until,
    first_times,
    regret_curve,
    training_cost,
    wilson,
)
from benchmarks.greedy_vs_exhaustive.run import Result, budget, result, trials
from benchmarks.greedy_vs_exhaustive.searchers import SEARCHERS, search
from benchmarks.greedy_vs_exhaustive.show import page, short
from benchmarks.greedy_vs_exhaustive.summary import entry, facts, grid
from nas_fusion import Landscape, SearchSpace
from nas_fusion.analysis.families import FAMILIES

SPACE = SearchSpace({"a": ["none", "mmtm"], "b": ["none", "mmtm"]})
PROBLEM = Problem("trap", 4, 0)


def made(
    searcher: str, *order: int, problem: Problem = PROBLEM, losses: tuple[float, ...] = (0.8, 0.6, 0.4, 0.2) * 4
) -> Result:
    """A search that evaluated some configurations; the optimum has loss 0.2, a configuration drawn blindly a regret of 0.3."""
    return result(problem, searcher, Searched(order, 0.5), np.array(losses), Target(0.2, 0.2, 0.3))


# --- measures ---


def test_regret_is_that_of_the_best_so_far_and_is_kept() -> None:
    curve = regret_curve([0.5, 0.7, 0.3], minimum=0.1, scale=0.2, length=5)
    assert curve == pytest.approx([2.0, 2.0, 1.0, 1.0, 1.0])
    assert regret_curve([0.5, 0.7, 0.3], minimum=0.1, scale=0.2, length=2) == pytest.approx([2.0, 2.0])


def test_evaluations_until_a_loss_is_seen() -> None:
    assert evaluations_until([0.5, 0.3, 0.2, 0.2], 0.3) == 2
    assert evaluations_until([0.5, 0.3], 0.1) is None


def test_first_times() -> None:
    assert first_times([3, 1, 3, 3, 0, 1]).tolist() == [True, True, False, False, True, False]


def test_training_cost_of_searches_with_and_without_inheritance() -> None:
    assert training_cost(np.array([1.0, 11.0]), ratio=0.2, inherits=True).tolist() == [1.0, 3.0]
    assert training_cost(np.array([1.0, 11.0]), ratio=0.2, inherits=False).tolist() == [1.0, 11.0]


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (9, 10), (95, 100), (100, 100)])
def test_wilson_equals_scipy(successes: int, n: int) -> None:
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bootstrap_resamples_groups() -> None:
    values = np.array([0.0, 0.0, 1.0, 1.0])
    assert bootstrap_mean(np.ones(5)) == (1.0, 1.0)
    assert bootstrap_mean(values, groups=np.array([0, 1, 0, 1])) == (0.5, 0.5)  # every group has the same mean
    many = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap_mean(many)
    assert high - low == pytest.approx(2 * 1.96 * many.std() / np.sqrt(400), rel=0.1)


# --- landscapes ---


def test_target_allows_one_standard_error() -> None:
    exact = Landscape({c: loss for c, loss in zip(SPACE.configurations(), (0.5, 0.3, 0.1, 0.7), strict=True)}, SPACE)
    assert Target.of(exact) == Target(0.1, 0.1 + 1e-12, pytest.approx(0.3))
    seen = Landscape.from_array([[0.5, 0.5], [0.11, 0.13], [0.08, 0.12], [0.7, 0.7]], SPACE)  # optimum 0.10 with error 0.02
    assert Target.of(seen).limit == pytest.approx(0.12)


def test_points_in_another_order_keep_their_losses() -> None:
    landscape = FAMILIES["noisy-additive"](4, 3)
    other = shuffled(landscape, 2)
    assert list(other.space.parameters) != list(landscape.space.parameters)
    assert sorted(other.space.parameters) == sorted(landscape.space.parameters)
    assert dict(other.samples) == dict(landscape.samples)


def test_problems_are_the_reported_seeds_of_families_that_have_the_size() -> None:
    problems = synthetic(["trap", "nk5"], {4: 2, 6: 2})
    assert [(p.family, p.m, p.seed) for p in problems] == [
        ("trap", 4, 0), ("trap", 4, 1), ("trap", 6, 0), ("trap", 6, 1), ("nk5", 6, 0), ("nk5", 6, 1),
    ]  # fmt: skip


def test_recorded_tables_are_problems_in_several_orders(tmp_path: Path) -> None:
    FAMILIES["trap"](4, 0).to_csv(tmp_path / "discordance_seed2.csv")
    parameters = {f"layer{i}": ["none", "mmtm"] for i in range(1, 5)}
    (tmp_path / "made.json").write_text(json.dumps({"discordance_seed2": {"parameters": parameters}}))
    problems = recordings([4], 3, tmp_path)
    assert [(p.family, p.m, p.seed, p.group) for p in problems] == [
        ("recorded discordance", 4, order, "discordance_seed2") for order in range(3)
    ]
    assert problems[1].build().minimum == 0.30
    assert recordings([6], 3, tmp_path) == []


# --- searches ---


def test_searches_are_those_of_the_samplers() -> None:
    landscape = FAMILIES["trap"](4, 0)
    order = search(landscape, SEARCHERS["sfsa"], n_trials=16, seed=0)
    assert order[:5] == [0, 1, 2, 4, 8] and len(order) == 8  # trapped: the planted landscape's 8 evaluations
    assert search(landscape, SEARCHERS["exhaustive"], n_trials=16, seed=0) == list(range(16))
    assert sorted(search(landscape, SEARCHERS["bruteforce"], n_trials=16, seed=0)) == list(range(16))
    assert len(search(landscape, SEARCHERS["random"], n_trials=5, seed=0)) == 5


def test_result_counts_what_was_evaluated() -> None:
    found = made("random", 0, 0, 1, 0, 3)
    assert (found.evaluations, found.distinct, found.found) == (5, 3, 5)
    assert found.regret[:5] == pytest.approx([2.0, 2.0, 4 / 3, 4 / 3, 0.0])
    assert found.regret_of_distinct[:4] == pytest.approx([2.0, 4 / 3, 0.0, 0.0])
    assert len(found.regret) == 16


def test_budgets_and_numbers_of_trials() -> None:
    assert [budget(m, 2**m) for m in (4, 6, 8, 10)] == [12, 25, 51, 102]
    assert trials("sfsa", 6, 64) == 64 and trials("tpe", 10, 1024) == 128 and trials("gp", 10, 1024) == 102
    assert trials("tpe", 4, 16) == 16


def test_what_was_searched_is_known_by_landscape_sampler_trials_and_seed(tmp_path: Path) -> None:
    path, landscape = tmp_path / "known.jsonl", FAMILIES["trap"](4, 0)
    key = key_of(landscape, "tpe", 16, 0)
    Known(path).add([(key, Searched((3, 1), 0.25))])
    Known(path).add([(key, Searched((3, 1), 0.25))])
    assert Known(path).get(key) == Searched((3, 1), 0.25)
    assert len(path.read_text().splitlines()) == 1
    assert key_of(landscape, "tpe", 16, 0).endswith(f"optuna-{optuna.__version__}")
    assert key_of(landscape, "sfsa", 16, 0).endswith(code_of("sfsa"))
    assert len({code_of("sfsa"), code_of("surrogate"), code_of("exhaustive")}) == 3
    others = [key_of(FAMILIES["trap"](4, 1), "tpe", 16, 0), key_of(landscape, "gp", 16, 0), key_of(landscape, "tpe", 16, 1)]
    assert [Known(path).get(other) for other in others] == [None, None, None]


# --- summary and claims ---


def test_facts_of_a_searcher() -> None:
    found = facts([made("random", 0, 0, 1, 3), made("random", 0, 2, 0, 0, problem=Problem("trap", 4, 1))], 3)
    assert found["found"] == [0.5, *wilson(1, 2)] and found["found_in_budget"] == [0.0, *wilson(0, 2)]
    assert (found["evaluations"], found["until_found"], found["repeated"]) == (4.0, (4 + 16) / 2, (1 / 4 + 2 / 4) / 2)
    assert found["regret"][:4] == pytest.approx([2.0, 4 / 3, 1.0, 1 / 3], abs=1e-5)


def test_margin_is_the_worst_after_the_first_round() -> None:
    second = Problem("trap", 4, 1)
    ours = [made("surrogate long", 0, 1, 1, 1, 1, 1, 3), made("surrogate long", 0, 3, problem=second)]
    peers = [made("tpe", 0, 1, 2, 2, 2, 3), made("tpe", 0, 0, 0, 0, 0, 0, 3, problem=second)]
    # after 5 evaluations ours: 4/3 and 0, theirs 2/3 and 2; after 6 ours 4/3 and 0, theirs 0 and 2; after 7 all 0
    found = margin(ours, peers)
    assert (found["worst"], found["at"], found["n"]) == (pytest.approx(0.0), 7, 2)
    assert margin(ours[:1], peers[:1])["worst"] == pytest.approx(4 / 3) and margin(ours[:1], peers[:1])["at"] == 6
    distinct = margin(ours[:1], peers[:1], distinct=True)  # 0, 1, 3 against 0, 1, 2, 3: ours has found it by then
    assert distinct["worst"] == pytest.approx(0.0)


def test_grid_is_dense_at_first() -> None:
    assert grid(16) == list(range(1, 17))
    assert grid(128)[22:38] == [23, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 80, 96, 112, 128]
    assert grid(81)[-1] == 81


def test_short_says_what_holds_and_what_does_not() -> None:
    by_name = {
        "sfsa": [made("sfsa", 0, 1)],
        "surrogate": [made("surrogate", 0, 3)],
        "surrogate long": [made("surrogate long", 0, 1, 1, 1, 1, 1, 3)],
        "tpe": [made("tpe", 0, 1, 2, 2, 2, 3)],
    }
    found = entry("xor", 4, by_name)
    assert found["order"] == 2 and found["budget"] == 12 and found["size"] == 16 and found["unit"] == 0.3
    text = short([found])
    assert "- surrogate: an optimum within the budget in at least 95% of searches in 1 of 1." in text
    assert "at most that of tpe at every budget in 0 of 1; above in xor (m = 4) by 1.333 = 0.400 nats at 6." in text


def test_costs_of_searches_that_inherit_and_that_do_not() -> None:
    by_name = {"sfsa": [made("sfsa", *range(11))], "tpe": [made("tpe", 0, 1, 2, 2, 2, 3)]}
    found = entry("trap", 4, by_name)
    assert "| 4 | synthetic | 5.3 / 2.7 / 1.5 | 2.7 |" in costs([found])  # 16 / 3, 16 / 6, 16 / 11; 16 / 6
    # sfsa has found it after 4 evaluations; with a cost of 5 the others pay for 5: all but one ratio would do with fewer
    assert "| 4 | synthetic | 5 | 0.000 / 0.000 / 0.000 | 0.667 |" in regrets([found])
    assert "| 4 | synthetic | 10 | 0.000 / 0.000 / 0.000 | 0.000 |" in regrets([found])


@pytest.mark.parametrize("ratio", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("inherits", [True, False])
def test_evaluations_for_a_cost_are_those_that_cost_it(ratio: float, inherits: bool) -> None:
    for n in range(1, 40):
        cost = float(training_cost(np.array(n, dtype=float), ratio=ratio, inherits=inherits))
        assert evaluations_for(cost, ratio=ratio, inherits=inherits) == n


# --- the whole ---


def test_jobs_give_slow_samplers_fewer_landscapes() -> None:
    options = parse(["--families", "trap", "--sizes", "8", "--orders", "0", "--samplers", "sfsa", "tpe", "gp"])
    found = [job.searchers for job in jobs(options)]
    assert found == [("sfsa", "tpe", "gp")] * 5 + [("sfsa", "tpe")] * 15 + [("sfsa",)] * 30
    options = parse(["--families", "trap", "--sizes", "4", "--orders", "0", "--samplers", "tpe", "--most", "3"])
    assert [job.problem for job in jobs(options)] == [Problem("trap", 4, seed) for seed in range(3)]


@pytest.mark.slow
def test_runs_and_writes_its_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--families", "trap", "--sizes", "4", "--most", "2", "--orders", "0"]
    main(
        [
            *asked,
            "--processes",
            "1",
            "--samplers",
            "sfsa",
            "beam 2",
            "random",
            "--out",
            str(tmp_path),
            "--known",
            str(tmp_path / "known.jsonl"),
        ]
    )
    record = json.loads((tmp_path / f"{NAME}.json").read_text())
    (found,) = record["entries"]
    assert (found["family"], found["m"], found["searchers"]["sfsa"]["n"]) == ("trap", 4, 2)
    assert found["searchers"]["sfsa"]["found"][0] == 0.0 and found["searchers"]["beam 2"]["found"][0] == 1.0
    assert found["searchers"]["sfsa"]["evaluations"] == 8.0 and found["searchers"]["beam 2"]["evaluations"] == 13.0
    assert (tmp_path / f"{NAME}.md").read_text() == page(record)
    assert len((tmp_path / "known.jsonl").read_text().splitlines()) == 6
    assert "trap" in capsys.readouterr().out


@pytest.mark.skipif(not (RECORDS / f"{NAME}.json").exists(), reason="the benchmark has not been recorded")
def test_the_committed_page_is_made_from_the_committed_record() -> None:
    record = json.loads((RECORDS / f"{NAME}.json").read_text())
    assert (RECORDS / f"{NAME}.md").read_text() == page(record)
