"""Names and coordinates of regions: from `regions.csv` or `regions.tsv`, or from arrays of an archive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.tables import number, read_table

AXES = ("x", "y", "z")


def read_regions(folder: Path) -> dict[str, Any]:
    """Return the facts of the regions that a table in a folder states, empty without one.

    The table is `regions.csv` or `regions.tsv`, a row a region in the order of the matrices, with a column `name` and, if
    known, `x`, `y`, `z` in mm and `network`.

    Returns:
        `names`, and where they are known `coordinates` (a list of `[x, y, z]`) and `networks`.

    Raises:
        CohortError: If it cannot be read, has no names, or a coordinate is no number.
    """
    path = next((folder / name for name in ("regions.csv", "regions.tsv") if (folder / name).exists()), None)
    if path is None:
        return {}
    table = read_table(path)
    if "name" not in table.columns or table["name"].isna().any():
        raise _error(path, f"The table must name every region in a column name, but has {', '.join(table.columns)}.")
    regions: dict[str, Any] = {"names": [str(name) for name in table["name"]]}
    if set(AXES) <= set(table.columns):
        regions["coordinates"] = [[number(value) for value in row] for row in table[list(AXES)].to_numpy()]
        if any(not math.isfinite(value) for row in regions["coordinates"] for value in row):
            raise _error(path, "The coordinates x, y, z must be numbers in mm for every region, but some are none.")
    if "network" in table.columns:
        regions["networks"] = [None if name is None else str(name) for name in table["network"]]
    return regions


def regions_of_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Return the facts of the regions in the arrays `regions` (names), `coordinates` `(regions, 3)` and `networks`.

    Raises:
        CohortError: If they differ in length, or the coordinates have another shape.
    """
    names = {"regions": "names", "coordinates": "coordinates", "networks": "networks"}
    facts = {names[name]: values.tolist() for name, values in arrays.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1 or ("coordinates" in arrays and arrays["coordinates"].shape[1:] != (3,)):
        raise _error(path, f"The arrays {', '.join(arrays)} must have a row a region, coordinates three columns, but do not.")
    return facts


def first(regions: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the facts of the first regions."""
    return {name: list(values[:count]) for name, values in regions.items()}


def _error(path: Path, message: str) -> CohortError:
    return CohortError(str(path), [Problem("unusable regions", message, file=path.name)])
