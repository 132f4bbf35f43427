"""From what is typed to what is meant: `key=value` options, lists of names, folders and numbers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_BETWEEN = re.compile(r",(?![^()]*\))")  # commas that are not inside parentheses
_NUMBER_OR_WORD = re.compile(r"true|false|null|[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[\[{\"].*")


def key_values(option: str, items: Sequence[str]) -> dict[str, Any]:
    """Return `key=value` items as a mapping; values that are JSON (numbers, true, lists) are read as such.

    Raises:
        ValueError: If an item is not of that form, or a key occurs twice.
    """
    found: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key.isidentifier():
            raise ValueError(f"`{option}` must have the form KEY=VALUE, but got {item!r}.")
        if key in found:
            raise ValueError(f"`{option}` must give each key once, but got {key!r} twice.")
        found[key] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    if not _NUMBER_OR_WORD.fullmatch(text):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def names(option: str, text: str | None, *, least: int = 1) -> tuple[str, ...] | None:
    """Return the names in a comma-separated list, `None` for no list; `mmtm(T1w,FLAIR),film` are two.

    Raises:
        ValueError: If there are fewer than `least`, or a name is empty or occurs twice.
    """
    if text is None:
        return None
    found = tuple(name.strip() for name in _BETWEEN.split(text))
    if "" in found or len(set(found)) < len(found) or len(found) < least:
        wanted = f"at least {least} different names" if least > 1 else "different names"
        raise ValueError(f"`{option}` must be {wanted} separated by commas, but got {text!r}.")
    return found


def at_least(option: str, value: int | None, least: int, most: int | None = None) -> int | None:
    """Return a number that is large and small enough, or `None`.

    Raises:
        ValueError: If it is smaller than `least` or larger than `most`.
    """
    if value is not None and value < least:
        raise ValueError(f"`{option}` must be at least {least}, but got {value}.")
    if value is not None and most is not None and value > most:
        raise ValueError(f"`{option}` must be at most {most}, but got {value}.")
    return value


def not_empty(options: Mapping[str, object]) -> None:
    """Check that no option was given as an empty text, as by a shell variable that is not set.

    Raises:
        ValueError: If one was.
    """
    for option, value in options.items():
        if isinstance(value, str) and not value.strip():
            raise ValueError(f"`{option}` must not be empty; leave it out for its default.")


def results_folder(out: Path) -> Path:
    """Return the folder of the results, made if need be.

    Raises:
        ValueError: If it is a file, or cannot be made or written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"`--out` must be a folder, but {out} is a file.") from None
    except OSError as error:
        raise ValueError(
            f"`--out` must be a folder that can be written to, but {out} cannot be made: {error.strerror}."
        ) from None
    if not os.access(out, os.W_OK):
        raise ValueError(f"`--out` must be a folder that can be written to, but {out} cannot.")
    return out


def study_folder(out: Path, name: str) -> Path:
    """Return the folder of a study in that of the results, whatever its name: slashes and dots lead nowhere else."""
    text = name.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C")
    return out / (text.replace(".", "%2E") if set(text) == {"."} else text)


def storage_url(storage: str | None, out: Path) -> str:
    """Return the URL of the studies' storage: what was asked for, else SQLite in the folder of the results."""
    return storage or f"sqlite:///{out / 'nas-fusion.db'}"


def artifacts_url(artifacts: str | None, out: Path) -> str:
    """Return where weights and predictions are kept: what was asked for, else a folder beside the results, made if need be.

    Raises:
        ValueError: If it is a file, or cannot be made or written to.
    """
    if artifacts is not None and "://" in artifacts:
        return artifacts
    folder = Path(artifacts) if artifacts is not None else out / "artifacts"
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`--artifacts` must be a folder or a URL, but {folder} is a file.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"`--artifacts` must be a folder or a URL, but {folder} cannot be made: {error.strerror}.") from None
    if not os.access(folder, os.W_OK):
        raise ValueError(f"`--artifacts` must be a folder that can be written to, but {folder} cannot.")
    return str(folder.resolve())
