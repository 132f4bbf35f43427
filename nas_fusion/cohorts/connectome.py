"""Cohorts of connectomes from users' files: checked, connectivity estimated, with splits and a fingerprint."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nas_fusion.cohorts.cache import cache_folder, cached, digest_of
from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.connectome_decoding import VERSION, decode_all
from nas_fusion.cohorts.connectome_estimates import check_available
from nas_fusion.cohorts.connectome_layouts import read_layout
from nas_fusion.cohorts.connectome_options import ConnectomeOptions, Named
from nas_fusion.cohorts.connectome_presence import check_presence, complete
from nas_fusion.cohorts.connectome_regions import first
from nas_fusion.cohorts.connectome_source import Source
from nas_fusion.cohorts.given import splits_of
from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.splits import Splits
from nas_fusion.cohorts.validation import check_table, classes_of

Progress = Callable[[int, int], None]
Cells = Mapping[tuple[int, str], str]


def check(path: Path, options: ConnectomeOptions) -> list[Problem]:
    """Return all that is wrong with the connectomes at a path; nothing is cached."""
    _check_libraries(options)
    try:
        source = complete(read_layout(path, options), options)
    except CohortError as error:
        return list(error.problems)
    problems, _, cells = _examine(source, options)
    return [*problems, *_identical(source, options, _digests(source, cells)), *decode_all(source, options, cells)[1]]


def load(path: Path, options: ConnectomeOptions, progress: Progress | None = None) -> Cohort:
    """Return the cohort of the connectomes at a path.

    Args:
        path: Class folders, a table of participants, or an `.npz`.
        options: Which files are what, and how connectivity is estimated.
        progress: Called with the number of connectomes that are decoded, and of all.

    Raises:
        CohortError: With all problems of the data.
    """
    _check_libraries(options)
    source = complete(read_layout(path, options), options)
    problems, splits, cells = _examine(source, options)
    digests = _digests(source, cells)
    problems += _identical(source, options, digests)
    if problems or splits is None:
        raise CohortError(str(path), [*problems, *decode_all(source, options, cells)[1]])
    recipe = _recipe(source, options, digests)

    def make() -> dict[str, torch.Tensor]:
        made, found = decode_all(source, options, cells, progress)
        if found:
            raise CohortError(str(path), found)
        return made

    decoded = cached(digest_of(recipe), make, cache_folder(options.shared.cache))
    return _cohort(source, options, decoded, splits=splits, recipe=recipe, path=path)


def _check_libraries(options: ConnectomeOptions) -> None:
    for _, estimate in options.fc:
        check_available(estimate)


def _examine(source: Source, options: ConnectomeOptions) -> tuple[list[Problem], Splits | None, Cells]:
    """Return all problems but those of the values, the splits if there are none, and the cells that can be read."""
    about_files, cells = check_presence(source)
    problems = [*check_table(source.manifest, options.shared), *about_files]
    if problems:
        return problems, None, cells
    try:
        return [], splits_of(source.manifest, options.shared), cells
    except ValueError as error:
        return [Problem("impossible splits", str(error))], None, cells


def _digests(source: Source, cells: Cells) -> dict[tuple[int, str], str]:
    return {place: source.digest(cell) for place, cell in cells.items()}


def _identical(source: Source, options: ConnectomeOptions, digests: Mapping[tuple[int, str], str]) -> list[Problem]:
    """Return the connectomes of different subjects that have the same content: one person under two names tears every split."""
    problems: list[Problem] = []
    owners: dict[str, int] = {}
    for (row, modality), content in digests.items():
        other, cell = owners.setdefault(content, row), source.cell(row, modality) or ""
        twins = {source.place(held) for name in source.manifest.kinds if (held := source.cell(other, name)) is not None}
        if other != row and source.place(cell) not in twins and "identical connectomes" not in options.accept:
            subject, twin = (str(source.manifest.table["subject"].iloc[i]) for i in (row, other))
            shown = source.shown(cell)
            message = (
                f"Every subject must have its own connectomes, but {shown} of {subject} has the same content as one of {twin}."
            )
            problems.append(Problem("identical connectomes", message, subject, shown))
    return problems


def _recipe(source: Source, options: ConnectomeOptions, digests: Mapping[tuple[int, str], str]) -> dict[str, Any]:
    """Return what the decoded connectomes depend on."""
    rows = range(len(source.manifest.table))
    return {
        "version": VERSION,
        "files": {name: [digests[row, name] for row in rows] for name in source.manifest.kinds},
        "key": dict(options.key),
        "series": options.series,
        "fc": dict(options.fc),
        "symmetrise": options.symmetrise,
        "regions": options.regions,
        "named": len(source.regions.get("names", ())),
        "accept": sorted(options.accept),
    }


def _cohort(
    source: Source,
    options: ConnectomeOptions,
    decoded: Mapping[str, torch.Tensor],
    *,
    splits: Splits,
    recipe: Mapping[str, Any],
    path: Path,
) -> Cohort:
    """Return the cohort of decoded connectomes, each under its way of decoding and name, as in `tangent:FC`."""
    table, classes = source.manifest.table, classes_of(source.manifest, options.shared)
    known = {name: way for way, _, name in (held.partition(":") for held in decoded)}
    ways = {name: known[name] for name in source.manifest.kinds}  # what is cached may be in another order
    subjects = tuple(str(subject) for subject in table["subject"])
    groups = None if table["group"].isna().all() else tuple(str(group) for group in table["group"])
    who = [subjects, list(table["label"]), classes, groups]
    return Cohort(
        name=source.manifest.name,
        subjects=subjects,
        modalities={name: decoded[f"{way}:{name}"] for name, way in ways.items()},
        kinds={name: "covariance" if way == "tangent" else "matrix" for name, way in ways.items()},
        labels=torch.tensor([classes.index(label) for label in table["label"]]),
        classes=classes,
        fingerprint=digest_of({**recipe, "names": list(ways), "who": who}),
        present=torch.ones(len(subjects), len(ways), dtype=torch.bool),
        groups=groups,
        splits=splits,
        provenance={"source": str(path), **_provenance(source, options, ways, decoded)},
    )


def _provenance(
    source: Source, options: ConnectomeOptions, ways: Mapping[str, str], decoded: Mapping[str, torch.Tensor]
) -> dict[str, Any]:
    """Return what was done, as JSON holds it."""
    own = {**asdict(options), "key": _said(options.key), "fc": _said(options.fc)}
    own.pop("shared")
    said = {key: value for key, value in {**asdict(options.shared), **own}.items() if value not in (None, (), {}, False)}
    said.pop("cache", None)
    count = max(values.shape[-1] for values in decoded.values())
    facts: dict[str, Any] = {
        "options": json.loads(json.dumps(said)),
        "connectivity": {
            name: "as in the files" if way == "given" else f"{way}, from time series" for name, way in ways.items()
        },
        "classes": dict(Counter(str(label) for label in source.manifest.table["label"])),
    }
    return {**facts, "regions": first(source.regions, count)} if source.regions else facts


def _said(named: Named) -> dict[str, str] | str:
    """Return values by modality as they are given to `load_cohort`."""
    by_modality = dict(named)
    return by_modality[""] if set(by_modality) == {""} else by_modality
