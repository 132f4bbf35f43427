"""Reading CSV and TSV files as tables of text."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pandas as pd

from nas_fusion.cohorts.problem import CohortError, Problem

ABSENT = ("n/a", "N/A", "nan", "NaN", "")


def read_table(path: Path) -> pd.DataFrame:
    """Return a table of strings, absent values (`n/a`, `nan`, empty) as `None`, spaces around names and values removed.

    Words such as `None` or `NA`, which may be classes, stay what they are.

    Args:
        path: `.tsv` is separated by tabs, `.csv` by commas or semicolons.

    Raises:
        CohortError: If there is no such table, it cannot be read, or it is empty.
    """
    separator = "\t" if path.suffix == ".tsv" else ","
    try:
        table = _read(path, separator)
        if separator == "," and len(table.columns) == 1 and ";" in table.columns[0]:
            table = _read(path, ";")
    except FileNotFoundError:
        raise _unreadable(path, "does not exist") from None
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise _unreadable(path, f"cannot be read: {str(error).strip().rstrip('.')}") from None
    if table.empty:
        raise _unreadable(path, "has no rows")
    table.columns = [str(column).strip() for column in table.columns]
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise _unreadable(path, f"has two columns named {repeated[0]!r}")
    return clean(table)


def clean(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with spaces around its texts removed and every absent value as `None`."""
    # Series of objects: pandas would turn `None` among texts into NaN.
    columns = {name: pd.Series([_clean(value) for value in table[name]], table.index, dtype=object) for name in table.columns}
    return pd.DataFrame(columns)


def number(value: object) -> float:
    """Return the number that a value of a table is, NaN for what is none."""
    text = "" if value is None else str(value)
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def _clean(value: object) -> object:
    if isinstance(value, str):
        return None if value.strip() in ABSENT else value.strip()
    return None if value is None or value != value else value


def _read(path: Path, separator: str) -> pd.DataFrame:
    with warnings.catch_warnings():
        # A row longer than the header would otherwise lose its end, or shift the columns, in silence.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)


def _unreadable(path: Path, reason: str) -> CohortError:
    return CohortError(
        str(path), [Problem("unreadable table", f"The table must be readable, but it {reason}.", file=path.name)]
    )
