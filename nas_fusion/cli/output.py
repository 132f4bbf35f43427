"""Results on standard output: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from nas_fusion.cohorts import Cohort


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON object on one line: numbers that are not finite become null."""
    print(json.dumps(_finite(values)), flush=True)


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """Print a table: as wide as it needs to be where nobody looks through a terminal, so that nothing is cut."""
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold", no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*(shown(value) for value in row))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    console = Console(file=sys.stdout, width=width, highlight=False, markup=False)
    console.print(table)


def print_cohort(cohort: Cohort) -> list[dict[str, Any]]:
    """Print the modalities and the parts of a cohort, and return the parts, a mapping each."""
    from nas_fusion.cohorts.summary import modalities_table, parts_table

    parts = parts_table(cohort)
    for table in (modalities_table(cohort), parts):
        print_table(list(table), table.astype(object).values.tolist())
        print()
    return [{str(name): value for name, value in row.items()} for row in parts.astype(object).to_dict("records")]


def shown(value: object) -> str:
    """Return a value as a cell of a table."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
