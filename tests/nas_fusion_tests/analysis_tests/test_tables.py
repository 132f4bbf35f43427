from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from nas_fusion.analysis import Escape, Landscape, comparison_table, plain_table, synergy_landscape
from nas_fusion.analysis.tables import cell, replay_columns, search_columns
from nas_fusion.analysis.tables import test_columns as columns_of_test
from tests.nas_fusion_tests.analysis_tests.builders import SPACE, evaluation, on, one_search, planted_comparison, sfsa


def test_what_was_chosen_and_what_it_cost() -> None:
    table = comparison_table(planted_comparison(), resamples=10)
    assert list(table.index[:4]) == ["sfsa", "beam", "exhaustive", "A_0"]
    row = table.loc["sfsa"]
    assert row["points"] == "layer2" and row["kind"] == "search" and not row["ours"]
    assert row["validation_loss"] == pytest.approx(0.52) and row["landscape_loss"] == pytest.approx(0.52)
    assert row["regret"] == pytest.approx(0.22)
    assert (row["evaluations"], row["share_of_exhaustive"], row["trained"], row["reused"]) == (8, 0.5, 8, 0)
    assert (row["epochs"], row["samples"]) == (80, 8 * 3200)
    assert (row["lineage_epochs"], row["lineage_samples"]) == (20, 6400)
    assert table.loc["A_0", "kind"] == "baseline" and table.loc["A_0", "points"] == "none"
    assert table.loc["early_fusion", "ours"]
    assert np.isnan(table.loc["late_fusion", "share_of_exhaustive"]) and np.isnan(table.loc["late_fusion", "regret"])


def test_an_ensemble_is_charged_with_all_its_trainings_and_its_common_lineage_once() -> None:
    comparison = planted_comparison()
    members = tuple(evaluation(on(i), 0.6, lineage=(on(),)) for i in range(1, 5))
    ensemble = replace(comparison.arm("ensemble_of_placements"), evaluations=members)
    table = comparison_table(replace(comparison, arms=(ensemble,)), resamples=10)
    assert table.loc["ensemble_of_placements", "epochs"] == table.loc["ensemble_of_placements", "lineage_epochs"] == 50


def test_what_was_trained_in_all_holds_a_baseline_that_the_search_did_not_choose_to_evaluate() -> None:
    arm = sfsa(synergy_landscape())
    without = replace(arm, evaluations=tuple(evaluation(on(i), 0.6, lineage=(on(),)) for i in (1, 2, 3)))
    with_it = replace(without, name="random", evaluations=(evaluation(on(), 0.65), *without.evaluations))
    table = comparison_table(planted_comparison(arms=(without, with_it)), resamples=10)
    assert table["epochs"].tolist() == [40, 40] and table["samples"].tolist() == [4 * 3200] * 2


def test_scores_of_the_test_subjects_are_scikit_learns() -> None:
    comparison = planted_comparison()
    table = comparison_table(comparison, resamples=200)
    test = comparison.arm("beam").test
    assert test is not None
    guesses = test.probabilities.argmax(axis=1)
    row = table.loc["beam"]
    assert row["test_loss"] == pytest.approx(metrics.log_loss(test.labels, test.probabilities))
    assert row["test_accuracy"] == pytest.approx(metrics.accuracy_score(test.labels, guesses))
    assert row["test_f1"] == pytest.approx(metrics.f1_score(test.labels, guesses))
    assert row["test_sensitivity"] == pytest.approx(metrics.recall_score(test.labels, guesses))
    assert row["test_specificity"] == pytest.approx(metrics.recall_score(test.labels, guesses, pos_label=0))
    assert row["test_auc"] == pytest.approx(metrics.roc_auc_score(test.labels, test.probabilities[:, 1]))
    for score in ("loss", "accuracy", "f1", "sensitivity", "specificity", "auc"):
        assert row[f"test_{score}_low"] < row[f"test_{score}"] < row[f"test_{score}_high"]


def test_untouched_test_subjects_are_not_a_number() -> None:
    table = comparison_table(one_search(), resamples=10)
    assert table.filter(like="test_").isna().all(axis=None)
    assert len(columns_of_test(table)) == 0
    assert "Test subjects" not in plain_table(one_search())


def test_columns_without_any_value_are_left_out_for_people() -> None:
    shown = search_columns(comparison_table(one_search(), resamples=10))
    assert "Regret" not in shown and "On the landscape" not in shown
    assert shown.loc["sfsa", "Trained in all"] == "80 epochs [25 600 samples]"
    assert shown.loc["sfsa", "Trained by the chosen"] == "20 epochs [6 400 samples]"


def test_plain_text_says_what_is_ours_and_cuts_nothing() -> None:
    lines = plain_table(planted_comparison()).splitlines()
    assert lines[0].split("  ")[0] == "Arm" and "Share of exhaustive" in lines[0]
    assert lines[1].startswith("SFSA ") and " layer2 " in lines[1] and " 0.220 " in lines[1] and " 50 % " in lines[1]
    assert sum(line.startswith("Early fusion (ours)") for line in lines) == 2
    assert lines[12] == "Test subjects (400), with 95 % bootstrap intervals"
    assert re.search(r"Beam search +0\.320 \[0\.(29|30)\d, 0\.34\d\]  0\.925 \[", "\n".join(lines[13:]))


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("validation_loss", 0.12345, "0.123"),
        ("regret", 0.0, "0.000"),
        ("share_of_exhaustive", 0.8125, "81 %"),
        ("samples", 25600.0, "25 600"),
        ("regret", float("nan"), "–"),
        ("points", "", "–"),
        ("points", "layer1", "layer1"),
    ],
)
def test_cells(column: str, value: object, text: str) -> None:
    assert cell(column, value) == text


def test_an_arm_without_evaluations_has_no_known_cost() -> None:
    arm = replace(sfsa(synergy_landscape()), evaluations=())
    table = comparison_table(planted_comparison(arms=(arm,)), resamples=10)
    assert np.isnan(table.loc["sfsa", "epochs"])


def test_regret_is_shown_with_its_standard_error_where_folds_tell_it() -> None:
    folds = {c: (loss - 0.01, loss + 0.01) for c, loss in synergy_landscape().losses.items()}
    folds[on(2)] = (0.50, 0.54)
    comparison = planted_comparison(landscape=Landscape(folds, SPACE))
    table = comparison_table(comparison, resamples=10)
    assert table.loc["sfsa", "regret_error"] == pytest.approx(0.01) and table.loc["beam", "regret_error"] == 0
    assert search_columns(table)["Regret"].tolist()[:4] == ["0.220 ± 0.010", "0.000", "0.000", "–"]
    alone = comparison_table(planted_comparison(), resamples=10)
    assert alone["regret_error"].isna().all() and search_columns(alone).loc["sfsa", "Regret"] == "0.220"


def test_what_was_replayed() -> None:
    escapes = (Escape("beam", {"width": 2}, 13, 9, 0.0, True), Escape("sfsa", {"patience": 2}, 11, None, 0.22))
    table = replay_columns(planted_comparison(escapes=escapes))
    assert table.to_numpy().tolist() == [
        ["beam search (width=2)", "13", "81 %", "9", "0.000"],
        ["SFSA (patience=2)", "11", "69 %", "–", "0.220"],
    ]
    assert len(replay_columns(planted_comparison())) == 0
