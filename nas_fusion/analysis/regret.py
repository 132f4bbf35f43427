"""Regret against cost: how far above the optimum a search would have stopped after each of its evaluations."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.costs import arm_costs
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.landscape import Landscape
from nas_fusion.analysis.naming import points
from nas_fusion.record import Evaluation
from nas_fusion.space import Configuration, SearchSpace

OPTIMUM, BEST_FOUND = "optimum", "best found"
_CLEAR = 2.0  # standard errors


@dataclass(frozen=True)
class Shortfall:
    """How far a configuration is above the optimum of a landscape.

    Attributes:
        regret: Its loss minus the minimum, in nats.
        standard_error: Of that difference, sample by sample (folds, or seeds where there is one fold); `None` where the
            landscape has one loss a configuration.
    """

    regret: float
    standard_error: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether it is more than training again would change: above 0.02 nats, and above two standard errors if known."""
        return self.regret > max(NEGLIGIBLE, _CLEAR * (self.standard_error or 0.0))

    @property
    def in_words(self) -> str:
        """The number with its standard error where there is one."""
        return f"{self.regret:.3f}" if self.standard_error is None else f"{self.regret:.3f} ± {self.standard_error:.3f}"


def shortfall(landscape: Landscape, configuration: Configuration) -> Shortfall:
    """Return how far a configuration is above a landscape's optimum.

    Raises:
        ValueError: If its loss is not known.
    """
    regret, optimum = landscape.regret(configuration), landscape.optimum
    ours, best = landscape.samples[landscape.space.canonical(configuration)], landscape.samples[optimum]
    if len(ours) < 2 or len(ours) != len(best):
        return Shortfall(regret)
    return Shortfall(regret, statistics.stdev(a - b for a, b in zip(ours, best, strict=True)) / math.sqrt(len(ours)))


def regret_error(comparison: Comparison, arm: Arm) -> float | None:
    """Return the standard error of an arm's regret, `None` without a landscape of several folds or seeds."""
    landscape = comparison.landscape
    if landscape is None or arm.best is None or arm.regret is None:
        return None
    return shortfall(landscape, arm.best).standard_error


def regret_curves(comparison: Comparison) -> pd.DataFrame:
    """Return one row for each evaluation of each search, in their order: what stopping there would have cost and brought.

    Columns: `arm`, `title`; `evaluation`, their number until then (what ended without a value is counted with the last);
    `points`, what was evaluated, and `loss`, its own, in nats; `epochs`, trained until then with all that is inherited, each
    training once; `best`, what the search would select then (the lowest loss of its own; of equal ones that with fewer active
    points, then the lower index; after the last evaluation what it did select);
    `regret`, in nats; `reference`, what the regret is measured from. That is the `optimum` of the common landscape where it is
    complete: then the regret is that of `best` on the landscape, and rises where a search's own losses mislead it. Otherwise it
    is the loss of the `best found` by any search, and the regret that of `best` as the search itself trained it.
    """
    landscape = comparison.landscape
    known = landscape is not None and landscape.complete
    every = [e.value for arm in comparison.searches for e in arm.evaluations if e.configuration and not e.is_control]
    lowest = min(every, default=math.nan)
    rows = []
    for arm in comparison.searches:
        steps = zip(arm.evaluations, arm_costs(arm, "epochs"), _selected(comparison.space, arm), strict=True)
        for number, (evaluation, epochs, best) in enumerate(steps, start=1):
            ended = len(arm.unfinished) if number == len(arm.evaluations) else 0
            regret = math.nan
            if best is not None and best.configuration is not None:
                regret = landscape.regret(best.configuration) if known and landscape else best.value - lowest
            rows.append(
                {
                    "arm": arm.name,
                    "title": arm.title,
                    "evaluation": number + ended,
                    "points": points(comparison.space, evaluation.configuration or {}) if evaluation.configuration else "",
                    "loss": evaluation.value,
                    "epochs": epochs,
                    "best": "" if best is None else points(comparison.space, best.configuration or {}),
                    "regret": regret,
                    "reference": OPTIMUM if known else BEST_FOUND,
                }
            )
    columns = ["arm", "title", "evaluation", "points", "loss", "epochs", "best", "regret", "reference"]
    return pd.DataFrame(rows, columns=columns)


def chance_regret(landscape: Landscape, draws: Sequence[int] | None = None) -> dict[int, float]:
    """Return the expected regret of the best of n configurations in random order.

    The k-th best of N is the best of n drawn ones with the probability C(N - k, n - 1) / C(N, n).

    Args:
        landscape: Of N configurations.
        draws: Numbers n in [1, N], all of them by default.

    Returns:
        Number n to the expected regret, in nats.

    Raises:
        ValueError: If a number is out of its range.
    """
    regrets = np.sort(np.fromiter(landscape.losses.values(), dtype=float)) - landscape.minimum
    total = len(regrets)
    draws = range(1, total + 1) if draws is None else draws
    if not all(1 <= n <= total for n in draws):
        raise ValueError(f"`draws` must hold numbers in [1, {total}], but got {list(draws)}.")
    return {n: float(_chances(n, total) @ regrets[: total - n + 1]) for n in draws}


def _chances(n: int, total: int) -> npt.NDArray[np.float64]:
    """The best is the first of all with n / N, the second with that times (N - n) / (N - 1), and so on."""
    ranks = np.arange(total - n)
    return n / total * np.concatenate([[1.0], np.cumprod((total - n - ranks) / (total - 1 - ranks))])


def _selected(space: SearchSpace, arm: Arm) -> Iterator[Evaluation | None]:
    best: Evaluation | None = None
    for number, evaluation in enumerate(arm.evaluations, start=1):
        if evaluation.configuration is not None and not evaluation.is_control:
            best = evaluation if best is None or _rank(space, evaluation) < _rank(space, best) else best
        yield arm.chosen or best if number == len(arm.evaluations) else best


def _rank(space: SearchSpace, evaluation: Evaluation) -> tuple[float, int, int]:
    assert evaluation.configuration is not None, "Should not reach."
    configuration = evaluation.configuration
    return evaluation.value, len(space.active(configuration)), space.index(configuration)
