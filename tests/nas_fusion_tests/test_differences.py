from __future__ import annotations

import pytest

from nas_fusion.differences import differences


@pytest.mark.parametrize(
    ("stored", "wanted", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": (1, 2)}, {"a": [1, 2]}, []),
        ({"seed": 0}, {"seed": 1}, ["the study was made with seed=0, but seed=1 was asked for"]),
        ({"s": {"a": {"b": "x"}}}, {"s": {"a": {"b": None}}}, [
            'the study was made with s.a.b="x", but s.a.b=null was asked for',
        ]),
        ({"a": 1}, {"b": 2}, [
            "the study was made with a=1, but no a was asked for",
            "the study was made with no b, but b=2 was asked for",
        ]),
        ({"plan": {}}, {"plan": {"epochs": 3}}, [
            "the study was made with no plan.epochs, but plan.epochs=3 was asked for",
        ]),
        ({"a": None}, {}, ["the study was made with a=null, but no a was asked for"]),
    ],
)  # fmt: skip
def test_differences(stored: dict[str, object], wanted: dict[str, object], found: list[str]) -> None:
    assert differences(stored, wanted) == found
