from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas_fusion.visualization import folds_figure
from nas_fusion.visualization.folds import _get_folds_info, _get_subjects_info, n_folds
from tests.nas_fusion_tests.analysis_tests.builders import planted_comparison, predictions


def test_with_folds_the_mean_loss_of_each() -> None:
    comparison = planted_comparison()
    arm = replace(comparison.arms[0], validation=predictions(0.52, folds=4, seed=8))
    comparison = replace(comparison, arms=(arm, *comparison.arms[1:]))
    info = _get_folds_info(comparison)[0]
    assert n_folds(comparison) == 4 and info.title == "SFSA"
    assert info.losses == pytest.approx(tuple(arm.validation.losses.reshape(4, 40).mean(axis=1)))
    assert sum(info.losses) / 4 == pytest.approx(0.52)
    figure = folds_figure(replace(comparison, arms=(arm,)))
    assert [trace.x[0] for trace in figure.data[:4]] == pytest.approx(list(info.losses))
    assert figure.data[4].x[0] == pytest.approx(0.52)


def test_with_one_fold_what_each_subject_gains_over_the_baseline() -> None:
    comparison = planted_comparison()
    infos = _get_subjects_info(comparison)
    assert len(infos) == 9 and "A_0, logits averaged" not in [info.title for info in infos]
    gains = comparison.arms[3].validation.losses - comparison.arms[0].validation.losses
    assert infos[0].mean == pytest.approx(0.13) and infos[0].low < 0.13 < infos[0].high
    assert infos[0].quantiles == pytest.approx(tuple(np.quantile(gains, [0.05, 0.25, 0.5, 0.75, 0.95])))
    box, means = folds_figure(comparison).data
    assert box.median[0] == pytest.approx(np.median(gains), abs=1e-5) and means.x[0] == pytest.approx(0.13)


def test_one_fold_without_a_baseline_has_nothing_to_show() -> None:
    comparison = planted_comparison()
    with pytest.raises(ValueError, match="`comparison` must hold the baseline where there is one fold, but got none"):
        folds_figure(replace(comparison, arms=comparison.searches))
