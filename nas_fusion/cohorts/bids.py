"""BIDS folders, and folders whose files are named as in BIDS: from file names and participants.tsv to the manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nas_fusion.cohorts.manifest import NIFTI, Manifest, assemble, matching_column
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.tables import read_table

_SKIPPED = ("derivatives", "sourcedata", "code", "stimuli")
PARTICIPANT_COLUMNS = ("participant_id", "subject", "subject_id", "Subject", "OASISID")
_SESSION = ("session_id", "session", "ses")
Visit = tuple[str, str | None]


@dataclass(frozen=True)
class Scan:
    """One image file, by its name.

    Attributes:
        file: Path relative to the folder.
        participant: With `sub-`, such as `sub-00001`.
        session: Without `ses-`, `None` if the name has none.
        suffix: The last token of the name, such as `FLAIR`: the mask `..._FLAIR_roi.nii.gz` has the suffix `roi`.
        entities: The other tokens, such as `{"acq": "iso08", "run": "01"}`.
    """

    file: str
    participant: str
    session: str | None
    suffix: str
    entities: Mapping[str, str]

    @classmethod
    def parse(cls, file: str) -> Scan | None:
        """Return what a file name says, `None` if it is no image of a subject."""
        name = file.rsplit("/", 1)[-1]
        ending = next((ending for ending in sorted(NIFTI, key=len, reverse=True) if name.endswith(ending)), None)
        if ending is None or not name.startswith("sub-"):
            return None
        *tokens, suffix = name.removesuffix(ending).split("_")
        entities = dict(token.split("-", 1) for token in tokens if "-" in token)
        participant, session = entities.pop("sub", ""), entities.pop("ses", None)
        return cls(file, f"sub-{participant}", session, suffix, entities) if participant else None


def find_scans(root: Path) -> list[Scan]:
    """Return all images of subjects below a folder, sorted by file.

    Hidden folders and `derivatives`, `sourcedata`, `code`, `stimuli` are passed over. Links that lead nowhere are found too: a
    dataset that is not fetched consists of them. Any folders are accepted, as the names of the files say it all: so OASIS-3's
    `OAS30001_MR_d0129/anat2/sub-OAS30001_ses-d0129_T1w.nii.gz` is found as well as `sub-OAS30001/ses-d0129/anat/...`.
    """
    found = []
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in _SKIPPED)
        inside = Path(folder).relative_to(root)
        found += [Scan.parse((inside / name).as_posix()) for name in files]
    return sorted((scan for scan in found if scan is not None), key=lambda scan: scan.file)


def prefer(scans: Sequence[Scan], preferences: Mapping[str, Sequence[str]]) -> list[Scan]:
    """Return the scans that are preferred: one if the preferences decide, several if it stays ambiguous.

    Args:
        scans: Of one subject, session and suffix.
        preferences: Entity to its values, best first; a scan with another value, or without the entity, comes last.
    """
    kept = list(scans)
    for entity, values in preferences.items():
        ranks = [values.index(v) if (v := scan.entities.get(entity)) in values else len(values) for scan in kept]
        kept = [scan for scan, rank in zip(kept, ranks, strict=True) if rank == min(ranks)] if values else kept
    return kept


def read_bids(root: Path, options: SourceOptions) -> Manifest:
    """Return the manifest of a folder.

    Labels come from `participants.tsv`, from the subjects' `*_sessions.tsv`, or from the table `options.labels`, keyed by
    participant or by participant and session. A column `split` (`train`, `validation`, `test`) is honoured.

    Raises:
        CohortError: If there are no scans, labels or modalities to be found.
    """
    scans = find_scans(root)
    if not scans:
        raise _error(
            root,
            "no scans",
            "The folder must hold files named as in BIDS, such as sub-01/anat/sub-01_T1w.nii.gz, but has none.",
        )
    clinical = _clinical(root, options)
    if not options.modalities:
        raise _error(root, "no modalities", f"`modalities` must name what is fused, among {_counts(scans)}.")
    for option, column in (("label", options.label or ""), ("group", options.group)):
        if column not in (None, "none") and matching_column(column, clinical.columns) is None:
            known = ", ".join(clinical.columns)
            message = f"`{option}` must name a column of {clinical.file} ({known}), but got {column or 'none'!r}."
            raise _error(root, "unknown column", message)
    suffixes = [option.name for option in options.wanted if not option.columns]
    for suffix in suffixes:
        if not any(scan.suffix == suffix for scan in scans):
            raise _error(root, "unknown modality", f"`modalities` must be among {_counts(scans)}, but got {suffix!r}.")
    chosen = [scan for scan in scans if scan.suffix in suffixes]
    chosen = [
        scan for scan in chosen if options.session is None or (scan.session or "").removeprefix("ses-") in options.session
    ]
    if not chosen:
        raise _error(
            root, "no scans", f"`session` must name sessions that have scans, but got {', '.join(options.session or ())}."
        )
    visits = _visits(chosen, clinical, whole=options.labels is None)
    files, problems = _files(chosen, visits, suffixes, {"acq": options.acq, "run": options.run})
    rows, unknown = _rows(visits, files, clinical)
    return assemble(rows, options, name=root.resolve().name, source=root, automatic_group=False, problems=(*problems, *unknown))


@dataclass(frozen=True)
class _Clinical:
    """Rows of a table of labels by participant and session; session `None` stands for all of them."""

    columns: tuple[str, ...]
    rows: Mapping[Visit, Mapping[str, object]]
    file: str
    repeated: tuple[Visit, ...] = ()

    def of(self, visit: Visit) -> Mapping[str, object] | None:
        """Return what is known of a visit: what was noted at the visit goes before what holds for the participant."""
        general, special = self.rows.get((visit[0], None)), self.rows.get(visit)
        if general is None and special is None:
            return None
        noted = {key: value for key, value in (special or {}).items() if value is not None}
        return {**dict.fromkeys(self.columns), **(general or {}), **noted}


def _clinical(root: Path, options: SourceOptions) -> _Clinical:
    if options.labels is not None:
        table = _keyed(root / options.labels)
    else:
        table = _keyed(root / "participants.tsv")
        for path in sorted(root.glob("sub-*/sub-*_sessions.tsv")):
            visits = _keyed(path, participant=path.parent.name)
            table = _Clinical(
                tuple(dict.fromkeys((*table.columns, *visits.columns))),
                {**table.rows, **visits.rows},
                table.file,
                (*table.repeated, *visits.repeated),
            )
    return table


def _keyed(path: Path, participant: str | None = None) -> _Clinical:
    table = read_table(path)
    by_participant = next((column for column in PARTICIPANT_COLUMNS if column in table.columns), None)
    keys = (
        _SESSION[:1] if path.name == "participants.tsv" else _SESSION
    )  # `session` may be anything there, a number of visits say
    by_session = next((column for column in keys if column in table.columns), None)
    if by_participant is None and participant is None:
        message = f"The table must have a column participant_id, but has {', '.join(table.columns)}."
        raise CohortError(str(path), [Problem("unreadable table", message, file=path.name)])
    rows: dict[Visit, Mapping[str, object]] = {}
    repeated = []
    for row in table.to_dict("records"):
        who = participant if by_participant is None else row[by_participant]
        session = row[by_session] if by_session is not None else None
        if who is None:
            continue
        visit = (f"sub-{str(who).removeprefix('sub-')}", None if session is None else str(session).removeprefix("ses-"))
        repeated += [visit] if visit in rows else []
        rows[visit] = {str(key): value for key, value in row.items() if key not in (by_participant, by_session)}
    columns = tuple(column for column in table.columns if column not in (by_participant, by_session))
    return _Clinical(columns, rows, path.name, tuple(repeated))


def _visits(scans: Sequence[Scan], clinical: _Clinical, *, whole: bool) -> list[Visit]:
    """Return who is expected: everybody with a scan and, where the table is the dataset's own, everybody in it."""
    found = list(dict.fromkeys((scan.participant, scan.session) for scan in scans))
    seen = {participant for participant, _ in found}
    absent = [(participant, None) for participant, _ in clinical.rows if participant not in seen] if whole else []
    return sorted({*found, *absent}, key=lambda visit: (visit[0], visit[1] or ""))


def _files(
    scans: Sequence[Scan], visits: Sequence[Visit], suffixes: Sequence[str], preferences: Mapping[str, Sequence[str]]
) -> tuple[dict[tuple[Visit, str], str], list[Problem]]:
    """Return the file of each visit and suffix, and what is ambiguous; of ambiguous files the first stands for all."""
    candidates: dict[tuple[Visit, str], list[Scan]] = {}
    for scan in scans:
        candidates.setdefault(((scan.participant, scan.session), scan.suffix), []).append(scan)
    files, problems = {}, []
    for visit in visits:
        for suffix in suffixes:
            best = prefer(candidates.get((visit, suffix), []), preferences)
            if best:
                files[visit, suffix] = best[0].file
            if len(best) > 1:
                problems.append(_ambiguous(visit, suffix, best))
    return files, problems


def _rows(
    visits: Sequence[Visit], files: Mapping[tuple[Visit, str], str], clinical: _Clinical
) -> tuple[pd.DataFrame, list[Problem]]:
    rows = []
    problems = list(_repeated(clinical))
    suffixes = list(dict.fromkeys(suffix for _, suffix in files))
    for visit in visits:
        facts = clinical.of(visit)
        if facts is None:
            message = f"Every subject with scans must be in {clinical.file}, but {_shown(visit)} is not."
            problems.append(Problem("subject not in table", message, _shown(visit), clinical.file))
        found = {suffix: files.get((visit, suffix)) for suffix in suffixes}
        known = dict.fromkeys(clinical.columns) if facts is None else facts
        rows.append({**known, "subject": visit[0], "session": visit[1], **found})
    return pd.DataFrame(
        rows, columns=list(dict.fromkeys([*clinical.columns, "subject", "session", *suffixes])), dtype=object
    ), problems


def _repeated(clinical: _Clinical) -> Iterator[Problem]:
    for visit in dict.fromkeys(clinical.repeated):
        message = f"Every subject must have one row in {clinical.file}, but {_shown(visit)} has several."
        yield Problem("duplicate subject", message, _shown(visit), clinical.file)


def _ambiguous(visit: Visit, suffix: str, scans: Sequence[Scan]) -> Problem:
    files = ", ".join(scan.file for scan in scans)
    differing = next((entity for entity in ("acq", "run") if len({scan.entities.get(entity) for scan in scans}) > 1), None)
    values = ",".join(sorted({scan.entities.get(differing, "") for scan in scans} - {""})) if differing else ""
    hint = f": prefer one by the option {differing}={values}" if differing else ""
    message = f"There must be one {suffix} of {_shown(visit)}, but there are {files}{hint}."
    return Problem("ambiguous files", message, _shown(visit), scans[0].file)


def _counts(scans: Sequence[Scan]) -> str:
    counts = pd.Series([scan.suffix for scan in scans]).value_counts()
    return ", ".join(f"{suffix} ({count} files)" for suffix, count in counts.items())


def _shown(visit: Visit) -> str:
    return visit[0] if visit[1] is None else f"{visit[0]}_ses-{visit[1]}"


def _error(root: Path, rule: str, message: str) -> CohortError:
    return CohortError(str(root), [Problem(rule, message)])
