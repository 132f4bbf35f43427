"""Class folders: `<root>/<class>/<subject>/<file>`, or `<root>/<class>/<subject>.<ending>` with one file a subject."""

from __future__ import annotations

import fnmatch
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nas_fusion.cohorts.bids import PARTICIPANT_COLUMNS
from nas_fusion.cohorts.connectome_files import ENDINGS
from nas_fusion.cohorts.connectome_options import ConnectomeOptions
from nas_fusion.cohorts.manifest import NIFTI
from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.tables import read_table

PLACES = {"SC": "DTI_connectivity_count", "FC": "RegionSeries"}
"""Modality to the file, without its ending, that holds it where nothing is said."""


@dataclass(frozen=True)
class Person:
    """One subject's files.

    Attributes:
        label: Name of the class folder.
        subject: Name of the subject's folder, or of its only file without the ending.
        files: Path relative to the root, to the name within the subject's folder without its ending; empty for an only file.
    """

    label: str
    subject: str
    files: Mapping[str, str]

    @property
    def is_file(self) -> bool:
        """Whether the subject is one file and no folder."""
        return "" in self.files.values()


def has_class_folders(root: Path) -> bool:
    """Return whether most folders in a folder are class folders: no `sub-...` among them, and connectomes but no scans inside.

    Only the first subjects of each are looked at.
    """
    folders = [entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    if any(folder.name.startswith("sub-") for folder in folders):
        return False
    classes = [folder for folder in folders if any(person.files for person in _people_of(root, folder, first=5, images=True))]
    return 2 * len(classes) > len(folders)


def read_people(root: Path, options: ConnectomeOptions) -> tuple[pd.DataFrame, list[Problem]]:
    """Return a table with a row a subject (`subject`, `label`, a column of files a modality), and what is wrong with it.

    A `participants.tsv` (or `.csv`) at the root adds its columns (`split`, `fold`, `group`, `site`, ...). Its column `group` is
    left out if it repeats the class, as in BIDS.

    Raises:
        CohortError: If a modality is nowhere to be found, or the table cannot be read.
    """
    people = _people(root)
    places = _places(root, people, options)
    known, problems = _participants(root, people, drop=options.shared.missing == "drop")
    rows = []
    for person in people:
        found = {name: _matching(person, place) for name, place in places.items()}
        problems += [_ambiguous(person, name, files) for name, files in found.items() if len(files) > 1]
        paths = {name: files[0] if files else None for name, files in found.items()}
        rows.append({**known.get(person.subject, {}), "subject": person.subject, "label": person.label, **paths})
    table = pd.DataFrame(rows, dtype=object)
    repeats = "group" in table and (table["group"].fillna(table["label"]).str.lower() == table["label"].str.lower()).all()
    return table.drop(columns="group") if repeats and options.shared.group is None else table, problems


def _people(root: Path) -> list[Person]:
    """Return the subjects of each class folder, sorted; single files count where there are no folders of subjects at all."""
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    classes = [_people_of(root, folder) for folder in folders]
    found = [person for people in classes if any(each.files for each in people) for person in people]
    in_folders = [person for person in found if not person.is_file]
    return in_folders if any(person.files for person in in_folders) else found


def _people_of(root: Path, folder: Path, *, first: int | None = None, images: bool = False) -> list[Person]:
    """Return the subjects of a class folder, or the first ones; with `images` those who have any scan without files."""
    inside = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    below = [entry for entry in inside if entry.is_dir()]
    if below:
        return [_person(root, folder.name, entry, images=images) for entry in below[:first]]
    alone = [(entry, ending) for entry in inside if (ending := _ending(entry.name)) is not None]
    return [
        Person(folder.name, entry.name.removesuffix(ending), {entry.relative_to(root).as_posix(): ""})
        for entry, ending in alone[:first]
    ]


def _person(root: Path, label: str, folder: Path, *, images: bool) -> Person:
    files = {}
    for inside, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if images and any(name.endswith(NIFTI) for name in names):
            return Person(label, folder.name, {})
        for name in sorted(names):
            ending, path = _ending(name), Path(inside) / name
            if ending is not None and not name.startswith("."):
                files[path.relative_to(root).as_posix()] = path.relative_to(folder).as_posix().removesuffix(ending)
    return Person(label, folder.name, files)


def _ending(name: str) -> str | None:
    return next((ending for ending in ENDINGS if name.endswith(ending)), None)


def _places(root: Path, people: Sequence[Person], options: ConnectomeOptions) -> dict[str, str]:
    """Return modality to file: those asked for, else those that are found."""
    counts = Counter(stem for person in people for stem in set(person.files.values()) if stem)
    known = {name: stem for name, stem in PLACES.items() if counts[stem]}
    places = {option.name: (option.columns or (known.get(option.name, option.name),))[0] for option in options.wanted}
    for name, place in places.items():
        if not any(_matching(person, place) for person in people):
            held = ", ".join(sorted(counts)[:10])
            message = f"`modalities` must name files of the subjects ({held}), but got {name!r}: there is no {place}."
            raise _error(root, "unknown modality", message)
    return places or _found_places(root, people, counts, known)


def _found_places(root: Path, people: Sequence[Person], counts: Mapping[str, int], known: dict[str, str]) -> dict[str, str]:
    """Return modality to file: the two known ones, else those that most subjects have, else the only file of each."""
    names = {stem: name for name, stem in known.items()}
    common = [stem for stem, count in counts.items() if 2 * count > len(people) or stem in names]
    found = {names.get(stem, stem): stem for stem in common}
    if len(known) == len(PLACES) or not (found or all(len(person.files) == 1 for person in people)):
        found = known
    elif not found:
        found = {"FC": "*"}
    if not found:
        how = "as in SC=counts,FC=series: no file name is common to most"
        raise _error(root, "no modalities", f"`modalities` must say which file of a subject is what, {how}.")
    return dict(sorted(found.items(), key=lambda item: (item[0][:2] != "SC", item[0])))


def _matching(person: Person, place: str) -> list[str]:
    """Return the files of a subject that a place means, by name within its folder with or without folder and ending."""
    return [
        path
        for path, stem in person.files.items()
        if any(fnmatch.fnmatchcase(name, place) for name in (stem, stem.rsplit("/", 1)[-1], path.rsplit("/", 1)[-1]))
    ]


def _participants(root: Path, people: Sequence[Person], *, drop: bool) -> tuple[dict[str, dict[str, object]], list[Problem]]:
    """Return what the table of participants says of each subject, and who is in the table or the folders alone."""
    path = next((root / name for name in ("participants.tsv", "participants.csv") if (root / name).exists()), None)
    if path is None:
        return {}, []
    table = read_table(path)
    key = next((column for column in PARTICIPANT_COLUMNS if column in table.columns), None)
    if key is None:
        message = f"The table must have a column participant_id, but has {', '.join(table.columns)}."
        raise CohortError(str(path), [Problem("unreadable table", message, file=path.name)])
    names = {person.subject.removeprefix("sub-"): person.subject for person in people}
    known: dict[str, dict[str, object]] = {}
    problems = []
    for row in table.to_dict("records"):
        who = str(row.pop(key))
        subject = names.get(who.removeprefix("sub-"))
        if subject is None:
            message = f"Every subject of {path.name} must have connectomes in a class folder, but {who} has none."
            problems += [] if drop else [Problem("subject without files", message, who, path.name)]
        elif subject in known:
            message = f"Every subject must have one row in {path.name}, but {who} has several."
            problems.append(Problem("duplicate subject", message, who, path.name))
        else:
            known[subject] = {str(column): value for column, value in row.items() if column != "session"}
    for subject in names.values():
        if subject not in known:
            message = f"Every subject with connectomes must be in {path.name}, but {subject} is not."
            problems.append(Problem("subject not in table", message, subject, path.name))
    return known, problems


def _ambiguous(person: Person, modality: str, files: Sequence[str]) -> Problem:
    found = ", ".join(files)
    message = f"There must be one {modality} of {person.subject}, but there are {found}: name one by the option modalities."
    return Problem("ambiguous files", message, person.subject, files[0])


def _error(root: Path, rule: str, message: str) -> CohortError:
    return CohortError(str(root), [Problem(rule, message)])
