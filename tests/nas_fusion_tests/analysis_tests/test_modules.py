"""What points are worth with each module: tables, rank correlations and tests of being the best, computed independently."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas_fusion.analysis import Model, best_points, module_table, point_table, rank_correlations
from nas_fusion.analysis.bootstrap import stratified_weights
from nas_fusion.analysis.module_ranks import kendall
from nas_fusion.analysis.module_tables import module_columns, point_columns, rank_columns
from nas_fusion.analysis.module_verdict import moving, share_of_one_point
from nas_fusion.analysis.modules import SubjectLosses, best_shares, losses_by_run
from nas_fusion.space import Configuration
from tests.nas_fusion_tests.analysis_tests.modular import BASE, SUBJECTS, model, modular, predictions

GAINS = {
    ("mmtm", "layer1"): 0.1,
    ("mmtm", "layer2"): 0.3,
    ("mmtm", "layer3"): -0.05,
    ("film", "layer1"): 0.25,
    ("film", "layer2"): 0.0,
    ("film", "layer3"): 0.1,
}


def test_gains_without_noise_are_exact() -> None:
    table = point_table(modular(GAINS, scale=0.0))
    assert list(table.index) == list(GAINS)
    for column in ("gain", "gain_low", "gain_high"):
        assert table[column].tolist() == pytest.approx(list(GAINS.values()), abs=1e-12)
    assert table["loss"].tolist() == pytest.approx([BASE - gain for gain in GAINS.values()])
    assert (table["loss_low"] < table["loss"]).all() and (table["loss"] < table["loss_high"]).all()
    assert table["is_best"].tolist() == [False, True, False, True, False, False]
    assert table["share_best"].tolist() == table["runs_best"].tolist() == [0, 1, 0, 1, 0, 0]
    assert set(table["runs"]) == {1} and set(table["parameters"]) == {107.0} and set(table["lineage_epochs"]) == {10.0}


def test_intervals_and_shares_are_those_of_resampled_subjects() -> None:
    result = modular(GAINS, scale=0.4)
    table = point_table(result, resamples=300, confidence=0.9, seed=5)
    own = {point: result.models[result.single("film", point)].validation for point in result.points}
    base = result.models[result.space.baseline].validation
    weights = stratified_weights(base, 300, 5)
    drawn = {point: [float(np.average(each.losses, weights=w)) for w in weights] for point, each in own.items()}
    gains = [float(np.average(base.losses - own["layer3"].losses, weights=w)) for w in weights]
    assert table.loc[("film", "layer3"), ["gain_low", "gain_high"]].tolist() == pytest.approx(np.quantile(gains, [0.05, 0.95]))
    first = np.mean([a < min(b, c) for a, b, c in zip(*drawn.values(), strict=True)])
    assert 0.5 < first < 1 and table.loc[("film", "layer1"), "share_best"] == pytest.approx(first)


def test_training_by_training() -> None:
    table = point_table(modular(GAINS, scale=0.0, runs=3))
    assert set(table["runs"]) == {3} and table.loc[("mmtm", "layer2"), "runs_best"] == 3
    losses = losses_by_run(predictions([[1.0, 2.0], [4.0, 5.0]]))
    assert losses.tolist() == pytest.approx([1.5, 4.5])


def test_points_that_are_equally_good_share_the_resamples() -> None:
    assert best_shares(np.array([[1.0, 1.0, 2.0], [3.0, 2.0, 2.0], [0.0, 1.0, 2.0]])).tolist() == pytest.approx(
        [1.5 / 3, 1 / 3, 0.5 / 3]
    )
    table = point_table(modular({key: 0.1 for key in GAINS}, scale=0.0))
    assert table["is_best"].all() and table["share_best"].tolist() == pytest.approx([1 / 3] * 6)


def test_what_is_not_known_is_not_a_number() -> None:
    whole = modular(GAINS)
    known = {c: each for c, each in whole.models.items() if c != whole.single("film", "layer1")}
    table = point_table(replace(whole, models=known))
    row = table.loc[("film", "layer1")]
    assert all(math.isnan(row[name]) for name in ("loss", "gain", "gain_high", "share_best", "runs_best", "flops"))
    assert not row["is_best"] and table.loc[("film", "layer3"), "is_best"]
    without = point_table(replace(whole, models={c: each for c, each in known.items() if whole.space.active(c)}))
    assert without["gain"].isna().all() and without["loss"].notna().sum() == 5


def test_the_best_configuration_of_a_module_and_what_it_costs() -> None:
    result = modular(GAINS, scale=0.0, subsets=True)
    table = module_table(result)
    assert table["best_point"].tolist() == ["layer2", "layer1"]
    assert table["best"].tolist() == ["layer1 + layer2", "layer1 + layer3"]
    assert table["gain"].tolist() == pytest.approx([0.4, 0.35]) and table["loss"].tolist() == pytest.approx([0.6, 0.65])
    assert table["known"].tolist() == [7, 7] and table["complete"].all()
    assert table["parameters"].tolist() == [7.0, 7.0] and table["flops"].tolist() == [70.0, 70.0]
    assert table["epochs"].tolist() == [35.0, 35.0]
    some = module_table(modular(GAINS, scale=0.0))
    assert some["best"].tolist() == ["layer2", "layer1"] and not some["complete"].any() and some["known"].tolist() == [3, 3]


def test_models_must_have_predicted_the_same_subjects() -> None:
    one, other = Configuration({"a": "x"}), Configuration({"a": "y"})
    with pytest.raises(ValueError, match="`predictions` must be of the same subjects for every model, but they differ"):
        SubjectLosses({one: predictions([1.0, 2.0]), other: predictions([1.0, 2.0, 3.0])})
    with pytest.raises(ValueError, match="`predictions` must be those of at least one model, but got none"):
        SubjectLosses({})
    twice = SubjectLosses({one: predictions([[1.0, 2.0], [3.0, 6.0]])})
    assert twice.rows[one].tolist() == pytest.approx([2.0, 4.0]) and twice.mean[one] == pytest.approx(3.0)


# --- ranks ---


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=2, max_size=12))
def test_kendall_is_scipys(places: list[tuple[int, int, int]]) -> None:
    losses = np.array(places, dtype=float).T
    found = kendall(losses)
    for i in range(3):
        for j in range(3):
            wanted = stats.kendalltau(losses[i], losses[j]).statistic
            assert found[i, j] == pytest.approx(wanted, nan_ok=True)


def test_rank_correlations_by_hand() -> None:
    # mmtm ranks layer2, layer1, layer3; film layer1, layer3, layer2: of three pairs only (layer1, layer3) agree.
    table = rank_correlations(modular(GAINS, scale=0.0, subsets=True))
    points, subsets = table.iloc[0], table.iloc[1]
    assert points.tolist()[:4] == ["single points", "mmtm", "film", 3]
    assert points["tau"] == points["low"] == points["high"] == pytest.approx(-1 / 3)
    assert subsets["over"] == "subsets of points" and subsets["n"] == 7
    result = modular(GAINS, scale=0.0, subsets=True)
    losses = [[1.0 - sum(GAINS[m, p] for p in result.space.active(c)) for c in result.of_module(m)] for m in result.modules]
    assert subsets["tau"] == pytest.approx(stats.kendalltau(*np.round(losses, 9)).statistic)


def test_intervals_of_ranks_are_those_of_resampled_subjects() -> None:
    result = modular(GAINS, scale=0.6)
    row = rank_correlations(result, resamples=200, confidence=0.8, seed=3).iloc[0]
    weights = stratified_weights(result.models[result.space.baseline].validation, 200, 3)
    rows = {m: np.stack([result.losses.rows[result.single(m, p)] for p in result.points]) for m in result.modules}
    drawn = [stats.kendalltau(rows["mmtm"] @ w, rows["film"] @ w).statistic for w in weights]
    assert [row["low"], row["high"]] == pytest.approx(np.quantile(drawn, [0.1, 0.9]))
    assert row["low"] < row["high"]


def test_subsets_are_ranked_where_all_are_known() -> None:
    assert set(rank_correlations(modular(GAINS))["over"]) == {"single points"}
    equal = rank_correlations(modular({key: 0.1 for key in GAINS}, scale=0.0))
    assert equal["tau"].isna().all() and equal["low"].isna().all()
    assert rank_columns(modular({key: 0.1 for key in GAINS}, scale=0.0))["3 single points"].loc["film", "mmtm"] == "–"


# --- which points may be the best ---


@pytest.mark.parametrize(("module", "expected"), [("mmtm", {"layer1", "layer2"}), ("film", {"layer1", "layer2", "layer3"})])
def test_a_point_is_excluded_by_an_interval_that_holds_for_all_comparisons(module: str, expected: set[str]) -> None:
    result = modular(GAINS, scale=0.5)
    looks = 2 * 3  # modules times pairs of points: with those of one module alone film's layer2 would be excluded
    rows = {p: result.losses.rows[result.single(module, p)] for p in result.points}
    kept = {"layer1", "layer2", "layer3"}
    for worse in rows:
        for better in rows:
            if worse != better:
                low = stats.ttest_rel(rows[worse], rows[better]).confidence_interval(1 - 0.05 / looks).low
                if low > 0 and float(np.mean(rows[worse] - rows[better])) > 0.02:
                    kept -= {worse}
    (found,) = (each for each in best_points(result) if each.module == module)
    assert set(found.candidates) == kept == expected
    assert found.best == min(rows, key=lambda point: float(rows[point].mean()))


def test_differences_that_another_training_would_undo_exclude_nothing() -> None:
    certain = best_points(modular(GAINS, scale=0.0))[0]
    assert certain.candidates == ("layer2",)
    small = modular({**GAINS, ("mmtm", "layer1"): 0.285}, scale=0.0)
    assert best_points(small)[0].candidates == ("layer1", "layer2")


def test_a_point_is_excluded_only_if_trainings_agree() -> None:
    result = modular(GAINS, scale=0.0, runs=2)
    first, second = (np.full(SUBJECTS, loss) for loss in (0.5, 1.4))  # the mean is 0.95, but once better than layer2's 0.7
    models = {**result.models, result.single("mmtm", "layer1"): model(None, np.stack([first, second]))}
    assert best_points(result)[0].candidates == ("layer2",)
    assert best_points(replace(result, models=models))[0].candidates == ("layer1", "layer2")


def test_the_gain_allows_for_every_point_of_every_module() -> None:
    result = modular(GAINS, scale=0.5)
    gain = best_points(result)[1].gain
    base, best = (result.losses.rows[c] for c in (result.space.baseline, result.single("film", "layer1")))
    wanted = stats.ttest_rel(base, best).confidence_interval(1 - 0.05 / 6)
    assert [gain.low, gain.high] == pytest.approx(list(wanted)) and gain.candidates == 6
    assert best_points(result)[1].gains and not best_points(modular({k: 0.01 for k in GAINS}, scale=0.0))[0].gains


def test_moving_means_that_no_point_may_be_the_best_with_both() -> None:
    found = best_points(modular(GAINS, scale=0.0))
    assert [(a.module, b.module) for a, b in moving(found)] == [("mmtm", "film")]
    assert share_of_one_point(modular(GAINS, scale=0.0), found) == 0
    noisy = modular(GAINS, scale=1.5)
    assert moving(best_points(noisy)) == () and 0 < share_of_one_point(noisy, best_points(noisy)) < 1
    assert best_points(replace(noisy, models={c: m for c, m in noisy.models.items() if noisy.space.active(c)})) == ()


# --- text ---


def test_tables_as_text() -> None:
    result = modular(GAINS, scale=0.0, subsets=True)
    points = point_columns(result)
    assert list(points) == ["Point", "mmtm", "film"] and points["Point"].tolist() == ["layer1", "layer2", "layer3"]
    assert points.loc["layer2", "mmtm"] == "+0.300 * [+0.300, +0.300; best in 100 %]"
    assert points.loc["layer2", "film"] == "+0.000 [+0.000, +0.000; best in 0 %]"
    modules = module_columns(result).loc["mmtm"]
    assert modules["Best point"] == "layer2 [best in 100 %]" and modules["Known"] == "7 [all subsets]"
    assert modules["Best of all"] == "layer1 + layer2" and modules["Parameters"] == "+7" and modules["Epochs"] == "35"
    ranks = rank_columns(result)
    assert list(ranks) == ["3 single points", "7 subsets of points"]
    assert ranks["3 single points"].to_dict("list") == {"Module": ["film"], "mmtm": ["-0.33 [-0.33, -0.33]"]}
    nothing = {c: Model(*each) for c, each in result.models.items() if "film" not in c.values()}
    partly = replace(result, models=nothing)
    assert set(point_columns(partly)["film"]) == {"–"} and module_columns(partly).loc["film", "Best point"] == "–"
    assert rank_columns(partly) == {}


def test_ranks_of_several_modules_are_a_triangle() -> None:
    alike = {(module, point): gain for module in "abc" for point, gain in zip(("layer1", "layer2"), (0.1, 0.2), strict=True)}
    table = rank_columns(modular(alike, points=2, scale=0.0))["2 single points"]
    one = "+1.00 [+1.00, +1.00]"
    assert table.to_dict("list") == {"Module": ["b", "c"], "a": [one, one], "b": ["", one]}
