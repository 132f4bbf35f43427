from __future__ import annotations

import pytest

from nas_fusion.analysis import Landscape, point_values
from nas_fusion.analysis.worth import importance_in_words, point_name, worth_of_points
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.analysis_tests.builders import SPACE, one_search, planted_comparison

FLAT = Landscape.from_function(lambda c: 0.455 - 0.002 * len(SPACE.active(c)), SPACE)


def test_synergy_and_redundancy_are_named() -> None:
    worth = worth_of_points(planted_comparison())
    assert worth is not None
    assert importance_in_words(SPACE, worth) == (
        "layer1 is worth most: it lowers the loss by 0.133 nats on average. "
        "The strongest synergy is that of layer1 and layer3: together they bring 0.263 nats more than one by one. "
        "The strongest redundancy is that of layer1 and layer2: together they bring 0.097 nats less than one by one."
    )
    assert worth_of_points(one_search()) is None


def test_what_is_negligible_is_not_named() -> None:
    assert importance_in_words(SPACE, point_values(FLAT)) == (
        "No point is worth more than 0.002 nats on average. No two points interact by more than 0.02 nats: each is worth about "
        "the same with and without the others."
    )


def test_points_with_several_choices_are_named_with_theirs() -> None:
    space = SearchSpace({"a": ["none", "mmtm", "film"], "b": ["none", "mmtm"]})
    worth = point_values(Landscape.from_function(lambda c: 0.6 - 0.1 * (c["a"] == "film"), space))
    assert [point_name(space, worth, point) for point in ("a", "b")] == ["a:film", "b"]
    assert importance_in_words(space, worth).startswith("a:film is worth most: it lowers the loss by 0.100 nats on average.")


@pytest.mark.parametrize("sign", [1, -1])
def test_one_point_has_no_interactions(sign: int) -> None:
    space = SearchSpace({"a": ["none", "mmtm"]})
    words = importance_in_words(
        space, point_values(Landscape.from_function(lambda c: 0.6 - 0.1 * sign * (c["a"] == "mmtm"), space))
    )
    assert words == (
        "a is worth most: it lowers the loss by 0.100 nats on average." if sign > 0 else "No point lowers the loss on average."
    )
