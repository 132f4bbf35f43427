"""Splits that the data bring along, in the columns `split` and `fold` or in a `splits_final.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nas_fusion.cohorts.drawing import divide
from nas_fusion.cohorts.manifest import Manifest
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.splits import Fold, Splits

PARTS = {
    "train": "train",
    "training": "train",
    "development": "train",
    "dev": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


def part_of(text: str | None) -> str | None:
    """Return the part that a value of the column `split` means, `None` if it means none."""
    return None if text is None else PARTS.get(text.lower())


def splits_of(manifest: Manifest, options: SourceOptions) -> Splits:
    """Return the splits of a manifest without problems.

    A `splits_final.json` goes first, then the columns: `fold` numbers the fold in which a development subject validates,
    `split` says who trains, validates and tests. What the columns leave open is drawn: everything, or, where only the test
    subjects are given or options of the draw say so, the folds of the others.

    Raises:
        ValueError: If they cannot be read, or a class has too few subjects to be drawn.
    """
    table = manifest.table
    subjects = tuple(table["subject"])
    parts = [part_of(text) for text in table["split"]]
    if options.splits is not None:
        return _from_file(manifest.root, options.splits, subjects)
    if not options.draws and table["fold"].notna().any():
        return _from_folds(subjects, parts, list(table["fold"]))
    if not options.draws and "validation" in parts:
        return Splits(
            (Fold(_having(subjects, parts, "train"), _having(subjects, parts, "validation")),), _having(subjects, parts, "test")
        )
    groups = None if table["group"].isna().all() else tuple(table["group"])
    return divide(subjects, tuple(table["label"]), groups, plan=options.plan(), held_out=_having(subjects, parts, "test"))


def _from_file(root: Path, name: str, subjects: Sequence[str]) -> Splits:
    path = Path(name) if Path(name).exists() else root / name
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"`splits` must be a file in the form of nnU-Net's splits_final.json, but {name} cannot be read: {error}."
        ) from None
    return Splits.from_json(text, subjects)


def _from_folds(subjects: Sequence[str], parts: Sequence[str | None], folds: Sequence[str | None]) -> Splits:
    test = _having(subjects, parts, "test")
    rest = [(subject, fold) for subject, fold in zip(subjects, folds, strict=True) if subject not in set(test)]
    numbers = sorted({fold for _, fold in rest if fold is not None}, key=int)
    return Splits(
        tuple(
            Fold(
                tuple(subject for subject, fold in rest if fold != number),
                tuple(subject for subject, fold in rest if fold == number),
            )
            for number in numbers
        ),
        test,
    )


def _having(subjects: Sequence[str], parts: Sequence[str | None], part: str) -> tuple[str, ...]:
    return tuple(subject for subject, held in zip(subjects, parts, strict=True) if held == part)
