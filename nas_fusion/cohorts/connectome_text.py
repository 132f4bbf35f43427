"""Tables of numbers as text, with or without names of rows and columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas_fusion.cohorts.connectome_estimates import Matrix
from nas_fusion.cohorts.tables import ABSENT

_SEPARATORS = (",", ";", "\t")


def read_text(path: Path) -> Matrix:
    """Return the numbers of a text file `(rows, columns)`.

    Cells are separated by commas, semicolons or tabs, else by spaces. Lines that begin with `#` are comments. A first row and a
    first column of names are left out, as is the column of row numbers that pandas writes under an empty cell. Empty cells and
    `n/a` are NaN.

    Raises:
        ValueError: If the rows differ in length, or a cell is no number.
    """
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise ValueError("it has no rows")
    separator = next((mark for line in (lines[-1], lines[0]) for mark in _SEPARATORS if mark in line), None)
    try:
        return np.loadtxt(lines, delimiter=separator, ndmin=2, comments=None)
    except ValueError:
        return _named([[cell.strip().strip('"') for cell in line.split(separator)] for line in lines])


def _named(rows: list[list[str]]) -> Matrix:
    """Return the numbers of rows of which some cells are names or empty."""
    corner = rows[0][0] == "" and (_is_count(rows[0][1:]) or any(_is_name(cell) for cell in rows[0]))
    body = rows[1:] if corner or any(_is_name(cell) for cell in rows[0][1:]) else rows
    shorter = len(body) < len(rows) and bool(body) and len(rows[0]) == len(body[0]) - 1
    index = corner or shorter or all(_is_name(row[0]) for row in body)
    cells = [row[index:] for row in body]
    lengths = sorted({len(row) for row in cells})
    if len(lengths) != 1:
        raise ValueError("its rows have different numbers of cells" if lengths else "it has no rows of numbers")
    for number, row in enumerate(cells, 1):
        for cell in row:
            if _is_name(cell):
                raise ValueError(f"row {number} holds {cell!r}, which is no number")
    return np.array([[float(cell) if _is_number(cell) else np.nan for cell in row] for row in cells])


def _is_count(cells: list[str]) -> bool:
    return cells == [str(i) for i in range(len(cells))]


def _is_name(cell: str) -> bool:
    return not _is_number(cell) and cell not in ABSENT


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
