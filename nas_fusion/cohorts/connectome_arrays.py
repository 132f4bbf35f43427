"""One `.npz` for all subjects: arrays of connectomes beside arrays of labels, subjects and groups."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas_fusion.cohorts.connectome_files import PICKLED
from nas_fusion.cohorts.connectome_options import ConnectomeOptions
from nas_fusion.cohorts.problem import CohortError, Problem

Arrays = dict[str, npt.NDArray[Any]]
_COLUMNS = {"labels": "label", "subjects": "subject", "groups": "group", "sites": "site", "splits": "split", "folds": "fold"}


def read_arrays(path: Path, options: ConnectomeOptions) -> tuple[pd.DataFrame, Arrays, Arrays]:
    """Return the table of an archive (a column of cells a modality), the array of each cell, and the arrays about regions.

    A modality is one array `(subjects, regions, regions)` of matrices or `(subjects, time points, regions)` of time series (in
    either orientation), or, where subjects were measured for different times, one array `NAME/SUBJECT` a subject. Arrays of one
    value a subject are columns: `labels`, `subjects`, `groups` or `sites`, `split`, `fold`.

    Raises:
        CohortError: If it cannot be read, is pickled, has no labels, or a modality is not in it.
    """
    arrays = _load(path)
    columns = {_COLUMNS.get(name, name): _texts(values) for name, values in arrays.items() if values.ndim == 1}
    label = options.shared.label or "label"
    if label not in columns:
        held = ", ".join(arrays)
        raise _error(
            path,
            "no labels",
            f"The archive must hold an array {options.shared.label or 'labels'}, a class a subject, but holds {held}.",
        )
    n = len(columns[label])
    width = len(str(n))
    columns.setdefault("subject", [f"{i + 1:0{width}d}" for i in range(n)])
    table = pd.DataFrame({name: values for name, values in columns.items() if len(values) == n}, dtype=object)
    _check_lengths(path, arrays, options, n)
    cells: Arrays = {}
    for name, place in _places(path, arrays, options, n).items():
        table[name], found = _cells(path, arrays, place, [str(subject) for subject in columns["subject"]])
        cells |= found
    return table, cells, {name: arrays[name] for name in ("regions", "coordinates", "networks") if name in arrays}


def _check_lengths(path: Path, arrays: Arrays, options: ConnectomeOptions, n: int) -> None:
    """Raise if an array that must have something of every subject has another length: left out, it would not be missed."""
    wanted = [(option.columns or (option.name,))[0] for option in options.wanted]
    columns = {"subject", "session", "group", "site", "split", "fold", options.shared.group}
    for name, values in arrays.items():
        if values.ndim == 1 and _COLUMNS.get(name, name) in columns and len(values) != n:
            message = f"The array {name} must hold {n} values, as there are labels, but holds {len(values)}."
            raise _error(path, "wrong length", message)
        if values.ndim >= 3 and (values.ndim > 3 or len(values) != n) and (not wanted or name in wanted):
            shape = " x ".join(map(str, values.shape))
            message = f"The array {name} must hold a matrix for each of {n} subjects, as there are labels, but is {shape}."
            raise _error(path, "wrong shape", message)


def _load(path: Path) -> Arrays:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise _error(path, "unreadable archive", "The archive must hold arrays with names, but is one array without.")
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except CohortError:
        raise
    except (OSError, ValueError, EOFError, LookupError, zlib.error, zipfile.BadZipFile) as error:
        reason = str(error).rstrip(".")
        if "pickle" in reason.lower() and _is_text(path):
            reason = "it is a text file"  # numpy takes whatever it does not know for pickled
        elif "pickle" in reason.lower():
            message = f"The arrays must be numbers and texts, but some are pickled objects: {PICKLED}."
            raise _error(path, "pickled file", message) from None
        raise _error(path, "unreadable archive", f"The archive must be readable, but is not: {reason}.") from None


def _is_text(path: Path) -> bool:
    """Return whether a file is text, by its beginning."""
    with path.open("rb") as file:
        return file.read(100).isascii()


def _texts(values: npt.NDArray[Any]) -> list[object]:
    return list(values.astype(str).tolist() if values.dtype.kind == "S" else values.tolist())


def _places(path: Path, arrays: Mapping[str, npt.NDArray[Any]], options: ConnectomeOptions, n: int) -> dict[str, str]:
    """Return modality to array, or to what precedes the slash in the names of arrays."""
    held = [name for name, values in arrays.items() if values.ndim == 3 and len(values) == n]
    held += list(dict.fromkeys(name.split("/")[0] for name, values in arrays.items() if values.ndim == 2 and "/" in name))
    places = {option.name: (option.columns or (option.name,))[0] for option in options.wanted}
    for name, place in places.items():
        if place not in held:
            known = ", ".join(held) or "none"
            message = f"`modalities` must be arrays of {n} connectomes ({known}), but got {name!r}: there is no {place}."
            raise _error(path, "unknown modality", message)
    if not held:
        raise _error(
            path,
            "no modalities",
            f"The archive must hold arrays of {n} connectomes, as there are labels, but holds {', '.join(arrays)}.",
        )
    return places or {name: name for name in sorted(held, key=lambda name: name[:2] != "SC")}


def _cells(
    path: Path, arrays: Mapping[str, npt.NDArray[Any]], place: str, subjects: list[str]
) -> tuple[list[str | None], Arrays]:
    if place in arrays:
        return [f"{place}[{i}]" for i in range(len(subjects))], {
            f"{place}[{i}]": arrays[place][i] for i in range(len(subjects))
        }
    names = [f"{place}/{subject}" for subject in subjects]
    foreign = [name for name in arrays if name.startswith(f"{place}/") and name not in names]
    if foreign:
        raise _error(
            path, "unknown subject", f"Every array of {place} must belong to a subject, but {foreign[0]} belongs to none."
        )
    return [name if name in arrays else None for name in names], {name: arrays[name] for name in names if name in arrays}


def _error(path: Path, rule: str, message: str) -> CohortError:
    return CohortError(str(path), [Problem(rule, message, file=path.name)])
