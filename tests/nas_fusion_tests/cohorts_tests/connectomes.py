"""Connectomes of a few people, written in the layouts that users have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from scipy.io import savemat

Matrix = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Person:
    """One subject: id, class, symmetric counts `(regions, regions)` and time series `(time points, regions)`."""

    subject: str
    label: str
    counts: Matrix
    series: Matrix

    @property
    def correlation(self) -> Matrix:
        """Pearson correlations, by the textbook formula."""
        centred = self.series - self.series.mean(axis=0)
        scaled = centred / np.sqrt((centred**2).sum(axis=0))
        return np.asarray(scaled.T @ scaled)


def people(n: int = 12, regions: int = 12, points: int = 40, *, seed: int = 0) -> list[Person]:
    """Return `n` people, odd ones patients (`MDD`), with time series of different lengths."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        upper = np.triu(rng.poisson(20, (regions, regions)), 1)
        mixed = rng.normal(size=(points + i % 3, regions)) @ (np.eye(regions) + 0.2)
        made.append(Person(f"p{i:02d}", ("HC", "MDD")[i % 2], (upper + upper.T).astype(np.int32), mixed))
    return made


def write_folders(root: Path, persons: Sequence[Person], *, transposed: bool = False) -> Path:
    """Write class folders with a `.mat` a modality, as the authors of M3D-BFS have them."""
    for person in persons:
        folder = root / person.label / person.subject
        folder.mkdir(parents=True)
        savemat(folder / "DTI_connectivity_count.mat", {"connectivity": person.counts})
        savemat(folder / "RegionSeries.mat", {"RegionSeries": person.series.T if transposed else person.series})
    return root


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    pd.DataFrame(list(rows)).to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def write_hdf5(path: Path, **arrays: np.ndarray[Any, Any]) -> Path:
    """Write a file as MATLAB 7.3 does: HDF5 behind 512 bytes of its own, axes in reverse."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=np.asarray(values).T).attrs["MATLAB_class"] = np.bytes_("double")
        file.create_dataset("note", data=np.frombuffer(b"abcd", np.uint8).reshape(2, 2)).attrs["MATLAB_class"] = np.bytes_(
            "char"
        )
        file.create_group("#refs#")
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path
