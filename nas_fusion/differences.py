"""In what a study's description differs from what is asked for: pure functions of two JSON objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return in what two descriptions differ, a sentence without its full stop each, in the order of the names.

    Example:
        >>> differences({"seed": 0, "plan": {"epochs": 5}}, {"seed": 1, "plan": {"epochs": 5}})
        ['the study was made with seed=0, but seed=1 was asked for']
    """
    old, new = dict(_leaves(as_json(stored))), dict(_leaves(as_json(wanted)))
    return [
        f"the study was made with {_assignment(name, old)}, but {_assignment(name, new)} was asked for"
        for name in dict.fromkeys((*old, *new))
        if (name in old, old.get(name)) != (name in new, new.get(name)) and not (_is_filled(name, old) or _is_filled(name, new))
    ]


def _is_filled(name: str, leaves: Mapping[str, Any]) -> bool:
    """Return whether something within a name is among the leaves, which says more than the name itself."""
    return any(leaf.startswith(f"{name}.") for leaf in leaves)


def as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as every storage gives it back: plain, with lists for tuples."""
    decoded: dict[str, Any] = json.loads(json.dumps(value))
    return decoded


def _leaves(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for name, inner in value.items():
        leaves += _leaves(inner, f"{prefix}{name}.") if isinstance(inner, dict) and inner else [(f"{prefix}{name}", inner)]
    return leaves


def _assignment(name: str, values: Mapping[str, Any]) -> str:
    return f"{name}={json.dumps(values[name])}" if name in values else f"no {name}"
