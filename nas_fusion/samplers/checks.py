"""What options must be, so that a wrong one is named in one clear sentence wherever it was written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

_MOST_ENUMERATED = 2**20


def check_count(name: str, count: Any, *, least: int = 1) -> int:
    """Return a number if it is whole and large enough.

    Raises:
        ValueError: If it is not.
    """
    if type(count) is not int or count < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}, but got {count!r}.")
    return count


def check_enumerable(size: int) -> None:
    """Raise if a space has too many configurations to go through all of them, those included that are not canonical.

    Raises:
        ValueError: If they are more than 2^20.
    """
    if size > _MOST_ENUMERATED:
        raise ValueError(
            f"`space` must have at most {_MOST_ENUMERATED} configurations to be searched exhaustively, but got {_about(size)}: "
            "take a search that chooses, such as sfsa, beam or surrogate."
        )


def check_switch(name: str, value: Any) -> bool:
    """Return what is either on or off: a word is neither, though Python would take it for true.

    Raises:
        ValueError: If it is something else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be true or false, but got {value!r}.")
    return value


def is_finite(value: Any) -> bool:
    """Return whether something is a finite number; true and false are none."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def check_choices(name: str, value: Any, parameters: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return a mapping of some parameters to one of their choices each.

    Raises:
        ValueError: If it is no mapping, or names an unknown parameter or choice.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"`{name}` must map parameters of the space to their choices, but got {value!r}.")
    for parameter, choice in value.items():
        if choice not in parameters.get(parameter, ()):
            raise ValueError(f"`{name}` must map parameters of the space to their choices, but got {parameter!r}: {choice!r}.")
    return dict(value)


def check_lists(name: str, value: Any) -> list[tuple[Any, ...]]:
    """Return lists of at least two different things each.

    Raises:
        ValueError: If it is anything else.
    """
    if not _is_list(value):
        raise ValueError(f"`{name}` must be lists of at least two different parameters, but got {value!r}.")
    for each in value:
        if not _is_list(each) or len(each) < 2 or any(one in each[:position] for position, one in enumerate(each)):
            raise ValueError(f"`{name}` must be lists of at least two different parameters, but got {each!r}.")
    return [tuple(each) for each in value]


def _about(size: int) -> str:
    """Return a large number in few letters; Python's own conversion ends at 1.8e308."""
    return str(size) if size < 10**9 else f"about 10^{round(math.log10(size))}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
