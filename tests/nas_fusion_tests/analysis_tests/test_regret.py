from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from nas_fusion.analysis import Landscape, synergy_landscape
from nas_fusion.analysis.arms import Unfinished
from nas_fusion.analysis.regret import Shortfall, chance_regret, regret_curves, shortfall
from tests.nas_fusion_tests.analysis_tests.builders import SPACE, evaluation, on, one_search, planted_comparison, sfsa


def test_regret_after_each_evaluation_on_the_landscape() -> None:
    curves = regret_curves(planted_comparison())
    sfsa_, beam = (curves[curves["arm"] == name] for name in ("sfsa", "beam"))
    assert sfsa_["regret"].tolist() == pytest.approx([0.35, 0.31, *[0.22] * 6])
    assert sfsa_["evaluation"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sfsa_["epochs"].tolist() == [10, 20, 30, 40, 50, 60, 70, 80]
    assert sfsa_["points"].tolist()[4:6] == ["layer4", "layer1 + layer2"] and sfsa_["best"].tolist()[4] == "layer2"
    assert beam["regret"].tolist()[7:9] == pytest.approx([0.22, 0.0])
    assert set(curves["reference"]) == {"optimum"}
    assert list(curves["title"].unique()) == ["SFSA", "Beam search", "Exhaustive search"]


def test_without_a_landscape_it_is_the_loss_above_the_best_found() -> None:
    curves = regret_curves(one_search())
    assert curves["regret"].tolist() == pytest.approx([0.13, 0.09, *[0.0] * 6])
    assert set(curves["reference"]) == {"best found"}


def test_a_search_is_judged_by_what_it_would_select_though_its_own_losses_mislead_it() -> None:
    arm = sfsa(synergy_landscape())
    flattered = replace(arm.evaluations[5], value=0.20)  # layer1 + layer2, 0.54 on the landscape
    misled = replace(arm, evaluations=(*arm.evaluations[:5], flattered), best=on(1, 2), value=0.20)
    regrets = regret_curves(planted_comparison(arms=(misled,)))["regret"].tolist()
    assert regrets[-2:] == pytest.approx([0.22, 0.24])


def test_the_end_is_what_was_selected_and_controls_never_are() -> None:
    arm = sfsa(synergy_landscape())
    sparing = replace(arm, best=on(), value=0.65)  # as if fewer modules were preferred
    assert regret_curves(planted_comparison(arms=(sparing,)))["regret"].tolist()[-2:] == pytest.approx([0.22, 0.35])
    control = evaluation(on(2), 0.1, lineage=[on(), on(2)])
    steps = replace(arm, evaluations=(*arm.evaluations[:2], control), best=None)
    regrets = regret_curves(planted_comparison(arms=(steps,)))["regret"].tolist()
    assert regrets == pytest.approx([0.35, 0.31, 0.31])


def test_what_ended_without_a_value_counts_at_the_end() -> None:
    arm = replace(sfsa(synergy_landscape()), unfinished=(Unfinished(9, on(3), on(), cost={"epochs": 3.0}),))
    last = regret_curves(planted_comparison(arms=(arm,))).iloc[-1]
    assert (last["evaluation"], last["epochs"]) == (9, 83)


def test_equal_losses_are_ranked_as_the_searches_do() -> None:
    arm = sfsa(synergy_landscape())
    ties = tuple(evaluation(on(*points), 0.5) for points in ((1, 2), (3,), (2,)))
    curves = regret_curves(planted_comparison(arms=(replace(arm, evaluations=(*ties, ties[0]), best=None),)))
    assert curves["best"].tolist() == ["layer1 + layer2", "layer3", "layer2", "layer2"]


def test_shortfall_with_its_standard_error_over_folds() -> None:
    folds = {c: (loss - 0.05, loss, loss + 0.05) for c, loss in synergy_landscape().losses.items()}
    folds[on(2)] = (0.50, 0.53, 0.53)
    found = shortfall(Landscape(folds, SPACE), on(2))
    differences = np.array([0.50 - 0.25, 0.53 - 0.30, 0.53 - 0.35])
    assert found.regret == pytest.approx(0.22)
    assert found.standard_error == pytest.approx(differences.std(ddof=1) / math.sqrt(3))
    assert found.in_words == "0.220 ± 0.021" and found.is_clear
    assert shortfall(synergy_landscape(), on(2)).standard_error is None


@pytest.mark.parametrize(
    ("regret", "error", "clear"),
    [(0.02, None, False), (0.03, None, True), (0.03, 0.02, False), (0.03, 0.01, True), (0.015, 0.001, False)],
)
def test_within_noise_is_not_clear(regret: float, error: float | None, clear: bool) -> None:
    assert Shortfall(regret, error).is_clear is clear


def test_random_order_against_all_subsets() -> None:
    losses = {c: loss for c, loss in list(synergy_landscape().losses.items())[:7]}
    landscape = Landscape(losses, SPACE)
    regrets = [loss - landscape.minimum for loss in losses.values()]
    reference = {n: np.mean([min(drawn) for drawn in itertools.combinations(regrets, n)]) for n in range(1, 8)}
    assert chance_regret(landscape) == pytest.approx(reference)
    assert chance_regret(landscape, [2, 5]) == pytest.approx({n: reference[n] for n in (2, 5)})
    assert chance_regret(Landscape({on(): 0.4}, SPACE)) == {1: 0.0}
    with pytest.raises(ValueError, match=r"`draws` must hold numbers in \[1, 7\], but got \[8\]\."):
        chance_regret(landscape, [8])
