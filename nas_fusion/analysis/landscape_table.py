"""A landscape as a long table: a row for each configuration, training seed and fold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from nas_fusion.space import Configuration

Loss = float | Sequence[float] | Sequence[Sequence[float]] | npt.NDArray[np.float64]
Runs = tuple[tuple[float, ...], ...]
"""Losses of one configuration, `(seeds, folds)`."""

LOSS, SEED, FOLD, EPOCHS = "loss", "seed", "fold", "epochs"


def runs_of(loss: Loss, configuration: Mapping[str, str]) -> Runs:
    """Return losses as `(seeds, folds)`: a number is one of both, a plain sequence one seed's folds.

    Raises:
        ValueError: If there is none, one is not finite, or the seeds have different numbers of folds.
    """
    rows = _rows(loss)
    if not rows or not all(len(row) == len(rows[0]) > 0 for row in rows):
        raise ValueError(f"`losses` must be the same number of folds for each seed, but got {loss} for {dict(configuration)}.")
    for value in (value for row in rows for value in row):
        if not math.isfinite(value):
            raise ValueError(f"`losses` must be finite, but got {value} for {dict(configuration)}.")
    return rows


def _rows(loss: Loss) -> Runs:
    if isinstance(loss, np.ndarray):
        loss = loss.tolist()
    if not isinstance(loss, Sequence):
        return ((float(loss),),)
    if any(isinstance(row, Sequence) for row in loss):
        return tuple(tuple(map(float, row)) if isinstance(row, Sequence) else (float(row),) for row in loss)
    return (tuple(float(value) for value in loss if not isinstance(value, Sequence)),)


def frame_of(runs: Mapping[Configuration, Runs]) -> pd.DataFrame:
    """Return the long table of some losses, `seed` and `fold` only where a configuration has several.

    Raises:
        ValueError: If a parameter has the name of one of the columns.
    """
    parameters = next(iter(runs))
    taken = [name for name in (SEED, FOLD, LOSS) if name in parameters]
    if taken:
        raise ValueError(f"`space` must have no parameter named seed, fold or loss, but got {taken[0]!r}.")
    table = pd.DataFrame(
        [
            {**configuration, SEED: seed, FOLD: fold, LOSS: loss}
            for configuration, rows in runs.items()
            for seed, row in enumerate(rows)
            for fold, loss in enumerate(row)
        ]
    )
    return table.drop(columns=[name for name in (SEED, FOLD) if not table[name].any()])


def read_table(path: str | Path) -> tuple[dict[str, list[str]], dict[Configuration, Runs]]:
    """Return the parameters of a long table, each with its choices in the order in which they appear, and the losses.

    Seeds and folds are taken in the order of their labels; a column `epochs`, what the training took, is left out.

    Raises:
        ValueError: If there is no column `loss`, a loss is no number, a line occurs twice, or a fold of a seed is missing.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    names = [name for name in table.columns if name not in (LOSS, SEED, FOLD, EPOCHS)]
    if LOSS not in table.columns:
        raise ValueError(f"`path` must have a column {LOSS!r}, but {path} has {list(table.columns)}.")
    if table.empty:
        raise ValueError(f"`path` must hold at least one configuration, but {path} has none.")
    found: dict[Configuration, dict[tuple[int, int], float]] = {}
    for row in table.to_dict("records"):
        configuration = Configuration({name: row[name] for name in names})
        label = (_label(row, SEED), _label(row, FOLD))
        losses = found.setdefault(configuration, {})
        if label in losses:
            raise ValueError(f"`path` must hold each configuration once, but {path} has {dict(configuration)} twice.")
        losses[label] = _number(row[LOSS], configuration)
    choices = {name: list(dict.fromkeys(table[name])) for name in names}
    return choices, {configuration: _arranged(losses, configuration) for configuration, losses in found.items()}


def _arranged(losses: Mapping[tuple[int, int], float], configuration: Configuration) -> Runs:
    seeds = sorted({seed for seed, _ in losses})
    folds = sorted({fold for _, fold in losses})
    for label in ((seed, fold) for seed in seeds for fold in folds):
        if label not in losses:
            missing = f"seed {label[0]}, fold {label[1]} of {dict(configuration)}"
            raise ValueError(f"`path` must hold every fold of every seed, but {missing} is missing.")
    return tuple(tuple(losses[seed, fold] for fold in folds) for seed in seeds)


def _label(row: Mapping[str, str], name: str) -> int:
    text = row.get(name, "0")
    if not text.isdecimal():
        raise ValueError(f"`{name}` must be a whole number, but got {text!r}.")
    return int(text)


def _number(text: str, configuration: Configuration) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"`{LOSS}` must be a number, but got {text!r} for {dict(configuration)}.") from None
