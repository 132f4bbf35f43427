"""Comparisons of modules: what each point is worth with each module, on the same subjects. Plain data and pandas tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.bootstrap import unit_weights
from nas_fusion.analysis.costs import cost_in_all
from nas_fusion.analysis.scores import Array
from nas_fusion.record import Evaluation, Predictions
from nas_fusion.space import Configuration, SearchSpace

RESAMPLES = 2000


class Model(NamedTuple):
    """A configuration's evaluation by the rule that is common to all, and its predictions of the validation subjects."""

    evaluation: Evaluation
    validation: Predictions


@dataclass(frozen=True)
class ModuleComparison:
    """Arms that keep to one module each, a search over all modules jointly, and what they are compared by.

    A *module* is a choice that every point offers; where a choice names the modalities that meet, it is a module of its own.

    Attributes:
        comparison: All searches as arms of the space of all modules, `<module>-<sampler>` and `joint-<sampler>`, then the
            baseline and the references. Regret is on the landscape of the arm's own module.
        modules: What is compared, at least two.
        models: Configuration to what came of it by one rule, `comparison.landscape_inherit`: the baseline, every module at
            every single point, whatever a search selected, and all subsets of points where an arm was exhaustive.
        searches: Module to the arms that keep to it.
        joint: Arms that choose among all modules.
    """

    comparison: Comparison
    modules: tuple[str, ...]
    models: Mapping[Configuration, Model]
    searches: Mapping[str, tuple[Arm, ...]]
    joint: tuple[Arm, ...] = ()

    @property
    def space(self) -> SearchSpace:
        """The space of all modules."""
        return self.comparison.space

    @property
    def points(self) -> tuple[str, ...]:
        """The names of the points, in the space's order."""
        return tuple(self.space.parameters)

    def single(self, module: str, point: str) -> Configuration:
        """Return the configuration with a module at one point."""
        return self.space.complete({point: module})

    def of_module(self, module: str) -> list[Configuration]:
        """Return the configurations that are known of a module, those with nothing active left out, by index."""
        own = [c for c in self.models if set(self.space.active(c).values()) == {module}]
        return sorted(own, key=self.space.index)

    def is_complete(self, module: str) -> bool:
        """Return whether every subset of points is known of a module."""
        return len(self.of_module(module)) + 1 >= 2 ** len(self.points)

    def best(self, module: str) -> Configuration | None:
        """Return the known configuration of a module with the lowest loss, of equal ones that with the fewest points."""
        known, losses = self.of_module(module), self.losses.mean
        ranked = sorted(known, key=lambda c: (losses[c], len(self.space.active(c)), self.space.index(c)))
        return next(iter(ranked), None)

    @cached_property
    def losses(self) -> SubjectLosses:
        """The losses of all models, subject by subject."""
        return SubjectLosses({configuration: model.validation for configuration, model in self.models.items()})


class SubjectLosses:
    """Losses of several models on the same subjects: the mean over its rows where a subject was predicted several times.

    Args:
        predictions: Configuration to predictions.

    Attributes:
        rows: Configuration to losses `(subjects,)`, subjects sorted by id.
        mean: Configuration to the mean of these, in nats.

    Raises:
        ValueError: If there is none, or they do not predict the same subjects.
    """

    def __init__(self, predictions: Mapping[Configuration, Predictions]) -> None:
        if not predictions:
            raise ValueError("`predictions` must be those of at least one model, but got none.")
        first = next(iter(predictions.values()))
        self._subjects, index = np.unique(np.array(first.subjects), return_index=True)
        self._labels = first.labels[index]
        self._units = first.units[index]
        self.rows: dict[Configuration, Array] = {c: self._by_subject(each) for c, each in predictions.items()}
        self.mean: dict[Configuration, float] = {c: float(row.mean()) for c, row in self.rows.items()}
        self._draws: tuple[tuple[int, int], Array] | None = None

    def _by_subject(self, predictions: Predictions) -> Array:
        subjects, rows = np.unique(np.array(predictions.subjects), return_inverse=True)
        if not np.array_equal(subjects, self._subjects):
            raise ValueError("`predictions` must be of the same subjects for every model, but they differ.")
        return np.asarray(np.bincount(rows, weights=predictions.losses) / np.bincount(rows))

    def drawn(self, configurations: list[Configuration], *, resamples: int = RESAMPLES, seed: int = 0) -> Array:
        """Return the mean loss of some models in each bootstrap resample of the subjects `(resamples, configurations)`.

        Subjects are drawn within their class, the same ones for every model.
        """
        if self._draws is None or self._draws[0] != (resamples, seed):
            self._draws = (resamples, seed), self._weights(resamples, seed)
        return np.asarray(self._draws[1] @ np.stack([self.rows[c] for c in configurations], axis=1))

    def _weights(self, resamples: int, seed: int) -> Array:
        weights = unit_weights(self._units, self._labels, resamples, seed)
        return weights / weights.sum(axis=1, keepdims=True)


def point_table(
    result: ModuleComparison, *, resamples: int = RESAMPLES, confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Return one row for each module at each single point, indexed by `module` and `point`.

    Columns: `loss`, the mean over the validation subjects, and `gain`, by how much it is below the baseline's, each with its
    percentile bootstrap interval over subjects (`loss_low`, `loss_high`, `gain_low`, `gain_high`); `is_best`, whether no other
    point of the module has a lower loss; `share_best`, the share of the resamples of which that is true (equal points share
    it); `runs_best` of `runs`, the number of trainings (folds and seeds) of which it is true; `parameters` and `flops` of the
    model, `epochs` that it was trained for, `lineage_epochs` with those that it inherits. What is not known is not a number.

    Args:
        result: What was compared.
        resamples: Of the bootstrap.
        confidence: Of its intervals, in (0, 1).
        seed: Of its draws.
    """
    rows = [row for module in result.modules for row in _rows_of(result, module, resamples, confidence, seed)]
    return pd.DataFrame(rows).set_index(["module", "point"])


def module_table(result: ModuleComparison, *, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Return one row a module, indexed by `module`.

    Columns: `best_point` and its `share_best`, see `point_table`; `best`, the points of the configuration of the lowest loss
    among the `known` ones, with its `loss` and its `gain` over the baseline (`gain_low` and `gain_high` do not allow for that
    choice); `complete`, whether all subsets of points are known; `parameters` and `flops` that the
    module adds to the baseline at its best point; `epochs` that all its known models and what they inherit from were trained.
    """
    table = point_table(result, confidence=confidence, seed=seed)
    rows = {}
    for module in result.modules:
        own, best, known = table.loc[module], result.best(module), result.of_module(module)
        first = own[own["is_best"]].iloc[:1]
        rows[module] = {
            "best_point": first.index[0] if len(first) else "",
            "share_best": first["share_best"].iloc[0] if len(first) else math.nan,
            "best": "" if best is None else " + ".join(result.space.active(best)),
            **(_estimates(result, best, RESAMPLES, confidence, seed) if best is not None else _UNKNOWN),
            "known": len(known),
            "complete": result.is_complete(module),
            "parameters": _added(result, first, "parameters"),
            "flops": _added(result, first, "flops"),
            "epochs": cost_in_all([result.models[c].evaluation for c in known], "epochs"),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("module")


_ENDS = ("", "_low", "_high")
_UNKNOWN = {f"{name}{end}": math.nan for name in ("loss", "gain") for end in _ENDS}
_COSTS = ("parameters", "flops", "epochs", "lineage_epochs")


def _rows_of(result: ModuleComparison, module: str, resamples: int, confidence: float, seed: int) -> list[dict[str, object]]:
    singles = {point: result.single(module, point) for point in result.points}
    known = [c for c in singles.values() if c in result.models]
    shares = best_shares(result.losses.drawn(known, resamples=resamples, seed=seed)) if known else np.empty(0)
    of_runs = np.stack([losses_by_run(result.models[c].validation) for c in known], axis=1) if known else np.empty((0, 0))
    lowest = min((result.losses.mean[c] for c in known), default=math.nan)
    rows: list[dict[str, object]] = []
    for point, c in singles.items():
        is_known = c in result.models
        cost = result.models[c].evaluation.cost if is_known else {}
        rows.append(
            {
                "module": module,
                "point": point,
                **(_estimates(result, c, resamples, confidence, seed) if is_known else _UNKNOWN),
                "is_best": is_known and result.losses.mean[c] == lowest,
                "share_best": float(shares[known.index(c)]) if is_known else math.nan,
                "runs_best": float(best_shares(of_runs)[known.index(c)] * len(of_runs)) if is_known else math.nan,
                "runs": len(of_runs),
                **{name: cost.get(name, math.nan) for name in _COSTS},
            }
        )
    return rows


def best_shares(losses: npt.NDArray[np.float64]) -> Array:
    """Return in which share of the rows each column has the lowest loss `(columns,)`; equal ones share a row."""
    lowest = losses == losses.min(axis=1, keepdims=True)
    return np.asarray((lowest / lowest.sum(axis=1, keepdims=True)).mean(axis=0))


def losses_by_run(predictions: Predictions) -> Array:
    """Return the mean loss of each training, fold after fold, in a fold seed after seed."""
    seed = np.zeros_like(predictions.fold) if predictions.seed is None else predictions.seed
    _, run = np.unique(np.stack([predictions.fold, seed]), axis=1, return_inverse=True)
    return np.asarray(np.bincount(run.ravel(), weights=predictions.losses) / np.bincount(run.ravel()))


def _estimates(
    result: ModuleComparison, configuration: Configuration, resamples: int, confidence: float, seed: int
) -> dict[str, float]:
    """Return the loss of a model and its gain over the baseline, with intervals; not a number without a baseline."""
    baseline, tails = result.space.baseline, [(1 - confidence) / 2, (1 + confidence) / 2]
    both = [configuration, *([baseline] if baseline in result.models else [])]
    drawn = result.losses.drawn(both, resamples=resamples, seed=seed)
    found = {"loss": (result.losses.mean[configuration], *np.quantile(drawn[:, 0], tails))}
    if len(both) == 2:
        gain = result.losses.mean[baseline] - result.losses.mean[configuration]
        found["gain"] = (gain, *np.quantile(drawn[:, 1] - drawn[:, 0], tails))
    values = {f"{name}{end}": float(value) for name, three in found.items() for end, value in zip(_ENDS, three, strict=True)}
    return _UNKNOWN | values


def _added(result: ModuleComparison, first: pd.DataFrame, cost: str) -> float:
    baseline = result.models.get(result.space.baseline)
    if baseline is None or not len(first):
        return math.nan
    return float(first[cost].iloc[0]) - baseline.evaluation.cost.get(cost, math.nan)
