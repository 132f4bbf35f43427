"""Whether every subject has its connectomes, each its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nas_fusion.cohorts.connectome_options import ConnectomeOptions
from nas_fusion.cohorts.connectome_source import AWAY, Source
from nas_fusion.cohorts.problem import Problem

Absence = tuple[str, str]


def complete(source: Source, options: ConnectomeOptions) -> Source:
    """Return the source without subjects that lack a label, connectome or row, if `missing` is `drop`; else as it is."""
    if options.shared.missing != "drop":
        return source
    table, classes = source.manifest.table, options.shared.classes
    unlisted = {problem.subject for problem in source.manifest.problems if problem.rule == "subject not in table"}
    kept = [
        label is not None
        and (classes is None or label in classes)
        and subject not in unlisted
        and not any(rule in AWAY for rule, _ in _absences(source, row).values())
        for row, (subject, label) in enumerate(zip(table["subject"], table["label"], strict=True))
    ]
    left = table[kept].reset_index(drop=True)
    problems = tuple(
        problem for problem in source.manifest.problems if not problem.subject or problem.subject in set(left["subject"])
    )
    return replace(source, manifest=replace(source.manifest, table=left, problems=problems))


def check_presence(source: Source) -> tuple[list[Problem], dict[tuple[int, str], str]]:
    """Return what is wrong with the presence of connectomes, and by row and modality the cells of those that are there."""
    problems: list[Problem] = []
    cells: dict[tuple[int, str], str] = {}
    owners: dict[str, str] = {}
    for row, subject in enumerate(source.manifest.table["subject"]):
        absences = _absences(source, row)
        problems += [_absent(source, row, modality, absences) for modality in absences]
        for modality in source.manifest.kinds:
            cell = source.cell(row, modality)
            if cell is not None and modality not in absences:
                cells[row, modality] = cell
                problems += _shared(source, str(subject), cell, owners)
    return problems, cells


def _absences(source: Source, row: int) -> dict[str, Absence]:
    """Return the modalities that a subject lacks: the rule that is broken, and what is wrong."""
    found: dict[str, Absence] = {}
    for modality in source.manifest.kinds:
        cell = source.cell(row, modality)
        absence = ("file missing", "is nowhere") if cell is None else source.absence(cell)
        if absence is not None:
            found[modality] = absence
    return found


def _absent(source: Source, row: int, modality: str, absences: dict[str, Absence]) -> Problem:
    subject, cell = str(source.manifest.table["subject"].iloc[row]), source.cell(row, modality)
    rule, reason = absences[modality]
    shown = "" if cell is None else source.shown(cell)
    held = [name for name in source.manifest.kinds if name not in absences]
    if rule == "file missing" and len(held) == 1:
        rule = "one modality only"
        wanted = f"{subject} must have {' and '.join(source.manifest.kinds)}, but has {held[0]} only"
        return Problem(rule, f"{wanted}: {shown or modality} {reason}.", subject, shown)
    return Problem(rule, f"The {modality} of {subject} must be a connectome, but {shown or 'it'} {reason}.", subject, shown)


def _shared(source: Source, subject: str, cell: str, owners: dict[str, str]) -> Iterator[Problem]:
    """Yield a file that two subjects name; a subject's modalities may share one, as estimates from the same time series do."""
    owner = owners.setdefault(source.place(cell), subject)
    if owner != subject:
        shown = source.shown(cell)
        message = f"A file must belong to one subject, but {shown} belongs to {owner} and {subject}."
        yield Problem("shared file", message, subject, shown)
