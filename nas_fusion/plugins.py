"""One registry for everything that plugs in: modules, backbones, routers, spaces, samplers and cohorts.

A plug-in is found in one of two ways: an installed distribution names it in an entry-point group (`nas_fusion.modules`, ...),
or a running program registers it with a decorator. A broken plug-in never breaks the others: it is listed with the reason.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

KINDS = ("spaces", "samplers", "modules", "backbones", "routers", "cohorts")
T = TypeVar("T")
_registered: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}


@dataclass(frozen=True)
class Plugin:
    """What is known of a plug-in without using it.

    Attributes:
        kind: One of `KINDS`.
        name: The name that users type.
        target: Where it is, `module:attribute`.
        distribution: The distribution that brings it, `None` for one registered by a decorator.
        version: That distribution's version.
        error: Why it cannot be loaded, `None` if it can.
    """

    kind: str
    name: str
    target: str
    distribution: str | None = None
    version: str | None = None
    error: str | None = None


def register(kind: str, name: str) -> Callable[[T], T]:
    """Return a decorator that registers a class or function as the plug-in `name` of `kind`.

    Raises:
        ValueError: If the kind is unknown, or another object holds the name.
    """
    _check_kind(kind)

    def decorate(target: T) -> T:
        held = _registered[kind].get(name)
        if held is not None and _where(held) != _where(target):
            raise ValueError(f"`name` must be free among {kind}, but {name!r} is {_where(held)} already.")
        _registered[kind][name] = target
        return target

    return decorate


def load(kind: str, name: str) -> Any:
    """Return the class or function that is the plug-in `name` of `kind`.

    Raises:
        ValueError: If there is none of that name, or it cannot be imported; the message says whose it is and why.
    """
    _check_kind(kind)
    if name in _registered[kind]:
        return _registered[kind][name]
    found = _entry_points(kind).get(name)
    if found is None:
        known = names(kind)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"`{kind[:-1]}` must be one of {', '.join(known) or '(none is installed)'}, but got {name!r}.{hint}")
    return _load_entry_point(kind, found)


def names(kind: str) -> list[str]:
    """Return the names of all plug-ins of a kind, sorted."""
    _check_kind(kind)
    return sorted({*_registered[kind], *_entry_points(kind)})


def available(kind: str) -> list[Plugin]:
    """Return every plug-in of a kind, the broken ones with their reason, sorted by name."""
    return [_describe(kind, name) for name in names(kind)]


def _describe(kind: str, name: str) -> Plugin:
    if name in _registered[kind]:
        return Plugin(kind, name, _where(_registered[kind][name]))
    point = _entry_points(kind)[name]
    distribution, version = (point.dist.name, point.dist.version) if point.dist else (None, None)
    error = None
    try:
        _load_entry_point(kind, point)
    except ValueError as failure:
        error = str(failure)
    return Plugin(kind, name, point.value, distribution, version, error)


def _load_entry_point(kind: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as failure:
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
        raise ValueError(
            f"The {kind[:-1]} {point.name!r} ({point.value}, from {origin}) cannot be loaded: "
            f"{type(failure).__name__}: {failure}"
        ) from failure


def _entry_points(kind: str) -> dict[str, EntryPoint]:
    return _found(kind, tuple(sys.path))


@cache
def _found(kind: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return the entry points of a kind; metadata are files, and models are built too often to read them each time."""
    return {point.name: point for point in entry_points(group=f"nas_fusion.{kind}")}


def _where(target: Any) -> str:
    return f"{getattr(target, '__module__', '?')}:{getattr(target, '__qualname__', repr(target))}"


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, but got {kind!r}.")
