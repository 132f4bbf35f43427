"""Splits: which subjects train, validate and test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fold:
    """One division of the development subjects into training and validation, by subject id."""

    train: tuple[str, ...]
    validation: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """The folds of a search and the test subjects that no search sees.

    Attributes:
        folds: At least one.
        test: Subject ids, disjoint from every fold.
    """

    folds: tuple[Fold, ...]
    test: tuple[str, ...] = ()
