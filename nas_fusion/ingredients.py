"""What something that is kept was made of: plug-ins with distribution and version, written down when it is made.

Whoever opens it later learns what is missing, and where it came from, instead of a name that nobody knows any more.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from nas_fusion import plugins
from nas_fusion.distributions import OURS
from nas_fusion.local_code import LocalFile, read_file
from nas_fusion.plugins import Plugin

Rows: TypeAlias = Sequence[Mapping[str, Any]]


def ingredients(uses: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """Return what is known of plug-ins now, a JSON-compatible row each.

    Args:
        uses: Kind to names, as `SearchSpace.uses` gives it. What is no plug-in, such as a space that a script defines, is left
            out.

    Returns:
        Rows with `kind`, `name`, `distribution`, `version` and `target`, of local code `sha256` too, each once.
    """
    named = ((kind, name) for kind, used in uses.items() for name in dict.fromkeys(used))
    return [_row(plugins.describe(kind, name)) for kind, name in named if name in plugins.names(kind)]


def check_ingredients(rows: Rows) -> None:
    """Check that plug-ins with which something was made are here; warn of other versions or distributions than those.

    Args:
        rows: As `ingredients` gave them.

    Raises:
        ValueError: If some are missing or one cannot be loaded: with name, distribution and version.
    """
    missing = [row for row in rows if row["name"] not in plugins.names(row["kind"])]
    if missing:
        listed = " and no ".join(f"{row['kind'][:-1]} {row['name']!r} ({_origin(row)})" for row in missing)
        raise ValueError(f"Plug-ins must be installed as they were when this was made, but there is no {listed}.")
    for row in rows:
        kind, name = row["kind"], row["name"]
        plugin = plugins.describe(kind, name)
        if plugin.error is not None:
            raise ValueError(f"{plugin.error.rstrip('.')}. It was {_origin(row)} when this was made.")
        if _differs(row, plugin):
            now = plugin.origin or plugin.target
            warnings.warn(f"The {kind[:-1]} {name!r} is {now} here, but was {_origin(row)} when this was made.", stacklevel=2)


def local_code_of(rows: Rows) -> list[dict[str, str]]:
    """Return the local code among plug-ins: rows with `kind`, `name`, `path` and `sha256`."""
    return [
        {"kind": row["kind"], "name": row["name"], "path": row["target"].rpartition(":")[0], "sha256": row["sha256"]}
        for row in rows
        if row.get("sha256")
    ]


def adopt_again(local_code: Rows, *, allowed: bool = False) -> None:
    """Make the local code with which something was made known in this process, unless it is.

    Args:
        local_code: As `local_code_of` gave it.
        allowed: Whether somebody said that local code may run.

    Raises:
        ValueError: If it is not allowed, or a file is gone or has changed.
    """
    for row in local_code:
        kind, name, file = row["kind"], row["name"], LocalFile(row["path"], row["sha256"])
        if name in plugins.names(kind) and plugins.describe(kind, name).sha256 == file.sha256:
            continue
        about = f"the {kind[:-1]} {name!r} is code of {file.path}"
        if not allowed:
            raise ValueError(f"`--allow-local-code` must be given to run local code, but was not, and {about}.")
        try:
            found = read_file(file.path)
        except ValueError as error:
            raise ValueError(f"The local code must be where it was, but {about}. {error}") from None
        if found.sha256 != file.sha256:
            raise ValueError(
                f"The local code must be what it was, but {about}, which has changed: "
                f"its sha256 is {found.sha256[:12]}, not {file.sha256[:12]}."
            )
        plugins.adopt(kind, f"{file.path}:{name}", allowed=True)


def _row(plugin: Plugin) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(plugin, name) for name in ("kind", "name", "distribution", "version", "target")}
    return row if plugin.sha256 is None else {**row, "sha256": plugin.sha256}


def _origin(row: Mapping[str, Any]) -> str:
    if row.get("distribution"):
        return f"{row['target']} of the distribution {row['distribution']} {row['version']}"
    return f"local code, {row['target']}" if row.get("sha256") else f"{row['target']}, registered by a program"


def _differs(row: Mapping[str, Any], plugin: Plugin) -> bool:
    """Return whether a plug-in comes from elsewhere now; versions of nas-fusion itself are its own care."""
    if row["distribution"] != plugin.distribution or row.get("sha256") != plugin.sha256:
        return True
    return plugin.distribution not in (OURS, None) and row["version"] != plugin.version
