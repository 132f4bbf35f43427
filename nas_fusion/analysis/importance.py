"""Importance of parameters for Optuna: Shapley effects, which give parameters their due that matter only together."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.importance import BaseImportanceEvaluator
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial, TrialState
from scipy.linalg import helmert

from nas_fusion.analysis.anova import differ, shapley_shares, variance_components
from nas_fusion.analysis.factors import Factor
from nas_fusion.analysis.kernel_effects import kernel_effects
from nas_fusion.analysis.landscape import Landscape
from nas_fusion.space import Configuration

Array = npt.NDArray[np.floating]
Target = Callable[[FrozenTrial], float]

_LARGEST_GRID = 2**14
_MOST_TRIALS = 256  # of a Gaussian process: of more, so many are drawn
_TREES = 64
_FEWEST_FOR_LINEAR = 10


class ShapleyImportanceEvaluator(BaseImportanceEvaluator):
    """Importance of a parameter as its Shapley effect: the variance that it makes, with its part in every interaction.

    A share of variance that several parameters make only together is divided equally among them, so a pair that matters only
    together is found, where evaluators that look at one parameter at a time give both of it nothing. Importances are at least
    0 and sum to 1 (or are all 0). Parameters count as independent and uniform on their ranges, on a log scale where they have
    one.

    - Every combination of finitely many values was evaluated: exact, from the functional ANOVA of the table (of repeated trials
      the mean counts).
    - Choices only, some of their combinations evaluated: from a model of all combinations, second-order terms chosen by
      cross-validated lasso and extremely randomised trees for what these leave.
    - Otherwise: the exact effects of the mean of a Gaussian process, fitted to at most 256 trials.

    A model shows what the trials show: with few of them, or trials crowded around the optimum, importances are rough.
    With several objectives and no target, the importances are the means over objectives.

    Sources: Owen 2014 (doi 10.1137/130936233); Song, Nelson and Staum 2016 (doi 10.1137/15M1048070).

    Args:
        conditional: `False`: as most of Optuna's evaluators, look at the parameters that all completed trials have. `True`: at
            all that occur, where *absent* is one more value of a parameter, as probable as it is frequent.
        seed: Of the models: the same trials give the same importances.

    Example:
        >>> optuna.importance.get_param_importances(study, evaluator=ShapleyImportanceEvaluator())
    """

    def __init__(self, *, conditional: bool = False, seed: int = 0) -> None:
        self._conditional, self._seed = conditional, seed

    def evaluate(
        self, study: optuna.Study, params: list[str] | None = None, *, target: Target | None = None
    ) -> dict[str, float]:
        """Return the importance of each parameter, the most important first; see `optuna.importance.get_param_importances`.

        Raises:
            TypeError: If `params` is no list of strings.
            ValueError: If a parameter of `params` is in no completed trial (or all of them in none), or its range changes.
        """
        completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        distributions = self._distributions(study, completed, params)
        if not self._conditional:
            completed = [trial for trial in completed if distributions.keys() <= trial.params.keys()]
        targets = [target] if target else [_value(objective) for objective in range(len(study.directions))]
        found = np.mean([self._shares(completed, distributions, each) for each in targets], axis=0)
        return dict(sorted(zip(distributions, found.tolist(), strict=True), key=lambda item: -item[1]))

    def _distributions(
        self, study: optuna.Study, completed: Sequence[FrozenTrial], params: list[str] | None
    ) -> dict[str, BaseDistribution]:
        if params is None and not self._conditional:
            return intersection_search_space(study.get_trials(deepcopy=False))
        if params is not None and (not isinstance(params, list | tuple) or not all(isinstance(p, str) for p in params)):
            raise TypeError(f"`params` must be a list of strings, but got {params!r}.")
        if params and not self._conditional:
            completed = [trial for trial in completed if set(params) <= trial.distributions.keys()]
        ranges: dict[str, list[BaseDistribution]] = {}
        for trial in completed:
            for name, distribution in trial.distributions.items():
                if distribution not in ranges.setdefault(name, []):
                    ranges[name].append(distribution)
        if params is None:
            return {name: ranges[name][0] for name in sorted(ranges) if len(ranges[name]) == 1}
        for name in params:
            if len(ranges.get(name, ())) != 1:
                rule = "keep its range" if name in ranges else "be in a completed trial, with the others"
                raise ValueError(f"`params` must name parameters that each {rule}, but got {name!r} of {params}.")
        return {name: ranges[name][0] for name in sorted(params)}

    def _shares(self, completed: Sequence[FrozenTrial], distributions: dict[str, BaseDistribution], target: Target) -> Array:
        trials = [trial for trial in completed if math.isfinite(target(trial))]
        varied = [name for name, distribution in distributions.items() if not distribution.single()]
        shares = np.zeros(len(distributions))
        if len(trials) < 2 or not varied:
            return shares
        values = np.array([target(trial) for trial in trials], dtype=float)
        if not differ(values):
            return shares
        factors = [Factor(distributions[name], sum(name not in t.params for t in trials) / len(trials)) for name in varied]
        rows = [[trial.params.get(name) for name in varied] for trial in trials]
        shares[[name in varied for name in distributions]] = self._effects(factors, rows, values)
        return shares

    def _effects(self, factors: Sequence[Factor], rows: Sequence[Sequence[Any]], values: Array) -> Array:
        table = _table(factors, rows, values)
        if table is not None and not np.isnan(table).any():
            return shapley_shares(variance_components(table))
        encoded = [factor.encode(column) for factor, column in zip(factors, zip(*rows, strict=True), strict=True)]
        if table is not None and all(isinstance(factor.distribution, CategoricalDistribution) for factor in factors):
            return shapley_shares(variance_components(self._completed(table, encoded, values)))
        if len(values) > _MOST_TRIALS:
            drawn = np.random.default_rng(self._seed).choice(len(values), size=_MOST_TRIALS, replace=False)
            encoded, values = [inputs[drawn] for inputs in encoded], values[drawn]
        effects = kernel_effects(factors, encoded, values, seed=self._seed)
        return effects / effects.sum() if effects.sum() > 0 else effects

    def _completed(self, table: Array, encoded: Sequence[Array], values: Array) -> Array:
        """Return what a model says of every combination of choices, in the shape of the table."""
        from sklearn.ensemble import ExtraTreesRegressor

        everywhere = np.indices(table.shape).reshape(table.ndim, -1)
        contrasts = [helmert(levels, full=True)[1:].T * math.sqrt(levels) for levels in table.shape]
        inputs = np.hstack([rows @ contrast for rows, contrast in zip(encoded, contrasts, strict=True)])
        grid = np.hstack([contrast[levels] for levels, contrast in zip(everywhere, contrasts, strict=True)])
        predicted = np.zeros(len(grid))
        if len(values) >= _FEWEST_FOR_LINEAR:
            linear = _sparse_second_order(inputs, values)
            values, predicted = values - linear.predict(inputs), linear.predict(grid)
        predicted += ExtraTreesRegressor(_TREES, random_state=self._seed).fit(inputs, values).predict(grid)
        return predicted.reshape(table.shape)


def importance_table(landscape: Landscape, *, seed: int = 0) -> pd.DataFrame:
    """Return our importances beside Optuna's, of a study that has evaluated every configuration of a landscape.

    Args:
        landscape: Usually complete.
        seed: Of the evaluators that draw.

    Returns:
        A row a parameter, a column an evaluator: `shapley` (ours), `ped_anova` (Optuna's default), `fanova` and
        `mean_decrease_impurity`; each column sums to 1.

    Raises:
        ValueError: If all losses are equal: then nothing is important.
    """
    if not differ(np.array(list(landscape.losses.values()))):
        raise ValueError("`landscape` must have losses that differ, but got equal ones for all configurations.")
    evaluators: dict[str, BaseImportanceEvaluator] = {
        "shapley": ShapleyImportanceEvaluator(seed=seed),
        "ped_anova": optuna.importance.PedAnovaImportanceEvaluator(),
        "fanova": optuna.importance.FanovaImportanceEvaluator(seed=seed),
        "mean_decrease_impurity": optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=seed),
    }
    study = as_study(landscape)
    columns = {
        name: optuna.importance.get_param_importances(study, evaluator=evaluator) for name, evaluator in evaluators.items()
    }
    return pd.DataFrame(columns, index=list(landscape.space.parameters))


def as_study(landscape: Landscape) -> optuna.Study:
    """Return a study in memory whose completed trials are the configurations of a landscape, by index.

    Of a complete landscape it has a trial for every combination of choices, those that are not canonical with the loss of their
    canonical form: without them, importances would have to guess at what a parameter does where it is without effect.
    """
    study = optuna.create_study()
    distributions: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(choices) for name, choices in landscape.space.parameters.items()
    }
    study.add_trials(
        [
            optuna.trial.create_trial(value=loss, params=dict(configuration), distributions=distributions)
            for configuration, loss in _combinations(landscape)
        ]
    )
    return study


def _combinations(landscape: Landscape) -> Iterator[tuple[Configuration, float]]:
    space = landscape.space
    if not (space.is_constrained and landscape.complete):
        yield from landscape.losses.items()
        return
    for configuration in map(space.configuration, range(space.size)):
        yield configuration, landscape.loss(configuration)


def _value(objective: int) -> Target:
    def value(trial: FrozenTrial) -> float:
        return float(trial.values[objective])

    return value


def _table(factors: Sequence[Factor], rows: Sequence[Sequence[Any]], values: Array) -> Array | None:
    """Return the mean value of each combination of levels, NaN where none was evaluated; `None` for too many of them."""
    levels = [factor.levels for factor in factors]
    if None in levels or math.prod(count or 1 for count in levels) > _LARGEST_GRID:
        return None
    cells = tuple(np.array([factor.level(row[i]) for row in rows]) for i, factor in enumerate(factors))
    total, count = (np.zeros([count or 1 for count in levels]) for _ in range(2))
    np.add.at(total, cells, values)
    np.add.at(count, cells, 1)
    with np.errstate(invalid="ignore"):
        return total / count


def _sparse_second_order(inputs: Array, values: Array) -> Any:
    """Return a linear model of the columns and their products, its terms chosen by lasso with five folds."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LassoCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    model = make_pipeline(PolynomialFeatures(2, interaction_only=True, include_bias=False), LassoCV(cv=5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(inputs, values)
