"""Options of the space, sorted by what they belong to: network, method, or the training plans of the stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from nas_fusion import TrainingPlan
from nas_fusion.spelling import did_you_mean
from search_spaces.expert_routing.architecture import ModelOptions
from search_spaces.expert_routing.method import Method
from search_spaces.expert_routing.scopes import OFF, ON

T = TypeVar("T", ModelOptions, Method, TrainingPlan)
STAGES = (1, 2, 3)

_PRESET_ONLY = ("output_scale",)  # what only `as_released` has
_POINTLESS = ("flips", "inherited_epochs")  # rows of a matrix are no places; stages start from each other
_OPTIONAL = {"patience": int, "anchor": int}
_MODEL = tuple(field.name for field in fields(ModelOptions) if field.name not in _PRESET_ONLY)
_METHOD = tuple(field.name for field in fields(Method))
_PLAN = tuple(field.name for field in fields(TrainingPlan) if field.name not in _POINTLESS)


@dataclass(frozen=True)
class SortedOptions:
    """Options by what they belong to.

    Attributes:
        model: Fields of `ModelOptions`.
        method: Fields of `Method`.
        plans: Fields of the `TrainingPlan` of each of the three stages.
    """

    model: Mapping[str, Any]
    method: Mapping[str, Any]
    plans: tuple[Mapping[str, Any], ...]


def sort_options(options: Mapping[str, Any]) -> SortedOptions:
    """Return options by what they belong to; an option of a plan such as `epochs` goes to every stage that has none of its own.

    Raises:
        ValueError: If an option belongs to nothing.
    """
    staged = [f"stage{stage}_{name}" for stage in STAGES for name in _PLAN]
    for option in options:
        if option not in (*_MODEL, *_METHOD, *_PLAN, *staged):
            hint = did_you_mean(option, (*_MODEL, *_METHOD, *_PLAN, *staged))
            known = f"{', '.join((*_MODEL, *_METHOD, *_PLAN))} (of training, for one stage as stage1_epochs)"
            raise ValueError(f"`options` must be among {known}, but got {option!r}.{hint}")
    every = {name: options[name] for name in _PLAN if name in options}
    return SortedOptions(
        model={name: options[name] for name in _MODEL if name in options},
        method={name: options[name] for name in _METHOD if name in options},
        plans=tuple({**every, **dict(_of_stage(stage, options))} for stage in STAGES),
    )


def changed(default: T, options: Mapping[str, Any]) -> T:
    """Return a preset's part with some fields changed.

    Raises:
        ValueError: If a value is of another kind than the field, or out of its range.
    """
    values = {name: _value(name, value, getattr(default, name)) for name, value in options.items()}
    return dataclasses.replace(default, **values)


def as_text(value: Any) -> str:
    """Return a field's value as the choice of a parameter."""
    if isinstance(value, bool):
        return ON if value else OFF
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def chosen(default: T, choices: Mapping[str, str]) -> T:
    """Return a part with the fields that are among some choices set to them: the inverse of `as_text`."""
    values = {field.name: choices[field.name] for field in fields(default) if field.name in choices}
    return changed(default, {name: _parsed(text, getattr(default, name)) for name, text in values.items()})


def _parsed(text: str, default: Any) -> Any:
    return type(default)(text) if type(default) in (int, float) else text


def _of_stage(stage: int, options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    prefix = f"stage{stage}_"
    return ((name, options[prefix + name]) for name in _PLAN if prefix + name in options)


def _value(name: str, value: Any, default: Any) -> Any:
    """Return a value in its field's type."""
    if name in _OPTIONAL and value is None:
        return None
    if name == "measures":
        return _names(name, value)
    wanted = _OPTIONAL.get(name, type(default))
    if wanted is bool and value in (ON, OFF):
        return value == ON
    if type(value) is wanted:
        return value
    if wanted is float and type(value) is int:
        return float(value)
    kind = {int: "a whole number", float: "a number", str: "a word", bool: "on or off"}[wanted]
    raise ValueError(f"`{name}` must be {kind}, but got {value!r}.")


def _names(name: str, value: Any) -> tuple[str, ...]:
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not all(isinstance(word, str) for word in found):
        raise ValueError(f"`{name}` must be a list of names, but got {value!r}.")
    return tuple(word.strip() for word in found if word.strip())
