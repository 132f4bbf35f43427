"""How reports speak of fusion points whose choices name who meets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from nas_fusion.words import Words
from search_spaces.fusion_points.meetings import Choice

_DEFAULT = Words()


def words_of(offered: Mapping[str, Sequence[Choice]]) -> Words:
    """Return the words for a space: the default ones unless choices name modalities; then every choice is named.

    Example:
        >>> words_of({"layer1": [Choice("mmtm", ("T1w", "FLAIR"))], "layer4": [Choice("mmtm")]}).short
        {'layer1=mmtm(T1w,FLAIR)': '1:T1w×FLAIR', 'layer4=mmtm': '4:all'}

    Args:
        offered: Point to what it can choose.
    """
    choices = {choice for several in offered.values() for choice in several}
    if not any(choice.members for choice in choices):
        return _DEFAULT
    several_modules = len({choice.module for choice in choices}) > 1
    beginning = takewhile(lambda letters: len(set(letters)) == 1, zip(*offered, strict=False))
    shared = len(list(beginning)) if len(offered) > 1 else 0
    short = {
        f"{point}={choice}": f"{point[shared:] or point}:{_short(choice, several_modules)}"
        for point, several in offered.items()
        for choice in several
    }
    return Words(names_choices=True, short=short)


def _short(choice: Choice, named: bool) -> str:
    met = "×".join(choice.members) or "all"
    return f"{choice.module} {met}" if named else met
