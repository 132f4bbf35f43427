"""One registry for everything that plugs in: modules, backbones, routers, spaces, samplers and cohorts.

A plug-in is found in one of three ways: an installed distribution names it in an entry-point group (`nas_fusion.modules`, ...),
a running program registers it with a decorator, or it is code in a file that somebody allowed to run. A broken plug-in never
breaks the others: it is listed with the reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, TypeVar

from nas_fusion import distributions, local_code
from nas_fusion.distributions import Claim
from nas_fusion.local_code import LocalFile
from nas_fusion.spelling import did_you_mean

KINDS = ("spaces", "samplers", "modules", "backbones", "routers", "cohorts")
T = TypeVar("T")
_registered: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
_files: dict[tuple[str, str], LocalFile] = {}  # of what was registered by local code


@dataclass(frozen=True)
class Plugin:
    """What is known of a plug-in without using it.

    Attributes:
        kind: One of `KINDS`.
        name: The name that users type.
        target: Where it is: `module:attribute`, of local code `/path/to/file.py:attribute`.
        distribution: The distribution that brings it, `None` for one registered by a decorator and for local code.
        version: That distribution's version.
        error: Why it cannot be loaded, `None` if it can.
        others: Other distributions that claim the name, with their versions; what they mean by it is not used.
        sha256: Digest of the file of local code, `None` for anything else.
    """

    kind: str
    name: str
    target: str
    distribution: str | None = None
    version: str | None = None
    error: str | None = None
    others: tuple[str, ...] = ()
    sha256: str | None = None

    @property
    def origin(self) -> str:
        """Where it comes from, in a few words: a distribution with its version, `local code`, or nothing."""
        return f"{self.distribution} {self.version}" if self.distribution else "local code" if self.sha256 else ""


def register(kind: str, name: str) -> Callable[[T], T]:
    """Return a decorator that registers a class or function as the plug-in `name` of `kind`.

    Raises:
        ValueError: If the kind is unknown, or another object holds the name; for local code also if a distribution does.
    """
    _check_kind(kind)

    def decorate(target: T) -> T:
        held, file = _registered[kind].get(name), local_code.running()
        if held is not None and _where(held) != _where(target):
            raise ValueError(f"`name` must be free among {kind}, but {name!r} is {_where(held)} already.")
        if file is not None and name in _claims(kind):
            raise ValueError(f"`name` must be free among {kind}, but {name!r} is of {_claims(kind)[name][0].origin} already.")
        _registered[kind][name] = target
        _files.pop((kind, name), None)
        if file is not None:
            _files[kind, name] = file
        return target

    return decorate


def adopt(kind: str, place: str, *, allowed: bool = False) -> str:
    """Run the code of a file and return the name of the plug-in that it brings, from then on a name like any other.

    Args:
        kind: One of `KINDS`.
        place: `path/to/file.py:Name`, a class or function of the file, which has the name that a decorator there gives it, else
            `Name`.
        allowed: Whether somebody said that local code may run.

    Raises:
        ValueError: If it is not allowed, the file cannot be read or run, it has no such class or function, or the name is
            another plug-in's.
    """
    _check_kind(kind)
    found = local_code.place_of(place)
    if found is None:
        raise ValueError(f"`{kind[:-1]}` must have the form FILE.py:NAME to be local code, but got {place!r}.")
    if not allowed:
        raise ValueError(
            f"`{kind[:-1]}` must be installed unless --allow-local-code lets the code of a file run, but got {place!r}."
        )
    path, name = found
    module, file = local_code.run_file(path)
    if _files.get((kind, name)) == file and name in _registered[kind]:
        return name
    target = getattr(module, name, None)
    if target is None:
        hint = did_you_mean(name, vars(module))
        raise ValueError(f"`{kind[:-1]}` must be something that {path} defines, but it has no {name!r}.{hint}")
    reason = _unfit(target)
    if reason is not None:
        raise ValueError(f"The {kind[:-1]} {place!r} cannot be used: {reason}")
    given = [other for other, held in _registered[kind].items() if held is target]
    if not given:
        with local_code.runs(file):
            register(kind, name)(target)
    return (given or [name])[0]


def load(kind: str, name: str) -> Any:
    """Return the class or function that is the plug-in `name` of `kind`.

    Raises:
        ValueError: If there is none of that name, or it cannot be imported; the message says whose it is and why.
    """
    _check_kind(kind)
    if name in _registered[kind]:
        return _registered[kind][name]
    _check_known(kind, name)
    return _imported(_claims(kind)[name][0])


def names(kind: str) -> list[str]:
    """Return the names of all plug-ins of a kind, sorted."""
    _check_kind(kind)
    return sorted({*_registered[kind], *_claims(kind)})


def available(kind: str) -> list[Plugin]:
    """Return every plug-in of a kind, the broken ones with their reason, sorted by name."""
    lost = [Plugin(kind, c.name, c.target, c.distribution, c.version, c.error) for c in distributions.unreadable(kind)]
    return [*lost, *(describe(kind, name) for name in names(kind))]


def describe(kind: str, name: str) -> Plugin:
    """Return what is known of a plug-in: whose it is, in which version, and why it cannot be loaded if it cannot.

    Raises:
        ValueError: If there is none of that name.
    """
    _check_known(kind, name)
    holder, *others = _claims(kind).get(name, (None,))
    target, file = _registered[kind].get(name), _files.get((kind, name))
    if target is not None and file is not None:
        return Plugin(kind, name, f"{file.path}:{_where(target).partition(':')[2]}", sha256=file.sha256)
    if holder is None or (target is not None and _where(target) != holder.target):
        return Plugin(kind, name, _where(target))
    error = None
    try:
        _imported(holder)
    except ValueError as failure:
        error = str(failure)
    also = tuple(other.origin for other in others if other is not None)
    return Plugin(kind, name, holder.target, holder.distribution, holder.version, error, also)


def _imported(claim: Claim) -> Any:
    about = f"The {claim.kind[:-1]} {claim.name!r} ({claim.target}, from {claim.origin})"
    try:
        target = EntryPoint(claim.name, claim.target, f"nas_fusion.{claim.kind}").load()
    except (Exception, SystemExit) as failure:
        raise ValueError(f"{about} cannot be loaded: {type(failure).__name__}: {failure}") from failure
    reason = _unfit(target)
    if reason is not None:
        raise ValueError(f"{about} cannot be used: {reason}")
    return target


def _unfit(target: Any) -> str | None:
    """Return why something can be no plug-in, `None` if it may be one."""
    if not callable(target):
        return f"it must be a class or a function, but is {type(target).__name__}."
    if inspect.isabstract(target):
        return f"it must define {', '.join(sorted(target.__abstractmethods__))}, but does not."
    return None


def _claims(kind: str) -> dict[str, tuple[Claim, ...]]:
    return distributions.claims(kind)


def _where(target: Any) -> str:
    return f"{getattr(target, '__module__', '?')}:{getattr(target, '__qualname__', repr(target))}"


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, but got {kind!r}.")


def _check_known(kind: str, name: str) -> None:
    known = names(kind)
    if name not in known:
        listed = ", ".join(known) or "(none is installed)"
        raise ValueError(f"`{kind[:-1]}` must be one of {listed}, but got {name!r}.{did_you_mean(name, known)}")
