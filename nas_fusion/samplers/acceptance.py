"""Whether a move is an improvement, and what is selected in the end: pure functions of the losses of folds or training seeds.

A loss of this file is what a value is the mean of: of a fold (the mean over its training seeds), or of a training seed where
there is one fold. No losses at all mean that nothing finite is known: worse than anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_fusion.resampling import corrected_error
from nas_fusion.samplers.checks import is_finite

RULES = ("best", "one_se", "paired")
_ROUNDING = 8 * float(np.finfo(np.float64).eps)  # relative: differences below it are none


@dataclass(frozen=True)
class Acceptance:
    """How much better is better.

    Attributes:
        rule: `best` compares means. `one_se` does so too, and selects the smallest of all that are within one standard error of
            the best. `paired` accepts what is significantly better in a paired test.
        tolerance: How much lower than the incumbent's a mean must be, in the unit of the losses, finite, at least 0; with
            `paired` this shifts the hypothesis that is tested.
        level: Of the one-sided test of `paired`, in (0, 0.5): how often at most one move that is no improvement passes for one.
            It allows for one comparison; whoever tests the best of m candidates and wants the level to hold for all m of them
            together gives level / m (Bonferroni).

    Raises:
        ValueError: If something is out of its range.

    Example:
        >>> Acceptance("paired").improves([0.50, 0.52, 0.49, 0.51], [0.60, 0.63, 0.58, 0.62])
        True
    """

    rule: str = "best"
    tolerance: float = 0.0
    level: float = 0.05

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"`accept` must be one of {', '.join(RULES)}, but got {self.rule!r}.")
        if not (is_finite(self.tolerance) and self.tolerance >= 0):
            raise ValueError(f"`tolerance` must be a finite number of at least 0, but got {self.tolerance!r}.")
        if not (is_finite(self.level) and 0 < self.level < 0.5):
            raise ValueError(f"`level` must be in (0, 0.5), but got {self.level!r}.")

    def improves(self, candidate: Sequence[float], incumbent: Sequence[float]) -> bool:
        """Return whether a candidate is an improvement on an incumbent.

        Args:
            candidate: Its losses, to be minimised; empty if nothing finite is known: then it is none.
            incumbent: Those of the same folds or seeds in the same order; empty: then any candidate is one.

        Raises:
            ValueError: If the rule is `paired` and there are fewer than two losses, or unequal numbers of them.
        """
        if not candidate:
            return False
        if self.rule == "paired":
            _check_pairs(candidate, incumbent or candidate)
            return not incumbent or paired_p_value(candidate, incumbent, tolerance=self.tolerance) <= self.level
        return mean(candidate) < mean(incumbent) - self.tolerance

    def select(self, costs: Sequence[Sequence[float]], sizes: Sequence[int]) -> int:
        """Return the position of what is selected among all that a search used.

        Args:
            costs: Losses of each, to be minimised, in the order of preference (the best first).
            sizes: Number of active parameters of each.

        Returns:
            0; with `one_se` the position of the fewest active parameters within one standard error of the first one's mean,
            the first of several.

        Raises:
            ValueError: If there is nothing to select from, the numbers differ, or the rule is `one_se` and the first has fewer
                than two losses.
        """
        if not costs or len(costs) != len(sizes):
            raise ValueError(f"`costs` and `sizes` must be as many, at least one, but got {len(costs)} and {len(sizes)}.")
        if self.rule != "one_se" or not costs[0]:
            return 0
        if len(costs[0]) < 2:
            raise ValueError(
                f'`accept="one_se"` must be given the losses of at least two folds or training seeds, but got {len(costs[0])}.'
            )
        limit = mean(costs[0]) + standard_error(costs[0])
        near = [position for position, losses in enumerate(costs) if position == 0 or mean(losses) <= limit]
        return min(near, key=lambda position: sizes[position])


def mean(losses: Sequence[float]) -> float:
    """Return the mean of losses, infinite for none."""
    return float(np.mean(losses)) if losses else math.inf


def standard_error(losses: Sequence[float]) -> float:
    """Return the standard error of the mean of n losses: their standard deviation (of a sample, n - 1) over the root of n.

    It takes the losses for independent, which those of folds with overlapping training sets are not quite. mlxtend's
    `k_features="parsimonious"` takes another margin: the smaller subset's own standard deviation (of a population) divided by
    n, less than this by about the root of n, and once more from each subset that it has gone down to.

    Raises:
        ValueError: If there are fewer than two.
    """
    if len(losses) < 2:
        raise ValueError(f"`losses` must be of at least two folds or training seeds for an error, but got {len(losses)}.")
    return float(np.std(losses, ddof=1)) / math.sqrt(len(losses))


def paired_p_value(candidate: Sequence[float], incumbent: Sequence[float], *, tolerance: float = 0.0) -> float:
    """Return the one-sided p-value of the corrected resampled t-test that a candidate is better by more than a tolerance.

    The losses of k folds are not independent, since their training sets overlap: see `corrected_error`. In k-fold
    cross-validation n_test/n_train is 1/(k - 1). **That ratio is assumed here**, so the numbers must be those of the k folds
    of one cross-validation. For k training seeds of one split, where nothing overlaps and no other subjects were drawn, the
    same formula is only cautious, and its answer is about these subjects.

    Args:
        candidate: Losses `(k,)`, at least two.
        incumbent: Losses `(k,)` of the same folds.
        tolerance: Added to the candidate's losses.

    Returns:
        In [0, 1]. Where all differences are equal up to rounding there is no variance to judge by: 0 if they are improvements,
        else 1.

    Raises:
        ValueError: If there are fewer than two losses, or unequal numbers of them.
    """
    from scipy.special import stdtr  # not at the top: it would make every import of the samplers slower

    _check_pairs(candidate, incumbent)
    gains: npt.NDArray[np.float64] = np.subtract(incumbent, candidate) - tolerance
    n, gain, deviation = len(gains), float(np.mean(gains)), float(np.std(gains, ddof=1))
    rounding = _ROUNDING * max(float(np.max(np.abs([candidate, incumbent]))), tolerance)
    if deviation <= rounding:
        return 0.0 if gain > rounding else 1.0
    return float(stdtr(n - 1, -gain / corrected_error(gains, test_ratio=1 / (n - 1))))


def _check_pairs(candidate: Sequence[float], incumbent: Sequence[float]) -> None:
    if len(candidate) < 2:
        raise ValueError(
            f'`accept="paired"` must be given the losses of at least two folds or training seeds, but got {len(candidate)}.'
        )
    if len(candidate) != len(incumbent):
        raise ValueError(
            '`accept="paired"` must compare losses of the same folds or training seeds, '
            f"but got {len(candidate)} and {len(incumbent)}."
        )
