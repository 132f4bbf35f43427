from __future__ import annotations

import pytest

from nas_fusion.spelling import did_you_mean


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("mtmm", " Did you mean 'mmtm'?"),
        ("concat_con", " Did you mean 'concat_conv'?"),
        ("quite another", ""),
        (3, ""),
        (None, ""),
    ],
)
def test_the_most_similar_word_if_any(word: object, said: str) -> None:
    assert did_you_mean(word, iter(["concat_conv", "mmtm"])) == said


def test_nothing_is_similar_where_nothing_is_known() -> None:
    assert did_you_mean("mmtm", []) == ""
