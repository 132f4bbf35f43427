"""Splits: which subjects train, validate and test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fold:
    """One division of the development subjects into training and validation, by subject id."""

    train: tuple[str, ...]
    validation: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_apart("`train` and `validation`", self.train, self.validation)


@dataclass(frozen=True)
class Splits:
    """The folds of a search and the test subjects that no search sees.

    Attributes:
        folds: At least one.
        test: Subject ids, disjoint from every fold.

    Raises:
        ValueError: If there is no fold, or a subject occurs twice in a fold and the test part.
    """

    folds: tuple[Fold, ...]
    test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.folds:
            raise ValueError("`folds` must hold at least one fold, but got none.")
        for fold in self.folds:
            _check_apart("a fold and `test`", fold.train + fold.validation, self.test)

    @property
    def development(self) -> tuple[str, ...]:
        """Every subject of a fold, once, sorted."""
        return tuple(sorted({subject for fold in self.folds for subject in fold.train + fold.validation}))

    def to_json(self) -> str:
        """Return the folds in the form of nnU-Net's `splits_final.json`: a list of `{"train": [...], "val": [...]}`.

        That form has no place for the test part: it is what is in no fold.
        """
        return json.dumps([{"train": list(fold.train), "val": list(fold.validation)} for fold in self.folds], indent=2)

    @classmethod
    def from_json(cls, text: str, subjects: Sequence[str]) -> Splits:
        """Return the splits of some subjects that a `splits_final.json` describes.

        Args:
            text: The content of the file.
            subjects: All subjects; those in no fold are the test part.

        Raises:
            ValueError: If the text has another form, names a subject that is not among `subjects`, or one twice in a fold.
        """
        folds = tuple(_fold(i, item) for i, item in enumerate(_items(text)))
        named = {subject for fold in folds for subject in fold.train + fold.validation}
        unknown = sorted(named - set(subjects))
        if unknown:
            raise ValueError(f"`splits` must name subjects of the cohort, but {unknown[0]!r} is none ({len(unknown)} in all).")
        return cls(folds, tuple(subject for subject in subjects if subject not in named))


def _items(text: str) -> list[Any]:
    try:
        items = json.loads(text)
    except ValueError as error:
        raise ValueError(f"`splits` must be JSON, but cannot be read: {error}.") from None
    if not isinstance(items, list) or not items:
        raise ValueError(f"`splits` must be a list of at least one fold, but got {type(items).__name__}.")
    return items


def _fold(number: int, item: Any) -> Fold:
    if not isinstance(item, dict) or not {"train", "val"} <= item.keys():
        raise ValueError(f'`splits` must be a list of {{"train": [...], "val": [...]}}, but fold {number} is not.')
    for part in ("train", "val"):
        ids = item[part]
        if not isinstance(ids, list) or not ids or not all(isinstance(subject, str) for subject in ids):
            raise ValueError(f"`splits` must list subject ids, but {part!r} of fold {number} does not, or is empty.")
    return Fold(tuple(item["train"]), tuple(item["val"]))


def _check_apart(parts: str, first: Sequence[str], second: Sequence[str]) -> None:
    seen: set[str] = set()
    for subject in (*first, *second):
        if subject in seen:
            raise ValueError(f"{parts} must be disjoint lists of different subjects, but {subject!r} occurs twice.")
        seen.add(subject)
