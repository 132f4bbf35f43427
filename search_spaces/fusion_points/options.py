"""Options of the space, sorted by what they belong to: backbone, training plan or fusion modules."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from nas_fusion import TrainingPlan, plugins
from search_spaces.fusion_points.backbones import BackboneOptions

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
    return SortedOptions(
        backbone={name: value for name, value in options.items() if name in _BACKBONE},
        plan={name: tuple(value) if name == "flips" else value for name, value in options.items() if name in _PLAN},
        modules={m: {name: value for name, value in options.items() if name in names} for m, names in takes.items()},
    )


def module_options(module: str) -> tuple[str, ...]:
    """Return the names of the options that a registered fusion module takes beside `channels` and `spatial_dims`.

    Raises:
        ValueError: If no module has that name.
    """
    signature = inspect.signature(plugins.load("modules", module))
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    own = ("channels", "spatial_dims")
    return tuple(name for name, given in signature.parameters.items() if given.kind in named and name not in own)
