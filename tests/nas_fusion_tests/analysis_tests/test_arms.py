from __future__ import annotations

from dataclasses import replace

import pytest

from nas_fusion.analysis import BASELINE, synergy_landscape
from tests.nas_fusion_tests.analysis_tests.builders import evaluation, on, planted_comparison, sfsa


def test_an_arm_is_found_by_its_name() -> None:
    comparison = planted_comparison()
    assert comparison.arm("beam").best == on(1, 3)
    with pytest.raises(ValueError, match=r"`name` must be one of \['sfsa', .*\], but got 'nobody'\."):
        comparison.arm("nobody")


def test_searches_come_in_their_order() -> None:
    assert [arm.name for arm in planted_comparison().searches] == ["sfsa", "beam", "exhaustive"]


def test_the_baseline_is_the_arm_of_that_name_else_a_search_that_selected_it() -> None:
    comparison = planted_comparison()
    assert comparison.baseline is comparison.arm(BASELINE)
    without = replace(comparison, arms=comparison.searches)
    assert without.baseline is None
    kept = replace(comparison.arm("sfsa"), best=comparison.space.baseline)
    assert replace(comparison, arms=(kept, comparison.arm("beam"))).baseline is kept


def test_the_chosen_evaluation_is_the_one_whose_value_the_arm_reached() -> None:
    arm = sfsa(synergy_landscape())
    assert arm.chosen is not None and arm.chosen.configuration == on(2)
    again = evaluation(on(2), 0.60, lineage=(on(), on(1)))
    assert replace(arm, evaluations=(again, *arm.evaluations)).chosen == arm.chosen
    assert replace(arm, value=0.61, evaluations=(again, *arm.evaluations)).chosen == again
    assert planted_comparison().arm("late_fusion").chosen is None


def test_what_was_speculated_in_vain_is_said_with_its_epochs() -> None:
    assert planted_comparison().said_in_vain == ""
    one = planted_comparison(trained_in_vain=1, epochs_in_vain=5.0)
    assert one.said_in_vain == ", 1 was speculated in vain (5 epochs)"
    assert replace(one, trained_in_vain=3, epochs_in_vain=14.0).said_in_vain == ", 3 were speculated in vain (14 epochs)"
