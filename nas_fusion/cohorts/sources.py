"""Sources: from what a user names, a plug-in's cohort or files, to a cohort with splits."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from nas_fusion import plugins
from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.drawing import draw_splits

_SPLIT_OPTIONS = {"folds": "folds", "validation": "validation", "test": "test", "split_seed": "seed"}


def load_cohort(source: str | Path, **options: Any) -> Cohort:
    """Return a cohort with splits.

    Args:
        source: Name of an embedded or plug-in cohort.
        **options: The plug-in's own, and `folds`, `validation`, `test`, `split_seed` to draw other splits than its own.

    Raises:
        ValueError: If there is no such cohort, or it has no such option.
    """
    return _load_named(str(source), options)


def _load_named(name: str, options: dict[str, Any]) -> Cohort:
    make = plugins.load("cohorts", name)
    own = _own_options(name, make, options)
    cohort: Cohort = make(**own)
    drawing = {_SPLIT_OPTIONS[key]: value for key, value in options.items() if key not in own}
    return draw_splits(cohort, **drawing) if drawing or cohort.splits is None else cohort


def _own_options(name: str, make: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that a plug-in takes itself."""
    parameters = inspect.signature(make).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    own = {key: value for key, value in options.items() if key in parameters or (takes_all and key not in _SPLIT_OPTIONS)}
    for key in options:
        if key not in own and key not in _SPLIT_OPTIONS:
            known = ", ".join(sorted({*parameters, *_SPLIT_OPTIONS}))
            raise ValueError(f"`{key}` must be an option of the cohort {name!r} ({known}), but is none.")
    return own
