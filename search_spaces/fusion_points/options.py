"""Options of the space, sorted by what they belong to: backbone, training plan or fusion modules."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, TypeVar

import torch

from nas_fusion import TrainingPlan, build_module, plugins
from search_spaces.fusion_points.backbones import BackboneOptions

T = TypeVar("T", BackboneOptions, TrainingPlan)
_OPTIONAL = ("inherited_epochs", "patience")
_BACKBONE = tuple(field.name for field in fields(BackboneOptions))
_PLAN = tuple(field.name for field in fields(TrainingPlan))


@dataclass(frozen=True)
class SortedOptions:
    """Options by what they belong to.

    Attributes:
        backbone: Fields of `BackboneOptions`.
        plan: Fields of `TrainingPlan`.
        modules: Name of a fusion module to the options that it takes.
    """

    backbone: Mapping[str, Any]
    plan: Mapping[str, Any]
    modules: Mapping[str, Mapping[str, Any]]


def sort_options(options: Mapping[str, Any], modules: Sequence[str]) -> SortedOptions:
    """Return options by what they belong to; an option of several fusion modules goes to each of them.

    Raises:
        ValueError: If an option belongs to nothing, or a module is unknown.
    """
    takes = {module: module_options(module) for module in modules}
    known = [*_BACKBONE, *_PLAN, *dict.fromkeys(name for names in takes.values() for name in names)]
    for option in options:
        if option not in known:
            close = get_close_matches(option, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"`options` must be among {', '.join(known)}, but got {option!r}.{hint}")
    given = {m: {name: value for name, value in options.items() if name in names} for m, names in takes.items()}
    for module, own in given.items():
        _check_module(module, own)
    return SortedOptions(
        backbone={name: value for name, value in options.items() if name in _BACKBONE},
        plan={name: value for name, value in options.items() if name in _PLAN},
        modules=given,
    )


def changed(default: T, options: Mapping[str, Any]) -> T:
    """Return a preset's part with some fields changed.

    Raises:
        ValueError: If a value is of another kind than the field, or out of its range.
    """
    values = {name: _value(name, value, getattr(default, name)) for name, value in options.items()}
    return replace(default, **values)


def _value(name: str, value: Any, default: Any) -> Any:
    """Return a value in its field's type."""
    if name in _OPTIONAL and value is None:
        return None
    if name == "flips":
        if isinstance(value, (list, tuple)) and all(type(axis) is int for axis in value):
            return tuple(value)
        raise ValueError(f"`flips` must be a list of axes, but got {value!r}.")
    wanted = int if name in _OPTIONAL else type(default)
    if type(value) is wanted or (wanted is float and type(value) is int):
        return value
    kind = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}[wanted]
    raise ValueError(f"`{name}` must be {kind}, but got {value!r}.")


def _check_module(module: str, options: Mapping[str, Any]) -> None:
    """Raise unless a module can be built with its options; no memory is filled and no random number is drawn."""
    with torch.device("meta"):
        build_module(module, (8, 8), **options)


def module_options(module: str) -> tuple[str, ...]:
    """Return the names of the options that a registered fusion module takes beside `channels` and `spatial_dims`.

    Raises:
        ValueError: If no module has that name.
    """
    signature = inspect.signature(plugins.load("modules", module))
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    own = ("channels", "spatial_dims")
    return tuple(name for name, given in signature.parameters.items() if given.kind in named and name not in own)
