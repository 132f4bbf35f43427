"""Where connectomes are read from: files that a table names, or arrays of one archive."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_fusion.cohorts.connectome_files import ENDINGS, Array, numeric, read_array
from nas_fusion.cohorts.files import absence, digest
from nas_fusion.cohorts.manifest import Manifest

AWAY = ("file missing", "file not fetched")


@dataclass(frozen=True)
class Source(ABC):
    """Connectomes of subjects; a cell of the manifest's table says where one is.

    Attributes:
        manifest: Who has which connectomes; all modalities are of the kind `matrix`.
        regions: Facts of the regions, such as `names` and `coordinates`; empty if nothing is known.
    """

    manifest: Manifest
    regions: Mapping[str, Any] = field(default_factory=dict)

    @abstractmethod
    def absence(self, cell: str) -> tuple[str, str] | None:
        """Return the rule that a connectome breaks by not being there, and what is wrong; `None` if it is there."""

    @abstractmethod
    def read(self, cell: str, key: str | None) -> Array:
        """Return a connectome as stored.

        Raises:
            UnusableArrayError: If it cannot be read.
        """

    @abstractmethod
    def digest(self, cell: str) -> str:
        """Return a digest of the content."""

    @abstractmethod
    def place(self, cell: str) -> str:
        """Return what is the same for the same file or array, however it is named."""

    @abstractmethod
    def shown(self, cell: str) -> str:
        """Return a cell as messages show it."""

    def cell(self, row: int, modality: str) -> str | None:
        """Return where a connectome of a row is, `None` if nowhere."""
        value = self.manifest.table[self.manifest.columns[modality][0]].iloc[row]
        return None if value is None else str(value)


class FileSource(Source):
    """Connectomes in files of their own."""

    def absence(self, cell: str) -> tuple[str, str] | None:
        return absence(self._path(cell), ENDINGS)

    def read(self, cell: str, key: str | None) -> Array:
        return read_array(self._path(cell), key)

    def digest(self, cell: str) -> str:
        return digest(self._path(cell))

    def place(self, cell: str) -> str:
        return str(self._path(cell).resolve())

    def shown(self, cell: str) -> str:
        return self.manifest.shown(self._path(cell))

    def _path(self, cell: str) -> Path:
        return self.manifest.root / cell


@dataclass(frozen=True)
class ArraySource(Source):
    """Connectomes in one archive.

    Attributes:
        arrays: Cell to the array that it stands for.
    """

    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def absence(self, cell: str) -> tuple[str, str] | None:
        return None if cell in self.arrays else ("file missing", "is not in the archive")

    def read(self, cell: str, key: str | None) -> Array:
        return Array(numeric(self.arrays[cell]), cell.split("[")[0].split("/")[0])

    def digest(self, cell: str) -> str:
        values = self.arrays[cell]
        return hashlib.sha256(f"{values.shape}{values.dtype}".encode() + np.ascontiguousarray(values).tobytes()).hexdigest()

    def place(self, cell: str) -> str:
        return cell

    def shown(self, cell: str) -> str:
        return cell
