"""Options of the space, sorted by what they belong to: backbones, training plan or fusion modules."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from nas_fusion import TrainingPlan, build_backbone, build_module, plugins
from nas_fusion.spelling import did_you_mean

_OPTIONAL = {"inherited_epochs": int, "patience": int, "inherited_learning_rate": float}
_PLAN = tuple(field.name for field in fields(TrainingPlan))
_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


@dataclass(frozen=True)
class SortedOptions:
    """Options by what they belong to.

    Attributes:
        backbones: Name of a backbone to the options that it takes.
        plan: Fields of `TrainingPlan`.
        modules: Name of a fusion module to the options that it takes.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    plan: Mapping[str, Any]
    modules: Mapping[str, Mapping[str, Any]]


def sort_options(options: Mapping[str, Any], modules: Sequence[str], backbones: Sequence[str]) -> SortedOptions:
    """Return options by what they belong to; an option of several modules or backbones goes to each of them.

    Raises:
        ValueError: If an option belongs to nothing or is out of its range, or a module or backbone is unknown.
    """
    of_backbones = {name: options_of("backbones", name) for name in dict.fromkeys(backbones)}
    of_modules = {name: options_of("modules", name) for name in dict.fromkeys(modules)}
    own = [name for takes in (of_backbones, of_modules) for names in takes.values() for name in names]
    known = [*_PLAN, *dict.fromkeys(own)]
    for option in options:
        if option not in known:
            raise ValueError(f"`options` must be among {', '.join(known)}, but got {option!r}.{did_you_mean(option, known)}")
    given = SortedOptions(
        backbones={name: _among(options, takes) for name, takes in of_backbones.items()},
        plan=_among(options, _PLAN),
        modules={name: _among(options, takes) for name, takes in of_modules.items()},
    )
    for name, values in given.modules.items():
        _check_module(name, values)
    for name, values in given.backbones.items():
        _check_backbone(name, values)
    return given


def changed(default: TrainingPlan, options: Mapping[str, Any]) -> TrainingPlan:
    """Return a preset's training plan with some fields changed.

    Raises:
        ValueError: If a value is of another kind than the field, or out of its range.
    """
    values = {name: _value(name, value, getattr(default, name)) for name, value in options.items()}
    return replace(default, **values)


def options_of(kind: str, name: str) -> tuple[str, ...]:
    """Return the names of the options that a registered module or backbone takes, beside what every module is given.

    Raises:
        ValueError: If nothing has that name.
    """
    return tuple(parameter for parameter in _parameters(kind, name) if parameter not in ("channels", "spatial_dims"))


def _parameters(kind: str, name: str) -> dict[str, inspect.Parameter]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    signature = inspect.signature(plugins.load(kind, name))
    return {parameter: given for parameter, given in signature.parameters.items() if given.kind in named}


def _among(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}


def _value(name: str, value: Any, default: Any) -> Any:
    """Return a value in its field's type."""
    if name in _OPTIONAL and value is None:
        return None
    if name == "flips":
        if isinstance(value, (list, tuple)) and all(type(axis) is int for axis in value):
            return tuple(value)
        raise ValueError(f"`flips` must be a list of axes, but got {value!r}.")
    wanted = _OPTIONAL.get(name, type(default))
    if type(value) is wanted or (wanted is float and type(value) is int):
        return value
    raise ValueError(f"`{name}` must be {_KINDS[wanted]}, but got {value!r}.")


def _check_module(name: str, options: Mapping[str, Any]) -> None:
    """Raise unless a module can be built with its options; no memory is filled and no random number is drawn."""
    with torch.device("meta"):
        build_module(name, (8, 8), **options)


def _check_backbone(name: str, options: Mapping[str, Any]) -> None:
    """Raise unless options are of the kind of their defaults, and the backbone takes them."""
    for option, parameter in _parameters("backbones", name).items():
        if option in options and type(parameter.default) in _KINDS:
            _value(option, options[option], parameter.default)
    build_backbone(name, **options)
