"""MONAI and Decathlon datalists: JSON with lists of subjects for training, validation and test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from nas_fusion.cohorts.manifest import NIFTI, Manifest, assemble
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.tables import clean

_LISTS = {"training": "train", "validation": "validation", "test": "test", "testing": "test"}
_IDS = ("subject", "subject_id", "participant_id", "case_id", "id")


def read_datalist(path: Path, options: SourceOptions) -> Manifest:
    """Return the manifest of a datalist: `{"training": [{"T1w": "...", "label": 0, "fold": 1}], "test": [...]}`.

    Paths are relative to the file, as in `monai.data.load_decathlon_datalist`; unlike there, a label that happens to name a
    file stays a label. A subject's id is its `subject` (or `id`, ...), else the BIDS subject in its first file's name,
    else that file's path without its ending.

    Raises:
        CohortError: If it cannot be read, has another form, or a key is missing.
    """
    rows = [_row(path, name, number, item) for name, number, item in _items(path)]
    return assemble(clean(pd.DataFrame(rows)), options, name=path.stem, source=path, automatic_group=True)


def _items(path: Path) -> Iterator[tuple[str, int, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _unreadable(path, "it does not exist") from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from None
    if not isinstance(content, dict) or not isinstance(content.get("training"), list) or not content["training"]:
        raise _unreadable(path, 'it has no list "training" of subjects')
    for name in _LISTS:
        for number, item in enumerate(content.get(name) or ()):
            yield name, number, item


def _row(path: Path, name: str, number: int, item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise _unreadable(path, f'item {number} of "{name}" is not an object with files and a label')
    wrong = [key for key, value in item.items() if isinstance(value, list | dict)]
    if wrong:
        raise _unreadable(path, f'{wrong[0]!r} of item {number} of "{name}" is not one file, text or number')
    row = {str(key): value for key, value in item.items() if key not in _IDS}
    given = [item[key] for key in _IDS if key in item]
    split = _LISTS[name]
    if split != "train" or "split" not in row:
        row["split"] = split
    return {"subject": given[0] if given else _subject(item, f"{name}-{number}"), **row}


def _subject(item: Mapping[str, Any], fallback: str) -> str:
    files = [value for value in item.values() if isinstance(value, str) and value.endswith(NIFTI)]
    if not files:
        return fallback
    bids = re.match(r"(sub-[A-Za-z0-9]+(?:_ses-[A-Za-z0-9]+)?)_", PurePosixPath(files[0]).name)
    return bids[1] if bids else files[0].removesuffix(".gz").removesuffix(".nii")


def _unreadable(path: Path, reason: str) -> CohortError:
    message = f"The datalist must be readable, but {reason.strip().rstrip('.')}."
    return CohortError(str(path), [Problem("unreadable table", message, file=path.name)])
