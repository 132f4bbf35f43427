"""The manifest: the one table, a row a scan, that every source of files becomes first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nas_fusion.cohorts.options import ModalityOption, SourceOptions
from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.tables import clean, number, read_table

FIXED = ("subject", "participant", "session", "label", "group", "split", "fold")
NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True)
class Manifest:
    """Who has which files, labels, groups and given splits.

    Attributes:
        name: A short name of the source.
        root: Folder that relative paths start from.
        table: A row a scan; texts, absent values are `None`. Columns `subject` (unique id: participant, and session if there
            are sessions), `participant`, `session`, `label`, `group`, `split`, `fold`, and those of the modalities.
        columns: Modality to its columns in the table: one column of paths, or the columns of its features.
        kinds: Modality to `image` or `vector`.
        problems: What was found while the table was made.
    """

    name: str
    root: Path
    table: pd.DataFrame
    columns: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, str]
    problems: tuple[Problem, ...] = ()

    @property
    def images(self) -> list[str]:
        """Names of the modalities that are files."""
        return [name for name, kind in self.kinds.items() if kind == "image"]

    @property
    def vectors(self) -> list[str]:
        """Names of the modalities that are numeric columns."""
        return [name for name, kind in self.kinds.items() if kind == "vector"]

    def path(self, row: int, modality: str) -> Path | None:
        """Return the file of a row, `None` if it names none."""
        value = self.table[self.columns[modality][0]].iloc[row]
        return None if value is None else self.root / str(value)

    def shown(self, path: Path) -> str:
        """Return a path as messages show it: relative to the root where it is below."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def read_manifest(path: Path, options: SourceOptions) -> Manifest:
    """Return the manifest of a CSV or TSV file.

    It has the columns `subject` and `label` (or what `options.label` names), one column a modality with a path, relative to the
    file, or with numbers, and optionally `session`, `group` or `site`, `split` and `fold`.

    Raises:
        CohortError: If it cannot be read, or a column is missing.
    """
    return assemble(read_table(path), options, name=path.stem, source=path, automatic_group=True)


def assemble(
    raw: pd.DataFrame,
    options: SourceOptions,
    *,
    name: str,
    source: Path,
    automatic_group: bool,
    problems: tuple[Problem, ...] = (),
) -> Manifest:
    """Return the manifest of a table as a source has it.

    Args:
        raw: With a column `subject`; see `read_manifest`.
        options: Which columns are what.
        name: Of the manifest.
        source: The table's file: paths are relative to its folder, or to itself if it is a folder.
        automatic_group: Whether the columns `group` and `site` are groups without being named.
        problems: Found by the source.

    Raises:
        CohortError: If a column is missing.
    """
    finder = _Columns(raw, source)
    finder.require("subject", "subject")
    parts = {"participant": raw["subject"].map(_text), "session": finder.optional("session").map(_text)}
    parts["subject"] = pd.Series(
        [p if s is None or p is None else f"{p}_ses-{s}" for p, s in zip(parts["participant"], parts["session"], strict=True)],
        index=raw.index,
        dtype=object,
    )
    parts["label"] = raw[finder.require("label", options.label or "label")].map(_text)
    parts["group"] = _groups(finder, options, automatic_group, parts).map(_text)
    parts |= {key: finder.optional(key).map(_text) for key in ("split", "fold")}
    columns, kinds = {}, {}
    for option in options.wanted or _columns_of_files(finder):
        found = finder.features(option) if option.columns else [finder.require("modalities", option.name)]
        kinds[option.name] = "vector" if option.columns or _is_numeric(raw[found[0]]) else "image"
        columns[option.name] = tuple(f"{option.name}:{column}" for column in found)
        parts |= dict(zip(columns[option.name], (raw[column] for column in found), strict=True))
    order = [*FIXED, *(column for held in columns.values() for column in held)]
    table = clean(pd.DataFrame(parts)[order].reset_index(drop=True))
    return Manifest(name, source if source.is_dir() else source.parent, table, columns, kinds, problems)


def matching_column(name: str, columns: Iterable[str]) -> str | None:
    """Return the column of a name, or else the only one that differs from it in spaces alone; `None` if there is none."""
    held = list(columns)
    same = [column for column in held if "".join(column.split()) == "".join(name.split())]
    return name if name in held else same[0] if len(same) == 1 else None


class _Columns:
    """Looks columns up, forgiving spaces, and says what there is where one is missing."""

    def __init__(self, raw: pd.DataFrame, source: Path) -> None:
        self.raw, self.source = raw, source

    def require(self, option: str, column: str) -> str:
        found = matching_column(column, self.raw.columns)
        if found is not None:
            return found
        raise self.error(f"`{option}` must name a column of the table ({', '.join(self.raw.columns)}), but got {column!r}.")

    def optional(self, column: str) -> pd.Series:
        absent = pd.Series([None] * len(self.raw), index=self.raw.index, dtype=object)
        return self.raw[column] if column in self.raw.columns else absent

    def features(self, option: ModalityOption) -> list[str]:
        found = option.among(self.raw.columns)
        if not found:
            known, asked = ", ".join(self.raw.columns), "+".join(option.columns)
            raise self.error(f"`modalities` must name columns of the table ({known}), but {option.name!r} has none: {asked}.")
        return found

    def error(self, message: str) -> CohortError:
        return CohortError(str(self.source), [Problem("unknown column", message, file=self.source.name)])


def _groups(finder: _Columns, options: SourceOptions, automatic: bool, parts: Mapping[str, pd.Series]) -> pd.Series:
    """Return the groups: the column asked for, one found automatically, or the participants if they have several rows."""
    if options.group is not None and options.group != "none":
        return finder.raw[finder.require("group", options.group)]
    for column in ("group", "site"):
        if automatic and options.group is None and column in finder.raw.columns and column != options.label:
            return finder.raw[column]
    repeated = parts["session"].notna().any() and parts["participant"].duplicated().any()
    return parts["participant"] if repeated else finder.optional("")


def _columns_of_files(finder: _Columns) -> list[ModalityOption]:
    """Return the columns that name NIfTI files, as modalities."""
    found = [
        ModalityOption(str(column))
        for column in finder.raw.columns
        if any(isinstance(value, str) and value.endswith(NIFTI) for value in finder.raw[column])
    ]
    if not found:
        raise finder.error(f"`modalities` must be named: no column of the table ({', '.join(finder.raw.columns)}) holds scans.")
    return found


def _is_numeric(column: pd.Series) -> bool:
    values = column.dropna()
    return len(values) > 0 and not any(math.isnan(number(value)) for value in values)


def _text(value: object) -> str | None:
    """Return a value as text; whole numbers without a decimal point, as JSON and spreadsheets mix both."""
    if value is None or value != value:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
