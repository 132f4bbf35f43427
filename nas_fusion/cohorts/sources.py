"""Sources: from what a user names, a plug-in's cohort or files, to a cohort with splits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas_fusion import plugins
from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.connectome_options import ConnectomeOptions
from nas_fusion.cohorts.drawing import draw_splits
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.problem import Problem
from nas_fusion.spelling import did_you_mean

_SPLIT_OPTIONS = {"folds": "folds", "validation": "validation", "test": "test", "split_seed": "seed"}


def load_cohort(source: str | Path, *, progress: Callable[[int, int], None] | None = None, **options: Any) -> Cohort:
    """Return a cohort with splits, validated and decoded.

    Args:
        source:
            Name of an embedded or plug-in cohort, such as `simulated-mri`; a BIDS folder; a MONAI or Decathlon datalist
            `.json`; a manifest `.csv` or `.tsv` of scans or of connectomes; class folders of connectomes; or an `.npz` of
            connectomes. A name goes before a path of the same spelling.
        progress:
            Called with the number of scans or connectomes that are decoded so far, and of all.
        **options:
            For scans the attributes of `SourceOptions`, for connectomes those of `ConnectomeOptions`. For a name the plug-in's
            own, and `folds`, `validation`, `test`, `split_seed` to draw other splits than its own.

    Raises:
        CohortError: If something is wrong with the data: with all problems at once.
        ValueError: If there is no such source, it has no such option, or the option's value is wrong.
    """
    path = _path(source)
    if path is None:
        return _load_named(str(source), options)
    reader, own = _reader(path, options)
    cohort: Cohort = reader.load(path, own, progress)
    return cohort


def check_source(source: str | Path, **options: Any) -> list[Problem]:
    """Return all that is wrong with the data of a source, voxels and weights included; an empty list if a search can start.

    Args:
        source: See `load_cohort`.
        **options: See `load_cohort`.

    Raises:
        ValueError: If there is no such source, it has no such option, or the option's value is wrong.
    """
    path = _path(source)
    if path is None:
        _load_named(str(source), options)
        return []
    reader, own = _reader(path, options)
    problems: list[Problem] = reader.check(path, own)
    return problems


def _reader(path: Path, options: dict[str, Any]) -> tuple[Any, Any]:
    """Return the module that reads files of this kind, and its options."""
    from nas_fusion.cohorts.connectome_layouts import holds_connectomes

    if holds_connectomes(path, options):
        from nas_fusion.cohorts import connectome

        return connectome, ConnectomeOptions.of(options)
    from nas_fusion.cohorts import from_files  # MONAI's transforms take seconds to import: only where there are scans

    return from_files, SourceOptions.of(options)


def _path(source: str | Path) -> Path | None:
    """Return the path that a source is, `None` if it is a plug-in's name."""
    path, names = Path(source).expanduser(), plugins.names("cohorts")
    if isinstance(source, str) and source in names:
        return None
    if not path.exists():
        known, hint = ", ".join(names), did_you_mean(str(source), names)
        raise ValueError(f"`source` must be an existing file or folder or one of {known}, but got {str(source)!r}.{hint}")
    return path


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
            known = ", ".join(dict.fromkeys((*parameters, *_SPLIT_OPTIONS)))
            raise ValueError(f"`{key}` must be an option of the cohort {name!r} ({known}), but is none.")
    return own
