from __future__ import annotations

import pytest

from nas_fusion.analysis import noisy, point_values, synergy_landscape
from nas_fusion.visualization import importance_figure
from nas_fusion.visualization.importance import _get_importance_info, importance_caption
from tests.nas_fusion_tests.analysis_tests.builders import SPACE, one_search, planted_comparison


def test_bars_and_the_lower_half_of_the_interactions() -> None:
    worth = point_values(synergy_landscape())
    info = _get_importance_info(SPACE, worth)
    assert info.names == ("layer1", "layer2", "layer3", "layer4") and info.short == ("1", "2", "3", "4")
    assert info.values == tuple(worth.values.values()) and info.errors is None
    assert info.interactions[2][0] == worth.interactions["layer1", "layer3"]
    assert info.interactions[0] == (None,) * 4 and info.interactions[3][3] is None

    bars, pairs = importance_figure(planted_comparison()).data
    assert list(bars.x) == pytest.approx(list(worth.values.values()), abs=1e-5)
    assert bars.marker.color[0] != bars.marker.color[3]  # positive, negative
    assert list(pairs.x) == ["1", "2", "3"] and list(pairs.y) == ["2", "3", "4"]
    assert pairs.z[1][0] == pytest.approx(worth.interactions["layer1", "layer3"], abs=1e-5) and pairs.z[0][1] is None


def test_the_scale_is_symmetric_so_that_the_colour_tells_the_sign() -> None:
    axis = importance_figure(planted_comparison()).layout.coloraxis
    assert axis.cmax == -axis.cmin == pytest.approx(0.2633, abs=1e-3)


def test_standard_errors_are_whiskers_and_written() -> None:
    landscape = noisy(synergy_landscape(), sd=0.02, folds=5, seed=0)
    figure = importance_figure(planted_comparison(landscape=landscape))
    errors = point_values(landscape).errors
    assert errors is not None and figure.data[0].error_x.array[0] == pytest.approx(errors["layer1"], abs=1e-5)
    assert f"± {errors['layer1']:.3f}" in figure.layout.yaxis.ticktext[0]
    assert "standard errors" in importance_caption(planted_comparison(landscape=landscape))


def test_the_caption_explains_sign_and_unit() -> None:
    caption = importance_caption(planted_comparison())
    assert "by how many nats a point lowers the loss" in caption and "blue (positive) is synergy" in caption
    assert "The strongest synergy is that of layer1 and layer3" in caption and "0.300 nats" in caption
    assert importance_caption(one_search()) == ""
    with pytest.raises(ValueError, match="`comparison` must hold a complete landscape, but got none"):
        importance_figure(one_search())
