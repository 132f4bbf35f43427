"""Drawing splits: stratified by class, never tearing a group apart, the same for the same subjects and seed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, StratifiedShuffleSplit

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.splits import Fold, Splits

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SplitPlan:
    """How many parts of which size.

    Attributes:
        folds: 1 for a single division into training and validation, k for k folds that each validate once.
        validation: Share of the development subjects that validates where `folds` is 1; without effect otherwise.
        test: Share of all subjects that is kept from the search, 0 for none; without effect where a test part is given.
        seed: Of the draw.

    Raises:
        ValueError: If a number is out of range.
    """

    folds: int = 1
    validation: float = 0.25
    test: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("folds", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"`{name}` must be a whole number of at least {least}, but got {value!r}.")
        for name, low in (("validation", "above 0"), ("test", "at least 0")):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < 1 or (name == "validation" and value == 0):
                raise ValueError(f"`{name}` must be a share {low} and below 1, but got {value!r}.")


@dataclass(frozen=True)
class _People:
    """Whom to divide: ids, class indices and group of each, all `(n,)`, sorted by id."""

    ids: npt.NDArray[np.str_]
    labels: Positions
    groups: npt.NDArray[np.str_] | None

    def take(self, index: Positions) -> _People:
        return _People(self.ids[index], self.labels[index], None if self.groups is None else self.groups[index])

    def __len__(self) -> int:
        return len(self.ids)


def draw_splits(cohort: Cohort, *, folds: int = 1, validation: float = 0.25, test: float = 0.2, seed: int = 0) -> Cohort:
    """Return the cohort with splits drawn: stratified by class, no group in two parts.

    A test part that the cohort already has stays what it is; only the rest is divided anew. The result does not depend on the
    order of the subjects. Without groups each class is divided to within one subject; with groups as evenly as
    scikit-learn's `StratifiedGroupKFold` manages.

    Args:
        cohort: With or without splits.
        folds: 1 for a single division, k for k folds.
        validation: Share of the development subjects that validates where `folds` is 1.
        test: Share of all subjects that is kept from the search, 0 for none.
        seed: Of the draw.

    Raises:
        ValueError: If a number is out of range, or a class has too few subjects (or groups) to be in every part.
    """
    labels = [int(label) for label in cohort.labels]
    held_out = () if cohort.splits is None else cohort.splits.test
    plan = SplitPlan(folds, validation, test, seed)
    names = [cohort.classes[label] for label in labels]
    return replace(cohort, splits=divide(cohort.subjects, names, cohort.groups, plan=plan, held_out=held_out))


def divide(
    subjects: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[str] | None,
    *,
    plan: SplitPlan,
    held_out: Sequence[str] = (),
) -> Splits:
    """Return the splits of some subjects.

    Args:
        subjects: Unique ids.
        labels: Class of each.
        groups: Group of each that no part may share with another, or `None`.
        plan: How many parts of which size.
        held_out: Test subjects that are already chosen; if any, no others are drawn.

    Raises:
        ValueError: If a class has too few subjects (or groups) to be in every part.
    """
    order = np.argsort(np.array(subjects, dtype=str))
    classes = sorted(set(labels))
    indices = np.array([classes.index(label) for label in labels], dtype=np.int64)
    alone = groups is None or len(set(groups)) == len(groups)  # a group each is no group
    grouping = None if alone else np.array(groups, dtype=str)[order]
    everybody = _People(np.array(subjects, dtype=str)[order], indices[order], grouping)
    chosen = np.isin(everybody.ids, list(held_out))
    development, test = everybody.take(np.flatnonzero(~chosen)), everybody.take(np.flatnonzero(chosen))
    if not len(test) and plan.test > 0:
        rest, drawn = _part(development, plan.test, "test", plan.seed)
        development, test = development.take(rest), development.take(drawn)
        _check_holds_each_class(test, classes)
    pairs = _folds(development, plan)
    parts = [(development.take(train), development.take(validation)) for train, validation in pairs]
    for part in (people for pair in parts for people in pair):
        _check_holds_each_class(part, classes)
    return Splits(tuple(Fold(_ids(train), _ids(validation)) for train, validation in parts), _ids(test))


def _folds(people: _People, plan: SplitPlan) -> list[tuple[Positions, Positions]]:
    if plan.folds == 1:
        return [_part(people, plan.validation, "validation", plan.seed)]
    _check_enough(people, plan.folds, f"{plan.folds} folds")
    if people.groups is None:
        splitter = StratifiedKFold(plan.folds, shuffle=True, random_state=plan.seed)
        return list(splitter.split(people.ids, people.labels))
    return _group_folds(people, plan.folds, plan.seed)


def _part(people: _People, share: float, name: str, seed: int) -> tuple[Positions, Positions]:
    """Return the positions of the rest and of a part of about `share` of the people."""
    _check_enough(people, 2, f"a {name} part beside the rest")
    if people.groups is None:
        n_classes = len(np.unique(people.labels))
        size = min(max(round(share * len(people)), n_classes), len(people) - n_classes)
        splitter = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
        rest, part = next(splitter.split(people.ids, people.labels))
        return np.sort(rest), np.sort(part)
    most = min(10, len(np.unique(people.groups)), int(np.unique(people.labels, return_counts=True)[1].min()))
    ratio = Fraction(share).limit_denominator(most)
    parts = max(ratio.denominator, 2)
    taken = min(max(ratio.numerator, 1), parts - 1)
    part = np.sort(np.concatenate([drawn for _, drawn in _group_folds(people, parts, seed)[:taken]]))
    return np.setdiff1d(np.arange(len(people)), part), part


def _group_folds(people: _People, folds: int, seed: int) -> list[tuple[Positions, Positions]]:
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer subjects than parts matters only if a part of ours then lacks it, which is checked afterwards.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return list(splitter.split(people.ids, people.labels, people.groups))


def _check_enough(people: _People, least: int, parts: str) -> None:
    counts = np.bincount(people.labels)
    if not len(people) or counts[counts > 0].min() < least:
        fewest = int(counts[counts > 0].min()) if len(people) else 0
        raise ValueError(
            f"`folds` must leave a subject of each class for {parts}, but a class has {fewest} subjects to divide."
        )
    if people.groups is not None and len(np.unique(people.groups)) < least:
        raise ValueError(f"`group` must name at least {least} groups for {parts}, but got {len(np.unique(people.groups))}.")


def _check_holds_each_class(people: _People, classes: Sequence[str]) -> None:
    missing = sorted(set(range(len(classes))) - set(people.labels.tolist()))
    if missing:
        reason = "groups must not be torn apart" if people.groups is not None else "a class has too few subjects"
        raise ValueError(
            f"`folds` must leave subjects of each class in every part, but a part would hold none of {classes[missing[0]]!r}: "
            f"{reason}."
        )


def _ids(people: _People) -> tuple[str, ...]:
    return tuple(str(subject) for subject in people.ids)
