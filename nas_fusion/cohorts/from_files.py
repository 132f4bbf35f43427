"""Cohorts from files: manifest, validation, splits, decoding, and the fingerprint of it all."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nas_fusion.cohorts.bids import read_bids
from nas_fusion.cohorts.cache import cache_folder, cached, digest_of
from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.datalist import read_datalist
from nas_fusion.cohorts.decoding import STEPS, VERSION, Progress, check_scan, common_grid, decode_all, scans
from nas_fusion.cohorts.features import standardised
from nas_fusion.cohorts.files import digest
from nas_fusion.cohorts.given import splits_of
from nas_fusion.cohorts.manifest import Manifest, read_manifest
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.splits import Splits
from nas_fusion.cohorts.validation import Headers, check_files, check_table, classes_of, reduced

_READERS = {".json": read_datalist, ".csv": read_manifest, ".tsv": read_manifest}


def read_source(path: Path, options: SourceOptions) -> Manifest:
    """Return the manifest of a BIDS folder, a datalist `.json`, or a manifest `.csv` or `.tsv`.

    Raises:
        ValueError: If it is none of these.
        CohortError: If it cannot be read, or a column is missing.
    """
    if path.is_dir():
        return reduced(read_bids(path, options), options)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            "`source` must be a BIDS folder, class folders of connectomes, a datalist .json, a manifest .csv or .tsv, "
            f"or an .npz of connectomes, but got {path}."
        )
    return reduced(reader(path, options), options)


def check(path: Path, options: SourceOptions) -> list[Problem]:
    """Return all that is wrong with the data at a path, voxels included; nothing is decoded or cached."""
    try:
        manifest = read_source(path, options)
    except CohortError as error:
        return list(error.problems)
    problems, _, headers = _examine(manifest, options)
    return [*problems, *_voxels(manifest, headers), *(_identical(manifest, _digests(manifest, headers)))]


def load(path: Path, options: SourceOptions, progress: Progress | None = None) -> Cohort:
    """Return the cohort at a path.

    Raises:
        CohortError: With all problems of the data.
    """
    manifest = read_source(path, options)
    problems, splits, headers = _examine(manifest, options)
    digests = _digests(manifest, headers)
    problems += _identical(manifest, digests)
    if problems or splits is None:
        raise CohortError(str(path), [*problems, *_voxels(manifest, headers)])
    recipe = _recipe(manifest, headers, options, digests)
    images = _images(manifest, headers, options, recipe, progress) if manifest.images else {}
    vectors, there = standardised(manifest, splits)
    present = {
        **{name: torch.tensor([(row, name) in headers for row in range(len(manifest.table))]) for name in images},
        **there,
    }
    return _cohort(manifest, options, {**images, **vectors}, present=present, splits=splits, recipe=recipe, source=path)


def _examine(manifest: Manifest, options: SourceOptions) -> tuple[list[Problem], Splits | None, Headers]:
    """Return all problems but those of voxels, the splits if there are none, and the headers."""
    problems = check_table(manifest, options)
    about_files, headers = check_files(manifest, options)
    problems += about_files
    for modality in manifest.images:
        if not problems and not any(name == modality for _, name in headers):
            problems.append(Problem("no scans", f"There must be scans of {modality}, but no subject has one."))
    problems += [] if problems else _empty_handed(manifest, headers)
    if problems:
        return problems, None, headers
    try:
        return [], splits_of(manifest, options), headers
    except ValueError as error:
        return [Problem("impossible splits", str(error))], None, headers


def _empty_handed(manifest: Manifest, headers: Headers) -> list[Problem]:
    """Return the subjects who have no modality at all."""
    problems = []
    for row, subject in enumerate(manifest.table["subject"]):
        tables = (manifest.table[list(manifest.columns[name])].iloc[row] for name in manifest.vectors)
        if not any((row, name) in headers for name in manifest.images) and not any(table.notna().all() for table in tables):
            message = f"Every subject must have at least one modality, but {subject} has none."
            problems.append(Problem("no modality", message, str(subject)))
    return problems


def _voxels(manifest: Manifest, headers: Headers) -> list[Problem]:
    found = (check_scan(manifest, row, modality) for row, modality, _ in scans(manifest, headers))
    return [problem for problem in found if problem is not None]


def _digests(manifest: Manifest, headers: Headers) -> dict[tuple[int, str], str]:
    return {(row, modality): digest(path) for row, modality, path in scans(manifest, headers)}


def _identical(manifest: Manifest, digests: Mapping[tuple[int, str], str]) -> list[Problem]:
    """Return the scans of different subjects that have the same content: one person under two names tears every split."""
    problems, owners = [], dict[str, int]()
    for (row, modality), content in digests.items():
        other = owners.setdefault(content, row)
        path = manifest.path(row, modality)
        if (
            other != row
            and path is not None
            and path.resolve()
            not in {held.resolve() for name in manifest.images if (held := manifest.path(other, name)) is not None}
        ):
            subject, twin = (str(manifest.table["subject"].iloc[i]) for i in (row, other))
            shown = manifest.shown(path)
            message = f"Every subject must have its own scans, but {shown} of {subject} has the same content as one of {twin}."
            problems.append(Problem("identical scans", message, subject, shown))
    return problems


def _recipe(
    manifest: Manifest, headers: Headers, options: SourceOptions, digests: Mapping[tuple[int, str], str]
) -> dict[str, Any]:
    """Return what the decoded scans depend on."""
    return {
        "version": VERSION,
        "grid": list(common_grid(headers, options.shape)) if headers else [],
        "resample": options.resample,
        "steps": list(STEPS),
        "files": {name: [digests.get((row, name)) for row in range(len(manifest.table))] for name in manifest.images},
    }


def _images(
    manifest: Manifest, headers: Headers, options: SourceOptions, recipe: Mapping[str, Any], progress: Progress | None
) -> dict[str, torch.Tensor]:
    def make() -> dict[str, torch.Tensor]:
        return decode_all(manifest, headers, options, progress)

    return cached(digest_of(recipe), make, cache_folder(options.cache))


def _cohort(
    manifest: Manifest,
    options: SourceOptions,
    tensors: Mapping[str, torch.Tensor],
    *,
    present: Mapping[str, torch.Tensor],
    splits: Splits,
    recipe: Mapping[str, Any],
    source: Path,
) -> Cohort:
    table, classes, names = manifest.table, classes_of(manifest, options), list(manifest.kinds)
    subjects = tuple(str(subject) for subject in table["subject"])
    groups = None if table["group"].isna().all() else tuple(str(group) for group in table["group"])
    tables = {name: hashlib.sha256(tensors[name].numpy().tobytes()).hexdigest() for name in manifest.vectors}
    who = [subjects, list(table["label"]), classes, groups]
    return Cohort(
        name=manifest.name,
        subjects=subjects,
        modalities={name: tensors[name] for name in names},
        kinds={name: manifest.kinds[name] for name in names},
        labels=torch.tensor([classes.index(label) for label in table["label"]]),
        classes=classes,
        fingerprint=digest_of({**recipe, "tables": tables, "names": names, "who": who}),
        present=torch.stack([present[name] for name in names], dim=1),
        groups=groups,
        splits=splits,
        provenance={"source": str(source), **_provenance(manifest, options, recipe)},
    )


def _provenance(manifest: Manifest, options: SourceOptions, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was done, as JSON holds it."""
    said = {key: value for key, value in asdict(options).items() if value not in (None, ()) and key != "cache"}
    features = "standardised by the development subjects' mean and standard deviation"
    return {
        "options": json.loads(json.dumps(said)),
        "grid": recipe["grid"],
        "steps": recipe["steps"] if manifest.images else [],
        "features": features if manifest.vectors else None,
        "classes": dict(Counter(str(label) for label in manifest.table["label"])),
    }
