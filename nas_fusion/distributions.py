"""What installed distributions name as plug-ins in their entry points; metadata alone, nothing is imported."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distributions

OURS = "nas-fusion"
_GROUP = "nas_fusion."


@dataclass(frozen=True)
class Claim:
    """A name that a distribution claims.

    Attributes:
        kind: The entry points' group without `nas_fusion.`; a plug-in's kind.
        name: The name, `?` where the distribution's entry points cannot be read.
        target: What it stands for, `module:attribute`.
        distribution: The distribution's name.
        version: Its version.
        error: Why its entry points cannot be read, `None` if they can.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    error: str | None = None

    @property
    def origin(self) -> str:
        """The distribution with its version."""
        return f"{self.distribution} {self.version}"


def claims(kind: str) -> dict[str, tuple[Claim, ...]]:
    """Return the names of a kind, each with all that claim it: the one that holds it first.

    nas-fusion holds its own names; any other is held by the distribution whose name comes first in the alphabet, so that the
    order of installation plays no part.
    """
    return _by_name(kind, tuple(sys.path))


def unreadable(kind: str) -> list[Claim]:
    """Return the distributions that mean to have plug-ins of a kind, but whose entry points cannot be read."""
    return [claim for claim in _claims(tuple(sys.path)) if claim.kind == kind and claim.error is not None]


@cache
def _by_name(kind: str, path: tuple[str, ...]) -> dict[str, tuple[Claim, ...]]:
    found: dict[str, list[Claim]] = {}
    for claim in _claims(path):
        if claim.kind == kind and claim.error is None:
            found.setdefault(claim.name, []).append(claim)
    return {name: tuple(sorted(several, key=_precedence)) for name, several in found.items()}


def _precedence(claim: Claim) -> tuple[bool, str]:
    return _normalized(claim.distribution) != OURS, _normalized(claim.distribution)


@cache
def _claims(path: tuple[str, ...]) -> tuple[Claim, ...]:
    """Return all claims on a path; metadata are files, and models are built too often to read them each time.

    `importlib.metadata.entry_points` would fail for all where one distribution's file has another form.
    """
    found: list[Claim] = []
    seen: set[str] = set()
    for distribution in distributions(path=list(path)):
        name, version = _name_and_version(distribution)
        if _normalized(name) not in seen:  # the first on the path is the one that is imported
            seen.add(_normalized(name))
            found += _claims_of(distribution, name, version)
    return tuple(found)


def _claims_of(distribution: Distribution, name: str, version: str) -> list[Claim]:
    text = distribution.read_text("entry_points.txt") or ""
    try:
        points = list(distribution.entry_points)
    except Exception as failure:  # noqa: BLE001  # whatever a parser of somebody's file raises
        kinds = dict.fromkeys(re.findall(rf"\[{re.escape(_GROUP)}(\w+)\]", text))
        reason = f"its entry points cannot be read ({type(failure).__name__})"
        return [Claim(kind, "?", "entry_points.txt", name, version, reason) for kind in kinds]
    ours = [point for point in points if point.group.startswith(_GROUP)]
    return [Claim(point.group.removeprefix(_GROUP), point.name, point.value, name, version) for point in ours]


def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    try:
        metadata = distribution.metadata
        return str(metadata["Name"] or "(without a name)"), str(metadata["Version"] or "(without a version)")
    except Exception:  # noqa: BLE001  # Python's versions differ in what they raise where the file is missing
        return "(without a name)", "(without a version)"


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
