"""Which streams start from pretrained weights, and the tensors that a training stage then starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nas_fusion import Stream
from nas_fusion.evaluation import State
from search_spaces.fusion_points.layout import Layout
from search_spaces.fusion_points.pretrained import PretrainedReport, load_pretrained, sha256_of

if TYPE_CHECKING:
    from nas_fusion.cohorts import Inputs, Modality

Start = Callable[[Mapping[str, State]], State]
EVERY = "*"


@dataclass(frozen=True)
class Weights:
    """Files of pretrained weights.

    Attributes:
        layout: The space's.
        files: Modality to its file; under `*` the file of every other modality with the primary backbone.
    """

    layout: Layout
    files: Mapping[str, str]

    def meaning(self) -> dict[str, str]:
        """Return the digests of the files.

        Raises:
            ValueError: If one cannot be read.
        """
        return {name: sha256_of(path) for name, path in self.files.items()}

    def reports(self, inputs: Inputs) -> dict[str, PretrainedReport]:
        """Return what the stream of each modality that has a file takes from it.

        Raises:
            ValueError: If a file cannot be read, or nothing in it fits.
        """
        return {m.name: self._loaded(m, len(inputs.classes))[1] for m in inputs.modalities if self._file(m)}

    def start(self, prefixes: Mapping[Modality, str], classes: int) -> Start | None:
        """Return what gives a training stage the tensors of the files, `None` if no stream has one.

        Args:
            prefixes: Modality to what the names of its stream's tensors begin with in the model.
            classes: Number of logits.
        """
        own = {modality: prefix for modality, prefix in prefixes.items() if self._file(modality)}
        return partial(self._tensors, own, classes) if own else None

    def _tensors(self, prefixes: Mapping[Modality, str], classes: int, states: Mapping[str, State]) -> State:
        found: dict[str, torch.Tensor] = {}
        for modality, prefix in prefixes.items():
            stream, report = self._loaded(modality, classes)
            state = stream.state_dict()
            found |= {f"{prefix}{name}": state[name] for name in (*report.matched, *report.zeroed)}
        return found

    def _loaded(self, modality: Modality, classes: int) -> tuple[Stream, PretrainedReport]:
        path = self._file(modality)
        assert path is not None, "Should not reach."
        with torch.random.fork_rng(devices=[]):
            stream = self.layout.stream(modality, classes)
        return stream, load_pretrained(stream, path)

    def _file(self, modality: Modality) -> str | None:
        has_primary = self.layout.name_of(modality) == self.layout.primary
        return self.files.get(modality.name) or (self.files.get(EVERY) if has_primary else None)


def prefix_of(modality: Modality) -> str:
    """Return what the names of a modality's tensors begin with in a network of several streams."""
    return f"streams.{modality.name.replace('.', '%2E')}."


def read_files(pretrained: object) -> dict[str, str]:
    """Return files of weights that were asked for, by modality: their absolute paths.

    Args:
        pretrained: A path for every modality with the primary backbone, a mapping of modalities to paths, or `None`.

    Raises:
        ValueError: If it is something else.
    """
    named = {} if pretrained is None else pretrained if isinstance(pretrained, Mapping) else {EVERY: pretrained}
    given: dict[Any, Any] = dict(named)
    if not all(isinstance(name, str) and isinstance(path, str | Path) and str(path) for name, path in given.items()):
        raise ValueError(f"`pretrained` must be a file or map modalities to files, but got {pretrained!r}.")
    return {name: str(Path(path).expanduser().absolute()) for name, path in given.items()}
