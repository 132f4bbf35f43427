"""The landscape: the loss of every configuration of a space, the ground truth that samplers are compared on."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd

from nas_fusion import history
from nas_fusion.analysis.landscape_table import Loss, Runs, frame_of, read_table, runs_of
from nas_fusion.space import Configuration, SearchSpace

Space = SearchSpace | Mapping[str, Sequence[str]]


class Landscape:
    """A table from configuration to loss. It is an Optuna objective that costs nothing: `study.optimize(landscape)`.

    Where a configuration was trained in several folds, or with several seeds, its loss is their mean and `samples` tells what
    it is the mean of. As an objective the landscape then writes them on the trial (`write_losses`), for samplers that decide
    under noise.

    Example:
        >>> space = SearchSpace({"layer1": ["none", "mmtm"], "layer2": ["none", "mmtm"]})
        >>> landscape = Landscape.from_function(lambda c: 1.0 - 0.5 * (c["layer2"] == "mmtm"), space)
        >>> space.active(landscape.optimum), landscape.regret(space.baseline)
        ({'layer2': 'mmtm'}, 0.5)

    Args:
        losses:
            Configuration to loss: a finite number, a sequence of one a fold (or one a seed where there is one fold), or a
            nested sequence `(seeds, folds)`. Configurations may be missing: see `complete`.
        space:
            The search space, or a plain mapping of choices.

    Attributes:
        space: The search space.
        losses: Canonical configuration to mean loss, by index.

    Raises:
        ValueError: If there is no loss, a loss is not finite, a configuration is not one of the space, or two of them are the
            same by their canonical form and have different losses.
    """

    def __init__(self, losses: Mapping[Configuration, Loss], space: Space) -> None:
        self.space = SearchSpace.of(space)
        if not losses:
            raise ValueError("`losses` must hold at least one configuration, but got none.")
        table: dict[Configuration, Runs] = {}
        for configuration, loss in losses.items():
            self.space.check(configuration)
            runs = runs_of(loss, configuration)
            canonical = self.space.canonical(configuration)
            if table.setdefault(canonical, runs) != runs:
                known = _mean(table[canonical])
                raise ValueError(f"`losses` must give {dict(canonical)} one loss, but got {known} and {_mean(runs)}.")
        self._keep(dict(sorted(table.items(), key=lambda item: self.space.index(item[0]))))

    def _keep(self, table: dict[Configuration, Runs]) -> None:
        self.runs: Mapping[Configuration, Runs] = MappingProxyType(table)
        self.losses: Mapping[Configuration, float] = MappingProxyType({c: _mean(runs) for c, runs in table.items()})

    @classmethod
    def from_array(cls, losses: npt.ArrayLike, space: Space) -> Landscape:
        """Return the landscape of an array: the quickest way to make one.

        Args:
            losses: By index of the configuration: `(size,)`, `(size, folds)` or `(size, seeds, folds)`, finite.
            space: A space without constraints, so that each of its `size` configurations is canonical.

        Raises:
            ValueError: If the array has another shape, a loss is not finite, or the space is constrained.
        """
        space, array = SearchSpace.of(space), np.asarray(losses, dtype=float)
        if space.is_constrained:
            raise ValueError(f"`space` must have no parameter without effect, but got the constrained {type(space).__name__}.")
        if array.ndim not in (1, 2, 3) or len(array) != space.size or not array.size:
            raise ValueError(f"`losses` must have {space.size} rows of 0 to 2 axes, but got the shape {array.shape}.")
        if not np.isfinite(array).all():
            raise ValueError(f"`losses` must be finite, but got {array[~np.isfinite(array)][0]}.")
        rows = array.reshape(len(array), *((1,) * (3 - array.ndim)), *array.shape[1:]).tolist()
        landscape = cls.__new__(cls)
        landscape.space = space
        landscape._keep({c: tuple(map(tuple, row)) for c, row in zip(space.configurations(), rows, strict=True)})
        return landscape

    @classmethod
    def from_function(cls, function: Callable[[Configuration], Loss], space: Space) -> Landscape:
        """Return the landscape of a function, called once for every canonical configuration, by index.

        The function returns what the constructor takes: a loss, or one a fold, or `(seeds, folds)` of them.
        """
        space = SearchSpace.of(space)
        return cls({configuration: function(configuration) for configuration in space.configurations()}, space)

    @classmethod
    def from_study(cls, study: optuna.Study, space: Space) -> Landscape:
        """Return the landscape that a study's completed trials show, with the losses that were written on them.

        Of a configuration that was evaluated more than once, the trial with the lowest number counts: never the luckiest.

        Raises:
            ValueError: If the study does not minimise one value, or no trial was completed.
        """
        if study.directions != [optuna.study.StudyDirection.MINIMIZE]:
            raise ValueError(f"`study` must minimise one loss, but got {[d.name.lower() for d in study.directions]}.")
        space = SearchSpace.of(space)
        losses: dict[Configuration, Loss] = {}
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
            if trial.params.keys() >= space.parameters.keys() and math.isfinite(trial.values[0]):
                losses.setdefault(space.canonical(trial.params), history.losses_of(trial) or trial.values[0])
        if not losses:
            raise ValueError(f"`study` must have a completed trial of the space, but {study.study_name!r} has none.")
        return cls(losses, space)

    @classmethod
    def from_csv(cls, path: str | Path, space: Space | None = None) -> Landscape:
        """Return the landscape of a table: one column a parameter, perhaps `seed` and `fold`, and a column `loss`.

        Args:
            path: The file.
            space: The search space; without one, a parameter's choices are those in its column in the order in which they first
                appear, which is the space's own order in what `to_csv` wrote of a complete landscape.

        Raises:
            ValueError: If a column is missing or unknown, a loss is no finite number, a line occurs twice, or a configuration
                lacks a fold of one of its seeds.
        """
        choices, losses = read_table(path)
        return cls(losses, choices if space is None else space)

    @classmethod
    def pooled(cls, landscapes: Sequence[Landscape]) -> Landscape:
        """Return the landscape whose seeds are those of several landscapes of the same space, in their order.

        Configurations that one of them does not know are left out.

        Raises:
            ValueError: If there is none, or they have different spaces, folds, or no configuration in common.
        """
        if not landscapes:
            raise ValueError("`landscapes` must hold at least one landscape, but got none.")
        first = landscapes[0]
        for other in landscapes:
            if dict(other.space.parameters) != dict(first.space.parameters):
                raise ValueError(f"`landscapes` must have one space, but got {first.space!r} and {other.space!r}.")
        common = [c for c in first.runs if all(c in other.runs for other in landscapes)]
        if not common:
            raise ValueError("`landscapes` must have a configuration in common, but got none.")
        return cls({c: tuple(row for other in landscapes for row in other.runs[c]) for c in common}, first.space)

    def to_csv(self, path: str | Path) -> None:
        """Write the table by index, losses with all their digits: a line a configuration, or one each seed and fold of it.

        Raises:
            ValueError: If a parameter is named `seed`, `fold` or `loss`.
        """
        self.frame().to_csv(path, index=False)

    def frame(self) -> pd.DataFrame:
        """Return the table: one column a parameter, `seed` and `fold` where there are several, and `loss`; rows by index.

        Raises:
            ValueError: If a parameter is named `seed`, `fold` or `loss`.
        """
        return frame_of(self.runs)

    # --- how much is known ---

    @property
    def complete(self) -> bool:
        """Whether the loss of every canonical configuration is known; `False` of a space that is too large to count them."""
        return len(self.losses) == self.space.n_configurations

    def check_complete(self) -> None:
        """Raise unless the landscape is complete.

        Raises:
            ValueError: If a configuration is missing.
        """
        if not self.complete:
            every = self.space.n_configurations or f"at most {self.space.size}"
            raise ValueError(f"`landscape` must be complete, but got {len(self)} of {every} configurations.")

    @property
    def samples(self) -> Mapping[Configuration, tuple[float, ...]]:
        """Configuration to what its loss is the mean of: one a fold (over seeds), or one a seed where there is one fold."""
        return self._samples

    @cached_property
    def _samples(self) -> Mapping[Configuration, tuple[float, ...]]:
        return MappingProxyType({configuration: _by_fold(runs) for configuration, runs in self.runs.items()})

    def standard_error(self, configuration: Mapping[str, str]) -> float:
        """Return sd / √n of a configuration's `samples` (sd with n - 1), in nats; NaN where there is only one.

        Raises:
            ValueError: If its loss is not known.
        """
        samples = self.samples[self._known(configuration)]
        return statistics.stdev(samples) / math.sqrt(len(samples)) if len(samples) > 1 else math.nan

    # --- the optimum ---

    @cached_property
    def optimum(self) -> Configuration:
        """The configuration of the lowest loss; of equal ones that with the fewest active parameters, then the lowest index."""
        return self.optima()[0]

    def optima(self, *, standard_errors: float = 0.0) -> tuple[Configuration, ...]:
        """Return the configurations that cannot be told from the optimum.

        These are those whose mean loss is at most the minimum plus so many standard errors of the optimum's mean (the
        one-standard-error rule); where the optimum has a single loss, those that equal it.

        Args:
            standard_errors: At least 0; with 0 only equal losses count.

        Returns:
            By loss, then the fewest active parameters, then index: the optimum first.

        Raises:
            ValueError: If `standard_errors` is negative or NaN.
        """
        if not standard_errors >= 0:
            raise ValueError(f"`standard_errors` must be at least 0, but got {standard_errors}.")
        lowest = min(self.losses.values())
        ties = sorted((c for c, loss in self.losses.items() if loss == lowest), key=self.rank)
        error = self.standard_error(ties[0]) if standard_errors else math.nan
        if math.isnan(error):
            return tuple(ties)
        limit = lowest + standard_errors * error
        return tuple(sorted((c for c, loss in self.losses.items() if loss <= limit), key=self.rank))

    def rank(self, configuration: Configuration) -> tuple[float, int, int]:
        """Return what decides which of two configurations is better, the lower: loss, number of active parameters, index."""
        return self.losses[configuration], len(self.space.active(configuration)), self.space.index(configuration)

    @property
    def minimum(self) -> float:
        """The lowest loss."""
        return self.losses[self.optimum]

    def loss(self, configuration: Mapping[str, str]) -> float:
        """Return the loss of a configuration.

        Raises:
            ValueError: If it is not known.
        """
        return self.losses[self._known(configuration)]

    def regret(self, configuration: Mapping[str, str]) -> float:
        """Return how far the loss of a configuration is above the minimum, 0 or more.

        Raises:
            ValueError: If its loss is not known.
        """
        return self.loss(configuration) - self.minimum

    def _known(self, configuration: Mapping[str, str]) -> Configuration:
        if isinstance(configuration, Configuration) and configuration in self.losses:
            return configuration
        self.space.check(configuration)
        canonical = self.space.canonical(configuration)
        if canonical not in self.losses:
            raise ValueError(f"`configuration` must be in the landscape, but got {dict(canonical)}, whose loss is not known.")
        return canonical

    @cached_property
    def array(self) -> npt.NDArray[np.float64]:
        """The losses as an array of one axis a parameter, in the space's order, each as long as the parameter has choices.

        A configuration that is not canonical has the loss of its canonical form.

        Raises:
            ValueError: If the landscape is not complete.
        """
        self.check_complete()
        if self.space.is_constrained:
            losses = [self.loss(self.space.configuration(index)) for index in range(self.space.size)]
        else:
            losses = list(self.losses.values())
        array = np.array(losses).reshape([len(choices) for choices in self.space.parameters.values()], order="F")
        array.flags.writeable = False
        return array

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the loss of the configuration that a trial suggests: an Optuna objective.

        Where it has several samples, they are written on the trial.
        """
        configuration = self._known(self.space.suggest(trial))
        if len(self.samples[configuration]) > 1:
            history.write_losses(trial, self.samples[configuration])
        return self.losses[configuration]

    def __len__(self) -> int:
        return len(self.losses)

    def __repr__(self) -> str:
        every = self.space.n_configurations or f"at most {self.space.size}"
        return f"Landscape({len(self)} of {every} configurations, minimum {self.minimum:.4g})"


def _mean(runs: Runs) -> float:
    return runs[0][0] if len(runs) == len(runs[0]) == 1 else statistics.fmean(loss for folds in runs for loss in folds)


def _by_fold(runs: Runs) -> tuple[float, ...]:
    if len(runs) == 1:
        return runs[0]
    if len(runs[0]) == 1:
        return tuple(folds[0] for folds in runs)
    return tuple(statistics.fmean(fold) for fold in zip(*runs, strict=True))
