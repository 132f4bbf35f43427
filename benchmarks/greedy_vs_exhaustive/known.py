"""What samplers did is kept: a benchmark that was interrupted, or of which a part has changed, searches only what is new."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

import nas_fusion.samplers
from benchmarks.greedy_vs_exhaustive.searchers import OURS
from nas_fusion import Landscape, plugins


class Searched(NamedTuple):
    """One search.

    Attributes:
        order: Indices of the configurations that it evaluated, in order, repetitions included.
        seconds: Processor time that it took.
    """

    order: tuple[int, ...]
    seconds: float


class Known:
    """Searches by what decides them, see `key_of`.

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
    """Return what decides a search: the landscape, the sampler and its code, the number of trials and the seed.

    The code of Optuna's samplers is named by Optuna's version, that of ours by a digest, so that a change of ours leaves
    theirs known.
    """
    losses = np.array(list(landscape.losses.values()))
    names = json.dumps({name: list(choices) for name, choices in landscape.space.parameters.items()})
    samples = np.array(list(landscape.samples.values()))
    digest = hashlib.sha256(names.encode() + losses.tobytes() + samples.tobytes() * (searcher in OURS)).hexdigest()[:20]
    code = code_of(OURS[searcher].name) if searcher in OURS else f"optuna-{version('optuna')}"
    return f"{digest} {searcher} {n_trials} {seed} {code}"


@cache
def code_of(sampler: str) -> str:
    """Return a digest of the sources of one of our samplers: its module, and those beside it that it imports."""
    home = plugins.load("samplers", sampler).__module__
    folder, package = Path(nas_fusion.samplers.__file__).parent, nas_fusion.samplers.__name__
    sources: dict[str, bytes] = {}
    waiting = [home]
    while waiting:
        path = folder / f"{waiting.pop().removeprefix(package + '.')}.py"
        if path.name not in sources and path.exists():
            sources[path.name] = path.read_bytes()
            imports = [node for node in ast.walk(ast.parse(sources[path.name])) if isinstance(node, ast.ImportFrom)]
            waiting += [node.module for node in imports if node.module and node.module.startswith(f"{package}.")]
    return f"nas-fusion-{hashlib.sha256(b''.join(sources[name] for name in sorted(sources))).hexdigest()[:12]}"
