"""Decoding: from matrices and time series as stored to one tensor a modality, with all that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import PurePath

import numpy as np
import numpy.typing as npt
import torch

from nas_fusion.cohorts.connectome_checks import Fault, check_matrix, check_series
from nas_fusion.cohorts.connectome_estimates import ESTIMATES
from nas_fusion.cohorts.connectome_files import Array, UnusableArrayError
from nas_fusion.cohorts.connectome_forms import Forms, Look
from nas_fusion.cohorts.connectome_options import ConnectomeOptions
from nas_fusion.cohorts.connectome_source import Source
from nas_fusion.cohorts.problem import Problem

VERSION = 1  # of the numbers that decoding gives: part of every fingerprint
HELD_BYTES = 2**29  # of connectomes that are kept between looking at them and decoding them
Cells = Mapping[tuple[int, str], str]


def decode_all(
    source: Source, options: ConnectomeOptions, cells: Cells, progress: Callable[[int, int], None] | None = None
) -> tuple[dict[str, torch.Tensor], list[Problem]]:
    """Return the connectivity of all subjects, and what is wrong with it.

    Args:
        source: Where connectomes are.
        options: How they are decoded.
        cells: Those that are there, by row and modality.
        progress: Called with the number of connectomes that are done, and of all.

    Returns:
        Way of decoding and modality, as `given:SC`, `pearson:FC` or `tangent:FC`, to `(subjects, regions, regions)` float32,
        symmetric; empty if anything is wrong. And the problems.
    """
    reader = _Reader(source, options, cells)
    looks, problems = _looks(reader)
    named = len(source.regions.get("names", ()))
    forms = Forms.of(looks, options, named)
    problems += [*forms.problems(), *_pointless(forms, options, looks)]
    decoded: dict[str, torch.Tensor] = {}
    for done, ((row, modality), look) in enumerate(looks.items(), 1):
        fault = forms.fault(modality, look.shape) or forms.contradiction(modality, look.shape)
        fault = None if fault and fault.rule in options.accept else fault
        matrix, faults = (None, [fault]) if fault else _decode(reader, forms, (row, modality))
        problems += [reader.problem((row, modality), fault) for fault in faults]
        if matrix is not None and not problems:
            way = options.estimate_of(modality) if modality in forms.series else "given"
            empty = torch.zeros(len(source.manifest.table), *matrix.shape)
            decoded.setdefault(f"{way}:{modality}", empty)[row] = torch.from_numpy(matrix)
        if progress is not None:
            progress(done, len(looks))
    return ({} if problems else decoded), problems


class _Reader:
    """Reads connectomes, and holds as many as `HELD_BYTES` allow for the second time."""

    def __init__(self, source: Source, options: ConnectomeOptions, cells: Cells) -> None:
        self.source, self.options, self.cells = source, options, cells
        self.names = tuple(str(name) for name in source.regions.get("names", ()))
        self._held: dict[tuple[str, str | None], Array] = {}
        self._room = HELD_BYTES

    def read(self, place: tuple[int, str]) -> Array:
        cell, key = self.cells[place], self.options.key_of(place[1])
        if (cell, key) in self._held:
            return self._held[cell, key]
        array = self.source.read(cell, key)
        if array.values.nbytes <= self._room:
            self._room -= array.values.nbytes
            self._held[cell, key] = array
        return array

    def problem(self, place: tuple[int, str], fault: Fault) -> Problem:
        """Return a fault as a problem of a subject and its file."""
        (row, modality), shown = place, self.source.shown(self.cells[place])
        subject = str(self.source.manifest.table["subject"].iloc[row])
        message = f"The {modality} of {subject} must {fault.must}, but {shown} {fault.but}."
        return Problem(fault.rule, message, subject, shown)


def _looks(reader: _Reader) -> tuple[dict[tuple[int, str], Look], list[Problem]]:
    """Return the look of every connectome that can be read, and why the others cannot; of missing libraries the first only."""
    looks: dict[tuple[int, str], Look] = {}
    problems: list[Problem] = []
    for place, cell in reader.cells.items():
        try:
            looks[place] = Look.at(reader.read(place), PurePath(cell).stem)
        except UnusableArrayError as error:
            if error.rule != "missing library" or error.rule not in {problem.rule for problem in problems}:
                problems.append(reader.problem(place, Fault(error.rule, "be a matrix or time series", str(error))))
    return looks, problems


def _decode(reader: _Reader, forms: Forms, place: tuple[int, str]) -> tuple[npt.NDArray[np.float32] | None, list[Fault]]:
    """Return the connectivity of one subject `(regions, regions)`, `None` if it cannot be had, and what is wrong with it."""
    values, modality, options = reader.read(place).values, place[1], reader.options
    keep, is_series = slice(forms.keep), modality in forms.series
    if is_series:
        axis = forms.axis(values.shape)
        if axis is None:
            return None, []  # a problem of the modality as a whole
        series = (values if axis == 1 else values.T)[:, keep]
        faults = list(check_series(series, names=reader.names))
    else:
        values = values[keep, keep]
        faults = list(check_matrix(modality, values, names=reader.names, symmetrise=options.symmetrise))
    faults = [fault for fault in faults if fault.rule not in options.accept]
    if faults:
        return None, faults
    matrix = ESTIMATES[options.estimate_of(modality)](series) if is_series else (values + values.T) / 2
    return matrix.astype(np.float32), []


def _pointless(forms: Forms, options: ConnectomeOptions, looks: Collection[tuple[int, str]]) -> list[Problem]:
    """Return the options that have nothing to work on."""
    modalities = sorted({modality for _, modality in looks})
    known, problems = ", ".join(modalities), []
    for option, named in (("fc", options.fc), ("key", options.key)):
        for name in (name for name, _ in named if name and modalities and name not in modalities):
            problems.append(Problem("unknown modality", f"`{option}` must name modalities ({known}), but got {name!r}."))
    for name in (name for name, _ in options.fc if name in modalities and name not in forms.series):
        problems.append(Problem("no time series", f"`fc` must go with time series, but {name} are matrices."))
    for option, given in (("fc", any(not name for name, _ in options.fc)), ("series", options.series is not None)):
        if given and modalities and not forms.series:
            message = f"`{option}` must go with time series, but {' and '.join(modalities)} are matrices."
            problems.append(Problem("no time series", message))
    return problems
