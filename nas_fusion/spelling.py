"""Spelling: what somebody who typed an unknown word may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return the end of an error's sentence: the most similar of the words that are known, nothing if none is similar.

    Example:
        >>> did_you_mean("mtmm", ["concat_conv", "mmtm"])
        " Did you mean 'mmtm'?"
    """
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
