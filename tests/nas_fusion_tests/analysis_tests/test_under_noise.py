"""What is said and charged of controls, of what shortened a search, and of what had no finite loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas_fusion.analysis import Arm, Unfinished, comparison_table, diagnose, synergy_landscape
from nas_fusion.analysis.tables import search_columns
from nas_fusion.visualization.losses import _get_losses_info
from tests.nas_fusion_tests.analysis_tests.builders import SPACE, evaluation, on, one_search, sfsa

CUT = (
    Unfinished(7, on(1, 2), on(2), losses=(0.5, 0.6, 0.7, 0.6), cost={"epochs": 40.0, "samples": 1280.0}),
    Unfinished(9, on(2, 4), on(2), "not finite", cost={"epochs": 3.0, "samples": 96.0}),
)


def shortened(**changes: object) -> Arm:
    arm = replace(sfsa(synergy_landscape()), title="SFSA (shortened)", shortened=("racing at p = 0.1",), unfinished=CUT)
    folded = tuple(replace(e, fold_losses=tuple(e.value + d for d in (-0.02, 0.0, 0.0, 0.02))) for e in arm.evaluations[:6])
    return replace(arm, evaluations=folded, parents=arm.parents[:6], **changes)  # type: ignore[arg-type]


def said(arm: Arm) -> dict[str, str]:
    return {finding.signature: finding.sentence for finding in diagnose(replace(one_search(), arms=(arm,)))}


def test_what_was_cut_is_named_with_its_trial_and_called_shortened_not_exact() -> None:
    found = said(shortened())
    assert found["shortened"] == (
        "SFSA was shortened by racing at p = 0.1 and is not exact: 1 of its 8 evaluations was ended early and counts as not "
        "better (trial 7, layer1 + layer2, after 4 of 4 folds and 40 epochs)."
    )
    assert found["not_finite"] == (
        "SFSA (shortened) met 1 without a finite loss, which count as not better (trial 9, layer2 + layer4)."
    )


def test_a_shortening_that_cut_nothing_says_so() -> None:
    found = said(shortened(unfinished=()))
    assert found["shortened"].endswith("which ended nothing early: its result is that of the search in full.")
    assert "shortened" not in said(sfsa(synergy_landscape())) and "not_finite" not in found


def test_what_was_cut_is_counted_and_charged() -> None:
    arm = shortened()
    table = comparison_table(replace(one_search(), arms=(arm,)), resamples=10)
    row = table.loc["sfsa"]
    assert row["evaluations"] == arm.n_evaluations == 8 and [each.trial for each in arm.pruned] == [7]
    assert row["epochs"] == 6 * 10 + 43 and row["samples"] == 6 * 3200 + 1280 + 96
    assert CUT[0].was_trained and not Unfinished(1, on(1)).was_trained


def test_the_standard_error_stands_beside_the_loss() -> None:
    arm = shortened()
    table = comparison_table(replace(one_search(), arms=(arm,)), resamples=10)
    expected = np.std([-0.02, 0.0, 0.0, 0.02], ddof=1) / 2
    assert table.loc["sfsa", "validation_error"] == pytest.approx(expected)
    assert search_columns(table).loc["sfsa", "Validation loss"] == "0.520 ± 0.008"
    single = comparison_table(one_search(), resamples=10)
    assert np.isnan(single.loc["sfsa", "validation_error"])
    assert search_columns(single).loc["sfsa", "Validation loss"] == "0.520"


def with_control(value: float) -> Arm:
    """SFSA whose baseline was trained on for a round, to a loss."""
    arm = sfsa(synergy_landscape())
    control = evaluation(SPACE.baseline, value, lineage=(SPACE.baseline,))
    first = [replace(e, lineage=(SPACE.baseline,)) if number else e for number, e in enumerate(arm.evaluations[:5])]
    return replace(arm, evaluations=(*first, control), parents=(*arm.parents[:5], SPACE.baseline))


def test_what_longer_training_brings_by_itself() -> None:
    assert said(with_control(0.60))["control"] == (
        "Training the baseline on without a new module changed its loss by -0.050 nats (0.650 to 0.600); the best move beside "
        "it, layer2, changed it by -0.130, of which -0.080 is not longer training."
    )
    assert "control" not in said(sfsa(synergy_landscape()))


def test_a_control_is_never_what_was_chosen_or_the_best_so_far() -> None:
    arm = replace(with_control(0.1), best=SPACE.baseline, value=0.65, path=(SPACE.baseline,))
    assert arm.chosen is not None and not arm.chosen.is_control and arm.chosen.value == pytest.approx(0.65)
    (info,) = _get_losses_info(replace(one_search(), arms=(arm,)))
    assert min(info.best) == pytest.approx(0.52) and info.losses[-1] == 0.1
    assert info.names[-1] == "none (trained on: control)"
