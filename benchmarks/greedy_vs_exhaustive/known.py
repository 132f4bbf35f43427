"""What Optuna's samplers did is kept: it does not change when ours do, and takes most of the time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nas_fusion import Landscape


class Searched(NamedTuple):
    """One search.

    Attributes:
        order: Indices of the configurations that it evaluated, in order, repetitions included.
        seconds: Processor time that it took.
    """

    order: tuple[int, ...]
    seconds: float


class Known:
    """Searches by what decides them: the landscape, the sampler, the number of trials, the seed and Optuna's version.

    Args:
        path: A file with one search a line, made if there is none; `None` to keep nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._searches: dict[str, Searched] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                self._searches[entry["key"]] = Searched(tuple(entry["order"]), entry["seconds"])

    def get(self, key: str) -> Searched | None:
        """Return a search, `None` if it is not known."""
        return self._searches.get(key)

    def add(self, searches: Iterable[tuple[str, Searched]]) -> None:
        """Keep searches."""
        new = [(key, each) for key, each in searches if key not in self._searches]
        self._searches.update(new)
        if self._path is not None and new:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.writelines(
                    json.dumps({"key": key, "order": each.order, "seconds": round(each.seconds, 4)}) + "\n" for key, each in new
                )


def key_of(landscape: Landscape, searcher: str, n_trials: int, seed: int) -> str:
    """Return what decides a search by one of Optuna's samplers."""
    losses = np.array(list(landscape.losses.values()))
    names = json.dumps({name: list(choices) for name, choices in landscape.space.parameters.items()})
    digest = hashlib.sha256(names.encode() + losses.tobytes()).hexdigest()[:20]
    return f"{digest} {searcher} {n_trials} {seed} optuna-{version('optuna')}"
