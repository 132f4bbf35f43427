"""Which options a sampler takes, by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args, get_type_hints, is_typeddict

from nas_fusion import plugins

_SETTLED = frozenset({"self", "space", "seed", "inherit", "n_trials"})  # by what is said of the whole study


def options_of(sampler: str) -> frozenset[str]:
    """Return the options of a sampler of ours or a plug-in's; Optuna's samplers take none here.

    Options that a constructor hands on (`**options: Unpack[...]` of a typed dictionary) are among them.
    """
    if sampler not in plugins.names("samplers"):
        return frozenset()
    factory = plugins.load("samplers", sampler)
    return frozenset(_named(factory)) - _SETTLED


def taken_by(
    sampler: str, options: Mapping[str, Any], samplers: Sequence[str], *, called: str = "sampler_options"
) -> dict[str, Any]:
    """Return those of some options that a sampler takes.

    Args:
        sampler: Its name.
        options: Name to value.
        samplers: The names of all samplers that the options are meant for.
        called: What the options are called where they are given, for the error.

    Raises:
        ValueError: If none of them takes an option.
    """
    taken = {name: options_of(name) for name in samplers}
    for option in options:
        if not any(option in known for known in taken.values()):
            known = ", ".join(sorted(frozenset().union(*taken.values()))) or "none"
            raise ValueError(f"`{called}` must give options of {', '.join(samplers)} ({known}), but got {option!r}.")
    return {option: value for option, value in options.items() if option in taken[sampler]}


def _named(factory: Callable[..., Any]) -> set[str]:
    found: set[str] = set()
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            found.add(name)
            continue
        init = factory.__init__ if inspect.isclass(factory) else factory
        for handed_on in get_args(get_type_hints(init).get(name)):
            found |= set(handed_on.__annotations__) if is_typeddict(handed_on) else set()
    return found
