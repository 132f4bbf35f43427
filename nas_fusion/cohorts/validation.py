"""Validation: all that is wrong with a manifest and its files, at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from nas_fusion.cohorts.files import Header, absence, read_header
from nas_fusion.cohorts.given import part_of
from nas_fusion.cohorts.manifest import Manifest
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.problem import Problem
from nas_fusion.cohorts.tables import number

CONTROLS = ("control", "controls", "healthy", "healthy control", "hc", "cn", "nc", "normal", "td", "negative")
Headers = dict[tuple[int, str], Header]


def classes_of(manifest: Manifest, options: SourceOptions) -> tuple[str, ...]:
    """Return the classes in their order: those asked for, else numbers by size, else controls first, then by name."""
    if options.classes is not None:
        return options.classes
    found = [str(label) for label in manifest.table["label"].dropna().unique()]
    return tuple(sorted(found, key=_rank))


def reduced(manifest: Manifest, options: SourceOptions) -> Manifest:
    """Return the manifest without the subjects that lack a label or a scan, if `missing` is `drop`; else as it is."""
    if options.missing != "drop":
        return manifest
    table = manifest.table
    complete = table["label"].notna() if options.classes is None else table["label"].isin(options.classes)
    for modality, columns in manifest.columns.items():
        if manifest.kinds[modality] == "vector":
            complete &= table[list(columns)].notna().all(axis=1)
        else:
            there = [path is not None and not _is_away(path) for path in _paths(manifest, modality)]
            complete &= pd.Series(there, index=table.index, dtype=bool)
    kept = table[complete].reset_index(drop=True)
    about = [
        problem
        for problem in manifest.problems
        if problem.rule != "subject not in table" and (not problem.subject or problem.subject in set(kept["subject"]))
    ]
    return replace(manifest, table=kept, problems=tuple(about))


def check_table(manifest: Manifest, options: SourceOptions) -> list[Problem]:
    """Return what is wrong with subjects, labels, groups, given splits and numeric columns."""
    found = [*manifest.problems, *_subjects(manifest)]
    named = {problem.subject for problem in manifest.problems if problem.rule == "subject not in table"}
    found += [problem for problem in _labels(manifest, options) if problem.subject not in named]
    return [*found, *_class_sizes(manifest, options), *_splits(manifest), *_groups(manifest), *_numbers(manifest, options)]


def check_files(manifest: Manifest, options: SourceOptions) -> tuple[list[Problem], Headers]:
    """Return what is wrong with the files as far as their headers tell, and the headers of the good ones."""
    problems: list[Problem] = []
    headers: Headers = {}
    owners: dict[Path, str] = {}
    for row, subject in enumerate(manifest.table["subject"]):
        for modality in manifest.images:
            path = manifest.path(row, modality)
            found = _file(manifest, options, (str(subject), modality), path)
            if isinstance(found, Header) and path is not None:
                headers[row, modality] = found
                problems += _shared(manifest, (str(subject), modality), path, owners)
            elif isinstance(found, Problem):
                problems.append(found)
        problems += [] if options.resample else _mismatch(manifest, row, headers)
    return [*problems, *_channels(manifest, headers)], headers


def _is_away(path: Path) -> bool:
    found = absence(path)
    return found is not None and found[0] in ("file missing", "file not fetched")


def _paths(manifest: Manifest, modality: str) -> list[Path | None]:
    return [manifest.path(row, modality) for row in range(len(manifest.table))]


def _rank(label: str) -> tuple[int, float, str]:
    try:
        return 0, float(label), label
    except ValueError:
        return (0 if label.lower() in CONTROLS else 1), math.inf, label


def _subjects(manifest: Manifest) -> Iterator[Problem]:
    subjects = manifest.table["subject"]
    for row in subjects[subjects.isna()].index:
        yield Problem("missing subject", f"Every row must name its subject, but row {row + 1} does not.")
    for subject in dict.fromkeys(subjects[subjects.duplicated()].dropna()):
        rows = ", ".join(str(row + 1) for row in subjects[subjects == subject].index)
        yield Problem("duplicate subject", f"Every subject must have one row, but {subject} has rows {rows}.", subject)


def _labels(manifest: Manifest, options: SourceOptions) -> Iterator[Problem]:
    table = manifest.table
    for subject, label in zip(table["subject"], table["label"], strict=True):
        if label is None:
            yield Problem("missing label", f"Every subject must have a label, but {subject} has none.", str(subject))
        elif options.classes is not None and label not in options.classes:
            wanted = ", ".join(options.classes)
            yield Problem("unknown label", f"The label of {subject} must be one of {wanted}, but is {label!r}.", str(subject))


def _class_sizes(manifest: Manifest, options: SourceOptions) -> Iterator[Problem]:
    classes, table = classes_of(manifest, options), manifest.table
    if len(classes) < 2:
        yield Problem("one class", f"There must be at least two classes to tell apart, but the labels are {list(classes)}.")
        return
    if len(classes) > max(20, len(table) // 2):
        yield Problem("no classes", f"The label must be a class, but has {len(classes)} different values.")
        return
    least = max(options.plan().folds, 2)
    development = table[[part_of(part) != "test" for part in table["split"]]]
    for label in classes:
        count = int((development["label"] == label).sum())
        if count < least:
            wanted = f"{least} folds need {least} subjects" if least > 2 else "training and validation need 2 subjects"
            yield Problem("small class", f"{wanted} of each class outside the test part, but there are {count} of {label!r}.")


def _splits(manifest: Manifest) -> Iterator[Problem]:
    table = manifest.table
    given = table["split"].notna().any()
    folded = table["fold"].notna().any()
    for subject, split, fold in zip(table["subject"], table["split"], table["fold"], strict=True):
        if given and part_of(split) is None:
            message = f"The split of {subject} must be train, validation or test, but is {split or 'absent'!r}."
            yield Problem("unknown split", message, str(subject))
        if folded and part_of(split) != "test" and (fold is None or not str(fold).isdecimal()):
            message = f"The fold of {subject} must be a whole number, but is {fold or 'absent'!r}."
            yield Problem("unknown fold", message, str(subject))
    if folded and table["fold"].nunique() < 2:
        yield Problem("one fold", f"The column fold must hold at least 2 folds, but holds {table['fold'].nunique()}.")
    if given and not (table["split"].map(part_of) == "train").any():
        yield Problem("no training subjects", "The column split must have subjects that train, but has none.")


def _groups(manifest: Manifest) -> Iterator[Problem]:
    table = manifest.table
    if table["group"].notna().any():
        for subject in table["subject"][table["group"].isna()]:
            yield Problem("missing group", f"Every subject must have a group, but {subject} has none.", str(subject))
    for participant, rows in table.groupby("participant", sort=True):
        if rows["group"].nunique() > 1:
            message = (
                f"A participant must be in one group, but {participant} is in {', '.join(map(str, rows['group'].unique()))}."
            )
            yield Problem("participant in several groups", message, str(participant))
    for column in ("participant", "group"):
        for name, rows in table.groupby(column, sort=True):
            parts = set(zip(rows["split"].map(part_of), rows["fold"], strict=True))
            if len(rows) > 1 and len(parts) > 1 and rows["subject"].nunique() > 1:
                message = f"A {column} must be in one part of the splits, but {name} is in several."
                yield Problem("torn group", message, str(name))


def _numbers(manifest: Manifest, options: SourceOptions) -> Iterator[Problem]:
    table = manifest.table
    for modality in manifest.vectors:
        for column in manifest.columns[modality]:
            for row, given in enumerate(table[column]):
                if math.isfinite(number(given)) or (given is None and options.missing == "keep"):
                    continue
                subject, name = str(table["subject"].iloc[row]), column.split(":", 1)[1]
                rule, is_what = ("missing value", "absent") if given is None else ("not a number", repr(given))
                yield Problem(rule, f"{name} of {subject} must be a number, but is {is_what}.", subject)


def _file(manifest: Manifest, options: SourceOptions, whose: tuple[str, str], path: Path | None) -> Header | Problem | None:
    """Return the header of a file, what is wrong with it, or `None` for a file that may be missing."""
    subject, modality = whose
    if path is None:
        if options.missing == "keep":
            return None
        return Problem("file missing", f"{subject} must have a scan of {modality}, but has none.", subject)
    shown = manifest.shown(path)
    reason = absence(path)
    if reason is not None:
        if options.missing == "keep" and reason[0] in ("file missing", "file not fetched"):
            return None
        return Problem(reason[0], f"The {modality} of {subject} must be a NIfTI file, but {shown} {reason[1]}.", subject, shown)
    try:
        return read_header(path)
    except ValueError as error:
        return Problem(
            "corrupt file", f"The {modality} of {subject} must be a NIfTI file, but {shown} {error}.", subject, shown
        )


def _shared(manifest: Manifest, whose: tuple[str, str], path: Path, owners: dict[Path, str]) -> Iterator[Problem]:
    owner = owners.setdefault(path.resolve(), " of ".join(reversed(whose)))
    mine = " of ".join(reversed(whose))
    if owner != mine:
        shown = manifest.shown(path)
        yield Problem("shared file", f"A file must belong to one scan, but {shown} is {owner} and {mine}.", whose[0], shown)


def _mismatch(manifest: Manifest, row: int, headers: Headers) -> Iterator[Problem]:
    """Yield the modalities of a subject that are not on the grid of its first one."""
    present = [modality for modality in manifest.images if (row, modality) in headers]
    for modality in present[1:]:
        difference = headers[row, present[0]].difference(headers[row, modality])
        path = manifest.path(row, modality)
        if difference is not None and path is not None:
            subject, shown = str(manifest.table["subject"].iloc[row]), manifest.shown(path)
            message = (
                f"All scans of {subject} must be on one grid, but {shown} has {difference} of its {present[0]}: "
                "register them, or resample on loading by the option resample=true."
            )
            yield Problem("grid mismatch", message, subject, shown)


def _channels(manifest: Manifest, headers: Headers) -> Iterator[Problem]:
    for modality in manifest.images:
        counts: dict[int, list[int]] = {}
        for (row, name), header in headers.items():
            if name == modality:
                counts.setdefault(header.channels, []).append(row)
        usual = max(counts, key=lambda channels: len(counts[channels]), default=1)
        for channels, rows in counts.items():
            for row in rows if channels != usual else ():
                subject, path = str(manifest.table["subject"].iloc[row]), manifest.path(row, modality)
                message = f"Every {modality} must have {usual} channels as most have, but that of {subject} has {channels}."
                yield Problem("channel mismatch", message, subject, manifest.shown(path) if path else "")


def summary(problems: Sequence[Problem]) -> dict[str, int]:
    """Return how often each rule is broken, the most frequent first."""
    counts = pd.Series([problem.rule for problem in problems], dtype=object).value_counts()
    return {str(rule): int(count) for rule, count in counts.items()}
