from __future__ import annotations

import re
from dataclasses import fields

import pytest

from nas_fusion.analysis import points, short_points
from nas_fusion.words import Words
from search_spaces.expert_routing import ExpertRoutingSpace

SPACE = ExpertRoutingSpace()
FUSION_POINTS = re.compile(r"\bpoints?\b|\bmodules?\b|--module|\bwhere to fuse\b|fusion (pays|brings|is not)", re.IGNORECASE)


@pytest.mark.parametrize("field", [field.name for field in fields(Words)])
def test_no_word_is_left_that_speaks_of_fusion_points(field: str) -> None:
    assert not FUSION_POINTS.search(str(getattr(SPACE.words, field)))


def test_configurations_are_named_by_branch_and_choice() -> None:
    chosen = SPACE.complete({"sc": "e3k2", "fused": "e4k2", "granularity": "subject"})
    assert points(SPACE, chosen) == "sc:e3k2 + fused:e4k2 + granularity:subject"
    assert short_points(SPACE, chosen) == "sc+fused:e4+subject"
    assert points(SPACE, SPACE.baseline) == "static" and SPACE.words.baseline == "the static model"


def test_short_names_tell_which_of_two_choices_is_meant() -> None:
    full = ExpertRoutingSpace("full")
    two = {p: c for p, c in full.parameters.items() if len(c) == 2}
    for parameter, (off, on) in two.items():
        assert {f"{parameter}={off}", f"{parameter}={on}"} <= SPACE.words.short.keys(), parameter
    chosen = full.complete({"fused": "e3k2", "noise": "off", "pooling": "max"})
    assert short_points(full, chosen) == "fused:e3k2+no noise+pooling:ma"


def test_what_is_advised_can_be_asked_for() -> None:
    ((option, value),) = SPACE.words.wider
    assert option == "--set"
    key, _, choice = value.partition("=")
    assert ExpertRoutingSpace(**{key: choice}).parameters.keys() > SPACE.parameters.keys()
