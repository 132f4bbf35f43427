from __future__ import annotations

import math
from dataclasses import replace

import pytest

from nas_fusion.analysis import synergy_landscape
from nas_fusion.analysis.arms import Unfinished
from nas_fusion.analysis.costs import arm_costs, cost_in_all, costs_so_far
from nas_fusion.record import Evaluation
from tests.nas_fusion_tests.analysis_tests.builders import evaluation, on, sfsa

# Ten epochs each, see `evaluation`.
ROOT = evaluation(on(), 0.65)
CHILD = evaluation(on(1), 0.61, lineage=[on()])
GRANDCHILD = evaluation(on(1, 3), 0.30, lineage=[on(), on(1)])


@pytest.mark.parametrize(
    ("evaluations", "epochs"),
    [
        ([], []),
        ([ROOT, CHILD, GRANDCHILD], [10, 20, 30]),
        ([CHILD], [20]),
        ([CHILD, evaluation(on(2), 0.52, lineage=[on()])], [20, 30]),
        ([GRANDCHILD, ROOT, CHILD], [10, 20, 30]),
        ([ROOT, GRANDCHILD], [10, 40]),
    ],
)
def test_each_training_counts_once_and_what_is_inherited_before_it(evaluations: list[Evaluation], epochs: list[float]) -> None:
    assert costs_so_far(evaluations, "epochs") == epochs
    assert costs_so_far(evaluations, "samples") == [320 * e for e in epochs]


def test_what_is_not_known_is_not_a_number() -> None:
    unknown = replace(CHILD, cost={})
    assert costs_so_far([ROOT, unknown], "epochs")[0] == 10 and math.isnan(costs_so_far([ROOT, unknown], "epochs")[1])
    assert math.isnan(cost_in_all([], "epochs"))


def test_the_supernet_is_paid_for_first_and_the_unfinished_at_last() -> None:
    arm = replace(
        sfsa(synergy_landscape()),
        supernet={"epochs": 25.0},
        unfinished=(Unfinished(3, on(3), on(), cost={"epochs": 4.0}), Unfinished(4, on(4), on())),
    )
    assert arm_costs(arm, "epochs") == [35, 45, 55, 65, 75, 85, 95, 109]
    assert arm_costs(arm, "samples")[0] == 3200
