from __future__ import annotations

import json

import pytest

from nas_fusion.cohorts import Fold, Splits

SPLITS = Splits((Fold(("a", "b"), ("c",)), Fold(("b", "c"), ("a",))), ("d",))


def test_json_has_the_form_of_nnunet_and_comes_back() -> None:
    text = SPLITS.to_json()
    assert json.loads(text) == [{"train": ["a", "b"], "val": ["c"]}, {"train": ["b", "c"], "val": ["a"]}]
    assert Splits.from_json(text, ["a", "b", "c", "d"]) == SPLITS
    assert SPLITS.development == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "must be JSON"),
        ("[]", "list of at least one fold"),
        ('{"train": []}', "list of at least one fold, but got dict"),
        ('[{"train": ["a"]}]', "fold 0 is not"),
        ('[{"train": ["a"], "val": []}]', "'val' of fold 0"),
        ('[{"train": [1], "val": ["a"]}]', "'train' of fold 0"),
        ('[{"train": ["a"], "val": ["z"]}]', r"'z' is none \(1 in all\)"),
        ('[{"train": ["a", "b"], "val": ["b"]}]', "'b' occurs twice"),
    ],
)
def test_refuses_other_forms(text: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Splits.from_json(text, ["a", "b"])


def test_no_subject_is_in_two_parts() -> None:
    with pytest.raises(ValueError, match=r"`train` and `validation` must be disjoint .* 'a' occurs twice"):
        Fold(("a",), ("a",))
    with pytest.raises(ValueError, match=r"a fold and `test` must be disjoint .* 'b' occurs twice"):
        Splits((Fold(("a",), ("b",)),), ("b",))
    with pytest.raises(ValueError, match="at least one fold"):
        Splits(())
