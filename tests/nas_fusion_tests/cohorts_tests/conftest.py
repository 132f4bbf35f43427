"""Small folders of scans in the layouts that users have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

CLASSES = ("hc", "fcd")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep decoded cohorts of tests away from the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NAS_FUSION_CACHE", str(folder))
    return folder


def voxels(path: Path, shape: Sequence[int] = (8, 8, 8)) -> np.ndarray[Any, Any]:
    """Return values that differ from file to file."""
    seed = list("/".join(path.parts[-3:]).encode())
    return np.random.default_rng(seed).normal(10, 2, size=tuple(shape)).astype(np.float32)


def write_scan(path: Path, values: Any = None, affine: Any = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels(path) if values is None else values, np.eye(4) if affine is None else affine), path)
    return path


def write_tsv(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    path.write_text("\n".join("\t".join(map(str, row)) for row in rows) + "\n")
    return path


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """Twelve subjects with T1w and FLAIR, six of each class, as OpenNeuro has them."""
    root = tmp_path / "bids"
    rows: list[list[object]] = [["participant_id", "group", "mri _diagnosis", "split"]]
    for i in reversed(range(12)):
        name = f"sub-{i:05d}"
        write_scan(root / name / "anat" / f"{name}_acq-iso08_T1w.nii.gz")
        write_scan(root / name / "anat" / f"{name}_acq-T2sel_FLAIR.nii.gz")
        rows.append([name, CLASSES[i % 2], "n/a" if i else "x", "test" if i < 4 else "train"])
    write_scan(root / "sub-00001" / "anat" / "sub-00001_acq-T2sel_FLAIR_roi.nii.gz")
    write_tsv(root / "participants.tsv", rows)
    return root


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes ten subjects with T1w, FLAIR, age and score, changed as asked, as a CSV file."""

    def write(change: Callable[[list[dict[str, object]]], object] = lambda rows: None, *, name: str = "cohort.csv") -> Path:
        rows: list[dict[str, object]] = []
        for i in range(10):
            files = {m: write_scan(tmp_path / "scans" / f"p{i}" / f"{m}.nii.gz") for m in ("T1w", "FLAIR")}
            paths = {m: file.relative_to(tmp_path).as_posix() for m, file in files.items()}
            rows.append({"subject": f"p{i}", "label": "ab"[i % 2], **paths, "age": 40 + i, "score": (i * 7) % 10 / 2})
        change(rows)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        lines = [",".join("" if row.get(key) is None else str(row[key]) for key in columns) for row in rows]
        path = tmp_path / name
        path.write_text("\n".join([",".join(columns), *lines]) + "\n")
        return path

    return write


@pytest.fixture
def datalist(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes eight subjects for training in two folds and two for test as a datalist."""

    def write(change: Callable[[dict[str, Any]], object] = lambda content: None) -> Path:
        def item(i: int) -> dict[str, Any]:
            files = {m: write_scan(tmp_path / "images" / f"s{i}_{m}.nii.gz") for m in ("T1w", "FLAIR")}
            return {m: file.relative_to(tmp_path).as_posix() for m, file in files.items()} | {"label": i // 2 % 2}

        content = {"training": [item(i) | {"fold": i % 2} for i in range(8)], "test": [item(i) for i in (8, 10)]}
        change(content)
        path = tmp_path / "datalist.json"
        path.write_text(json.dumps(content))
        return path

    return write
