"""Layouts of connectomes: which sources hold any, and how each becomes the one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from nas_fusion.cohorts.bids import PARTICIPANT_COLUMNS
from nas_fusion.cohorts.connectome_arrays import read_arrays
from nas_fusion.cohorts.connectome_files import ENDINGS, UnusableArrayError, read_array
from nas_fusion.cohorts.connectome_folders import has_class_folders, read_people
from nas_fusion.cohorts.connectome_options import ConnectomeOptions
from nas_fusion.cohorts.connectome_regions import read_regions, regions_of_arrays
from nas_fusion.cohorts.connectome_source import ArraySource, FileSource, Source
from nas_fusion.cohorts.manifest import NIFTI, Manifest, assemble, matching_column
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.tables import read_table


def holds_connectomes(path: Path, options: Mapping[str, Any]) -> bool:
    """Return whether a source holds connectomes: an archive of arrays, class folders, or a table of more such files than scans.

    Args:
        path: A file or folder that exists.
        options: Of `load_cohort`: if they name modalities, only these columns of a table count.
    """
    if path.is_dir():
        return has_class_folders(path)
    if path.suffix in (".npz", ".npy"):
        return True
    if path.suffix not in (".csv", ".tsv"):
        return False
    try:
        table = read_table(path)
        asked = SourceOptions.of({"modalities": options.get("modalities")}).wanted
    except ValueError:
        return False  # whoever reads it says what is wrong
    names = [name for option in asked for name in (option.columns or (option.name,))]
    columns = [column for name in names if (column := matching_column(name, table.columns)) is not None] or list(table.columns)
    return _count(table, columns, ENDINGS) > _count(table, columns, NIFTI)


def read_layout(path: Path, options: ConnectomeOptions) -> Source:
    """Return who has which connectomes, and where.

    Args:
        path: See `holds_connectomes`.
        options: Which columns, files or arrays are what.

    Raises:
        CohortError: If it cannot be read, or a column, file or array is missing.
    """
    if path.is_dir():
        raw, problems = read_people(path, options)
        return FileSource(_manifest(raw, path, options, tuple(problems)), read_regions(path))
    if path.suffix == ".npy":
        raise _no_archive(path)
    if path.suffix == ".npz":
        raw, cells, regions = read_arrays(path, options)
        return ArraySource(_manifest(raw, path, options), regions_of_arrays(path, regions), cells)
    return FileSource(_manifest(_table(path, options), path, options), read_regions(path.parent))


def _table(path: Path, options: ConnectomeOptions) -> pd.DataFrame:
    """Return a table of participants with a column a modality, under the modality's name."""
    raw = read_table(path)
    if "subject" not in raw.columns:
        raw = raw.rename(columns={next((name for name in PARTICIPANT_COLUMNS if name in raw.columns), "subject"): "subject"})
    for option in options.wanted:
        place = (option.columns or (option.name,))[0]
        column = matching_column(place, raw.columns)
        if column is None:
            message = f"`modalities` must name columns of the table ({', '.join(raw.columns)}), but got {place!r}."
            raise CohortError(str(path), [Problem("unknown column", message, file=path.name)])
        raw[option.name] = raw[column]
    return raw


def _manifest(raw: pd.DataFrame, path: Path, options: ConnectomeOptions, problems: tuple[Problem, ...] = ()) -> Manifest:
    names = tuple(option.name for option in options.wanted) or tuple(_columns_of_connectomes(raw))
    shared = replace(options.shared, modalities=names)
    name = path.resolve().name if path.is_dir() else path.stem
    manifest = assemble(raw, shared, name=name, source=path, automatic_group=True, problems=problems)
    numbers = [name for name, kind in manifest.kinds.items() if kind == "vector"]
    if numbers:
        message = f"`modalities` must be columns of files, but {numbers[0]} holds numbers, which cannot go with connectomes."
        raise CohortError(str(path), [Problem("unknown column", message, file=path.name)])
    return replace(manifest, kinds=dict.fromkeys(manifest.kinds, "matrix"))


def _columns_of_connectomes(raw: pd.DataFrame) -> list[str]:
    """Return the columns of cells: of files, or of arrays as `SC[0]` and `FC/subject` name them."""
    cells = {column: [value for value in raw[column] if isinstance(value, str)] for column in raw.columns}
    return [c for c, held in cells.items() if any(v.endswith(ENDINGS) or v == f"{c}[0]" or v.startswith(f"{c}/") for v in held)]


def _count(table: pd.DataFrame, columns: list[str], endings: tuple[str, ...]) -> int:
    return sum(isinstance(value, str) and value.endswith(endings) for column in columns for value in table[column])


def _no_archive(path: Path) -> CohortError:
    """Return why a `.npy` is no cohort."""
    problem = Problem("unknown format", "One .npy holds one array: put those of all subjects into one .npz.", file=path.name)
    try:
        read_array(path)
    except UnusableArrayError as error:
        if error.rule == "pickled file":
            problem = Problem(error.rule, f"The file must hold arrays alone, but {path.name} {error}.", file=path.name)
    return CohortError(str(path), [problem])
