from __future__ import annotations

import pytest

from nas_fusion.analysis import points, search_title, short_points
from nas_fusion.analysis.naming import in_words, short_choices
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.analysis_tests.builders import SPACE, on

SEVERAL = SearchSpace({"layer1": ["none", "mmtm", "concat_conv"], "layer2": ["none", "mmtm"]})
WORDS = SearchSpace({"early": ["none", "on"], "late": ["none", "on"]})
WORDS_OF_SEVERAL = SearchSpace({"early": ["none", "mmtm", "film"], "late": ["none", "mmtm", "film"]})
ONE = SearchSpace({"layer1": ["none", "on"]})


@pytest.mark.parametrize(
    ("space", "active", "long", "short"),
    [
        (SPACE, {}, "none", "A₀"),
        (SPACE, dict(layer1="mmtm", layer3="mmtm"), "layer1 + layer3", "1+3"),
        (SEVERAL, dict(layer1="concat_conv", layer2="mmtm"), "layer1:concat_conv + layer2", "1c+2"),
        (WORDS, dict(early="on", late="on"), "early + late", "early+late"),
        (WORDS_OF_SEVERAL, dict(early="mmtm", late="film"), "early:mmtm + late:film", "early:m+late:f"),
        (ONE, dict(layer1="on"), "layer1", "layer1"),
    ],
)
def test_names_of_configurations(space: SearchSpace, active: dict[str, str], long: str, short: str) -> None:
    assert points(space, space.complete(active)) == long
    assert short_points(space, space.complete(active)) == short


def test_names_of_searches() -> None:
    assert [search_title(name) for name in ("sfsa", "beam", "my-own")] == ["SFSA", "Beam search", "my-own"]


def test_the_order_of_points_is_the_spaces() -> None:
    assert points(SPACE, on(4, 2)) == "layer2 + layer4"


def test_in_a_sentence_the_baseline_is_called_by_its_name() -> None:
    assert in_words(SPACE, on()) == "the baseline" and in_words(SPACE, on(1)) == "layer1"


@pytest.mark.parametrize(
    ("active", "short"),
    [
        ((1, 2, 3, 4), "1+2+3+4"),
        ((1, 2, 3, 4, 5, 6), "1–6"),
        ((1, 3, 4, 5, 6, 7, 10), "1+3–7+10"),
        ((1, 2, 4, 6, 8, 9), "1+2+4+6+8+9"),
    ],
)
def test_long_names_draw_points_in_a_row_together(active: tuple[int, ...], short: str) -> None:
    space = SearchSpace({f"layer{i}": ["none", "mmtm"] for i in range(1, 11)})
    assert short_points(space, space.complete({f"layer{i}": "mmtm" for i in active})) == short


def test_choices_are_shortened_to_what_no_other_begins_with() -> None:
    space = SearchSpace({"a": ["none", "mmtm", "mean", "film"], "b": ["none", "only"]})
    assert short_choices(space) == {"film": "f", "mean": "me", "mmtm": "mm"}
    assert short_choices(SPACE) == {}


def test_names_that_no_figure_has_room_for_end_early() -> None:
    space = SearchSpace({f"option{i}": ["none", "first", "second"] for i in range(30)})
    everything = space.complete(dict.fromkeys(space.parameters, "first"))
    assert short_points(space, everything) == "0f+1f+2f+3f+4f+5f+6f+7f+8f+9f+10f+…"
    assert points(space, everything).endswith("option29:first")
