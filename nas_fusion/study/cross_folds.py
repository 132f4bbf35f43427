"""The folds of a cross-validation: who is held out, who trains, and on whom epochs are selected; never the same subjects."""

from __future__ import annotations

from dataclasses import dataclass

from nas_fusion.cohorts import Cohort, Fold, Splits
from nas_fusion.cohorts.drawing import SplitPlan, divide
from nas_fusion.evaluation.keys import seed_of


@dataclass(frozen=True)
class CrossPlan:
    """How all subjects are divided.

    Attributes:
        folds: Parts of each division, each held out once, at least 2.
        repeats: Divisions, each drawn anew, at least 1.
        validation: Share of the subjects that are not held out on which epochs are selected, in (0, 0.5].
        seed: Of the divisions and the trainings.

    Raises:
        ValueError: If a number is out of its range.
    """

    folds: int = 10
    repeats: int = 1
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("folds", 2), ("repeats", 1), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"`{name}` must be a whole number of at least {least}, but got {value!r}.")
        if not isinstance(self.validation, float) or not 0 < self.validation <= 0.5:
            raise ValueError(f"`validation` must be a share above 0 and of at most 0.5, but got {self.validation!r}.")


@dataclass(frozen=True)
class OuterFold:
    """One part that is held out, and how the others are divided.

    Attributes:
        repeat: Which division, from 0.
        number: Which part, from 0.
        splits: One fold of training and validation subjects; the held-out part is `splits.test`.
        seed: Of the trainings of this fold: initialisation and order differ from fold to fold, so that what they change is in
            the spread over folds.
    """

    repeat: int
    number: int
    splits: Splits
    seed: int

    @property
    def label(self) -> str:
        """Which fold it is, for people, counted from 1."""
        return f"repeat {self.repeat + 1}, fold {self.number + 1}"


def outer_folds(cohort: Cohort, plan: CrossPlan) -> list[OuterFold]:
    """Return the folds of all divisions: stratified by class, groups never torn, in either division of each fold.

    Every subject is held out once in each repeat. The cohort's own splits play no part, the order of its subjects neither.

    Raises:
        ValueError: If a class has too few subjects (or groups) to be in every part, that for selecting epochs included.
    """
    return [
        OuterFold(
            repeat, number, _nested(cohort, held_out, plan, (repeat, number)), _draw(plan.seed, "training", repeat, number)
        )
        for repeat in range(plan.repeats)
        for number, held_out in enumerate(_parts(cohort, plan, repeat))
    ]


def _parts(cohort: Cohort, plan: CrossPlan, repeat: int) -> list[tuple[str, ...]]:
    """Return the parts of one division, each held out once."""
    drawn = SplitPlan(folds=plan.folds, test=0.0, seed=_draw(plan.seed, "outer", repeat))
    splits = divide(cohort.subjects, _classes(cohort), cohort.groups, plan=drawn)
    return [fold.validation for fold in splits.folds]


def _nested(cohort: Cohort, held_out: tuple[str, ...], plan: CrossPlan, part: tuple[int, int]) -> Splits:
    """Return the splits of one outer fold: who is not held out trains or validates."""
    apart = set(held_out)
    rest = [position for position, subject in enumerate(cohort.subjects) if subject not in apart]
    classes, groups = _classes(cohort), cohort.groups
    drawn = SplitPlan(validation=plan.validation, test=0.0, seed=_draw(plan.seed, "inner", *part))
    subjects = [cohort.subjects[i] for i in rest]
    try:
        inner = divide(subjects, [classes[i] for i in rest], None if groups is None else [groups[i] for i in rest], plan=drawn)
    except ValueError as error:
        raise ValueError(
            f"`validation` must be a share that holds subjects of each class, but {plan.validation:g} of the {len(rest)} that "
            f"are not held out does not (a larger share or fewer `folds` may): {error}"
        ) from None
    fold: Fold = inner.folds[0]
    assert not apart & {*fold.train, *fold.validation}, "held-out subjects must neither train nor validate"
    return Splits((fold,), held_out)


def _classes(cohort: Cohort) -> list[str]:
    return [cohort.classes[int(label)] for label in cohort.labels]


def _draw(seed: int, *what: str | int) -> int:
    """Return a seed in [0, 2^32) that derives from the plan's and what it is for."""
    return seed_of("cross-validation", seed, *what) % 2**32
