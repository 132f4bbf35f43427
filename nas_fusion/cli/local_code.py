"""`--allow-local-code`: options that name plug-ins also take code of a file, `FILE.py:NAME`, which is a name from then on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from nas_fusion import plugins
from nas_fusion.local_code import place_of

_BETWEEN = re.compile(r",(?![^()]*\))")  # commas outside of brackets
_MEMBERS = re.compile(r"\([^()]*\)$")  # who meets, as in mine.py:Mine(T1w,FLAIR)


class NamesPlugins(Protocol):
    """Options of a command on a space and a cohort."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def space(self) -> str:
        """A search space."""

    @property
    def data(self) -> str | None:
        """A cohort or files."""

    @property
    def module(self) -> str | None:
        """Fusion modules, separated by commas."""

    @property
    def allow_local_code(self) -> bool:
        """Whether code of files may run."""


O = TypeVar("O", bound=NamesPlugins)  # noqa: E741


def adopted(options: O) -> O:
    """Return options in which space, cohort and modules have names: code of files that they give has run.

    Raises:
        ValueError: If it is not allowed, or cannot be run.
    """
    allowed = options.allow_local_code
    space = adopted_names("spaces", options.space, allowed=allowed)
    data = options.data and adopted_names("cohorts", options.data, allowed=allowed)
    module = options.module and adopted_names("modules", options.module, allowed=allowed)
    return dataclasses.replace(options, space=space, data=data, module=module)


def adopted_names(kind: str, text: str, *, allowed: bool) -> str:
    """Return names separated by commas, with a name for each that is code of a file.

    Args:
        kind: The kind of plug-ins.
        text: As typed.
        allowed: Whether code of files may run.

    Raises:
        ValueError: If it is not allowed, or cannot be run.
    """
    return ",".join(_adopted_name(kind, item.strip(), allowed) for item in _BETWEEN.split(text))


def adopt_options(typed: dict[str, Any], kinds: Mapping[str, str], *, allowed: bool) -> None:
    """Put names where the options of a space that name plug-ins give code of files.

    Args:
        typed: Option to value; changed.
        kinds: Option to kind of plug-ins, see `SearchSpace.takes_plugins`.
        allowed: Whether code of files may run.

    Raises:
        ValueError: If it is not allowed, or cannot be run.
    """
    for option, kind in kinds.items():
        if option in typed:
            typed[option] = _adopted(kind, typed[option], allowed)


def _adopted_name(kind: str, item: str, allowed: bool) -> str:
    place = _MEMBERS.sub("", item)
    return plugins.adopt(kind, place, allowed=allowed) + item.removeprefix(place) if place_of(place) else item


def _adopted(kind: str, value: Any, allowed: bool) -> Any:
    if isinstance(value, str):
        return adopted_names(kind, value, allowed=allowed)
    if isinstance(value, list):
        return [_adopted(kind, item, allowed) for item in value]
    return {key: _adopted(kind, item, allowed) for key, item in value.items()} if isinstance(value, dict) else value
