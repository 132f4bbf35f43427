"""The landscape: the loss of every configuration of a space, the ground truth that samplers are compared on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from nas_fusion.space import Configuration, SearchSpace

if TYPE_CHECKING:
    import optuna

LOSS = "loss"


class Landscape:
    """A table from configuration to loss. It is an Optuna objective that costs nothing: `study.optimize(landscape)`.

    Example:
        >>> space = SearchSpace({"layer1": ["none", "mmtm"], "layer2": ["none", "mmtm"]})
        >>> landscape = Landscape.from_function(lambda c: 1.0 - 0.5 * (c["layer2"] == "mmtm"), space)
        >>> space.active(landscape.optimum), landscape.regret(space.baseline)
        ({'layer2': 'mmtm'}, 0.5)

    Args:
        losses:
            Configuration to loss, each a finite number. Configurations may be missing: see `complete`.
        space:
            The search space, or a plain mapping of choices.

    Raises:
        ValueError: If there is no loss, a loss is not finite, a configuration is not one of the space, or two of them are the
            same by their canonical form and have different losses.
    """

    def __init__(self, losses: Mapping[Configuration, float], space: SearchSpace | Mapping[str, Sequence[str]]) -> None:
        self.space = SearchSpace.of(space)
        if not losses:
            raise ValueError("`losses` must hold at least one configuration, but got none.")
        table: dict[Configuration, float] = {}
        for configuration, loss in losses.items():
            self.space.check(configuration)
            _check_finite(configuration, loss)
            canonical = self.space.canonical(configuration)
            if table.setdefault(canonical, float(loss)) != loss:
                raise ValueError(f"`losses` must give {dict(canonical)} one loss, but got {table[canonical]} and {loss}.")
        self.losses: Mapping[Configuration, float] = MappingProxyType(dict(sorted(table.items(), key=self._by_index)))

    @classmethod
    def from_function(
        cls, function: Callable[[Configuration], float], space: SearchSpace | Mapping[str, Sequence[str]]
    ) -> Landscape:
        """Return the landscape of a function, called once for every canonical configuration, by index."""
        space = SearchSpace.of(space)
        return cls({configuration: function(configuration) for configuration in space.configurations()}, space)

    @classmethod
    def from_study(cls, study: optuna.Study, space: SearchSpace | Mapping[str, Sequence[str]]) -> Landscape:
        """Return the landscape that a study's completed trials show.

        Of a configuration that was evaluated more than once, the trial with the lowest number counts: never the luckiest.

        Raises:
            ValueError: If the study does not minimise one value, or no trial was completed.
        """
        import optuna

        if study.directions != [optuna.study.StudyDirection.MINIMIZE]:
            raise ValueError(f"`study` must minimise one loss, but got {[d.name.lower() for d in study.directions]}.")
        space = SearchSpace.of(space)
        losses: dict[Configuration, float] = {}
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
            if trial.params.keys() >= space.parameters.keys() and math.isfinite(trial.values[0]):
                losses.setdefault(space.canonical(trial.params), trial.values[0])
        if not losses:
            raise ValueError(f"`study` must have a completed trial of the space, but {study.study_name!r} has none.")
        return cls(losses, space)

    @classmethod
    def from_csv(cls, path: str | Path, space: SearchSpace | Mapping[str, Sequence[str]] | None = None) -> Landscape:
        """Return the landscape of a table with one column a parameter and a column `loss`.

        Args:
            path: The file.
            space: The search space; without one, a parameter's choices are those in its column in the order in which they first
                appear, which is the space's own order in what `to_csv` wrote of a complete landscape.

        Raises:
            ValueError: If a column is missing or unknown, a loss is no finite number, or a configuration occurs twice.
        """
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        names = [name for name in table.columns if name != LOSS]
        if LOSS not in table.columns:
            raise ValueError(f"`path` must have a column {LOSS!r}, but {path} has {list(table.columns)}.")
        space = SearchSpace.of({name: list(dict.fromkeys(table[name])) for name in names} if space is None else space)
        losses: dict[Configuration, float] = {}
        for row in table.to_dict("records"):
            configuration = Configuration({name: row[name] for name in names})
            if configuration in losses:
                raise ValueError(f"`path` must hold each configuration once, but {path} has {dict(configuration)} twice.")
            losses[configuration] = _number(row[LOSS], configuration)
        return cls(losses, space)

    def to_csv(self, path: str | Path) -> None:
        """Write the table, one configuration a line by index, losses with all their digits."""
        self.frame().to_csv(path, index=False)

    def frame(self) -> pd.DataFrame:
        """Return the table: one column a parameter, and `loss`; one row a configuration, by index."""
        return pd.DataFrame([{**configuration, LOSS: loss} for configuration, loss in self.losses.items()])

    @property
    def complete(self) -> bool:
        """Whether the loss of every canonical configuration is known."""
        return all(configuration in self.losses for configuration in self.space.configurations())

    @property
    def optimum(self) -> Configuration:
        """The configuration of the lowest loss; of equal ones that with the fewest active parameters, then the lowest index."""
        return min(self.losses, key=lambda c: (self.losses[c], len(self.space.active(c)), self.space.index(c)))

    @property
    def minimum(self) -> float:
        """The lowest loss."""
        return self.losses[self.optimum]

    def loss(self, configuration: Mapping[str, str]) -> float:
        """Return the loss of a configuration.

        Raises:
            ValueError: If it is not known.
        """
        self.space.check(configuration)
        canonical = self.space.canonical(configuration)
        if canonical not in self.losses:
            raise ValueError(f"`configuration` must be in the landscape, but got {dict(canonical)}, whose loss is not known.")
        return self.losses[canonical]

    def regret(self, configuration: Mapping[str, str]) -> float:
        """Return how far the loss of a configuration is above the minimum, 0 or more.

        Raises:
            ValueError: If its loss is not known.
        """
        return self.loss(configuration) - self.minimum

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the loss of the configuration that a trial suggests: an Optuna objective."""
        return self.loss(self.space.suggest(trial))

    def __len__(self) -> int:
        return len(self.losses)

    def __repr__(self) -> str:
        return f"Landscape({len(self)} of {self.space.size} configurations, minimum {self.minimum:.4g})"

    def _by_index(self, item: tuple[Configuration, float]) -> int:
        return self.space.index(item[0])


def _check_finite(configuration: Configuration, loss: float) -> None:
    if not math.isfinite(loss):
        raise ValueError(f"`losses` must be finite, but got {loss} for {dict(configuration)}.")


def _number(text: str, configuration: Configuration) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"`{LOSS}` must be a number, but got {text!r} for {dict(configuration)}.") from None
