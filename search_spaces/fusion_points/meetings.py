"""Meetings: the choices of a point, each a fusion module and perhaps the modalities that meet in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from nas_fusion import FusionModule, build_module
from nas_fusion.fusion import Meeting

MEET = ("all", "pairs", "subsets")
_MOST = 8  # modalities of which every subset is a choice: 247 of them
_NAMED = re.compile(r"([^()]+)\(([^()]*)\)")
_BETWEEN = re.compile(r",(?![^()]*\))")  # commas that are not inside parentheses


class Choice(NamedTuple):
    """What a point may choose.

    Attributes:
        module: Name of a fusion module.
        members: The modalities that meet in it; none for all that the point joins.
    """

    module: str
    members: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.module}({','.join(self.members)})" if self.members else self.module


def read_choice(text: str) -> Choice:
    """Return what a choice says.

    Example:
        >>> read_choice("mmtm(T1w,FLAIR)")
        Choice(module='mmtm', members=('T1w', 'FLAIR'))

    Raises:
        ValueError: If it names a single modality, or one twice.
    """
    named = _NAMED.fullmatch(text)
    if named is None:
        return Choice(text)
    members = tuple(member.strip() for member in named[2].split(","))
    if len(members) < 2 or len(set(members)) < len(members) or "" in members:
        raise ValueError(f"`modules` must let at least two different modalities meet, but got {text!r}.")
    return Choice(named[1].strip(), members)


def read_choices(texts: Sequence[str]) -> tuple[Choice, ...]:
    """Return what several choices say.

    Raises:
        ValueError: If one is `none`, names a single modality, or lets the same modalities meet as another.
    """
    found = tuple(map(read_choice, texts))
    if any(choice.module == "none" for choice in found):
        raise ValueError("`modules` must name fusion modules, but got 'none', which every point can choose anyway.")
    if len({(choice.module, frozenset(choice.members)) for choice in found}) < len(found):
        raise ValueError(f"`modules` must name each meeting once, but got {list(texts)}.")
    return found


def split_choices(text: str) -> tuple[str, ...]:
    """Return the choices in a comma-separated list: `mmtm(T1w,FLAIR),concat_conv` are two."""
    return tuple(part.strip() for part in _BETWEEN.split(text))


def choices_of(modules: Sequence[Choice], meet: str, joined: Sequence[str] | None) -> tuple[Choice, ...]:
    """Return what a point can choose, each choice once.

    Args:
        modules: As they were asked for. Those that name modalities stay as they are.
        meet: `all` (who is joined meets), `pairs` (also every two of them alone) or `subsets` (also every two or more).
        joined: The modalities that the point joins, in the cohort's order; `None` where they are not known.

    Raises:
        ValueError: If they are not known and `meet` needs them, or there are too many subsets.
    """
    found: list[Choice] = []
    for choice in modules:
        if choice.members:
            found += [choice] if joined is None or set(choice.members) <= set(joined) else []
        else:
            found += [choice, *(Choice(choice.module, some) for some in _some(meet, joined))]
    return tuple(dict.fromkeys(found))


def check_meet(meet: str) -> str:
    """Return a rule of who meets if it is one.

    Raises:
        ValueError: If it is not.
    """
    if meet not in MEET:
        raise ValueError(f"`meet` must be one of {', '.join(MEET)}, but got {meet!r}.")
    return meet


def _some(meet: str, joined: Sequence[str] | None) -> list[tuple[str, ...]]:
    """Return who may meet without all the others that are joined."""
    if meet == "all":
        return []
    if joined is None:
        raise ValueError(f"`modalities` must be given where `meet` is {meet!r}, but got none.")
    if meet == "subsets" and len(joined) > _MOST:
        raise ValueError(f"`meet` must be all or pairs for more than {_MOST} modalities, but got 'subsets' of {len(joined)}.")
    sizes = range(2, 3 if meet == "pairs" else len(joined))
    return [some for size in sizes if size < len(joined) for some in combinations(joined, size)]


def build_meeting(choice: Choice, channels: Mapping[str, int], spatial_dims: int, options: Mapping[str, Any]) -> FusionModule:
    """Return the freshly initialised module of a choice at a point.

    Args:
        choice: What is chosen.
        channels: Modality to its channels there, for all that the point joins.
        spatial_dims: Number of spatial axes there, 0 to 3.
        options: The module's own.

    Raises:
        ValueError: If the module cannot connect streams of these widths.
    """
    joined = list(channels)
    members = [joined.index(name) for name in joined if name in choice.members]
    if len(members) in (0, len(joined)):
        return build_module(choice.module, list(channels.values()), spatial_dims=spatial_dims, **options)
    met = [channels[joined[i]] for i in members]
    return Meeting(build_module(choice.module, met, spatial_dims=spatial_dims, **options), list(channels.values()), members)
