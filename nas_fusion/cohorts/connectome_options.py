"""Options of cohorts of connectomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas_fusion.cohorts.connectome_estimates import ESTIMATES
from nas_fusion.cohorts.options import ModalityOption, SourceOptions
from nas_fusion.spelling import did_you_mean

ORIENTATIONS = ("TxN", "NxT")
ACCEPTABLE = (
    "all-zero row",
    "negative weight",
    "integer values",
    "correlation out of range",
    "short series",
    "contradicted orientation",
    "identical connectomes",
)
SHARED = ("modalities", "label", "group", "classes", "missing", "splits", "folds", "validation", "test", "split_seed", "cache")
Named = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class ConnectomeOptions:
    """How files of matrices and time series become a cohort.

    Attributes:
        shared: The options that all cohorts from files have: those in `SHARED`. A modality is `NAME` or `NAME=PLACE`: a column
            of the table, a file in each subject's folder (its name with or without the ending, `*` for any characters), or an
            array of the `.npz`.
        key: Modality to the array of its `.mat` files, `""` for all modalities: `connectivity` or `SC=connectivity,FC=tc`.
        series: `TxN` if time series have a row a time point, `NxT` if a row a region; `None` to let the matrices of another
            modality, or the table of regions, decide.
        fc: Modality to the estimate of its connectivity from time series, `""` for all: one of `ESTIMATES`.
        symmetrise: Whether matrices that are not symmetric are averaged with their transposes.
        regions: How many regions are kept, the first ones of every file; `None` for all.
        accept: Rules of the validation that these data may break, among `ACCEPTABLE`.

    Raises:
        ValueError: If a value is wrong.
    """

    shared: SourceOptions = field(default_factory=SourceOptions)
    key: Named = ()
    series: str | None = None
    fc: Named = ()
    symmetrise: bool = False
    regions: int | None = None
    accept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.shared.missing == "keep":
            raise ValueError(
                "`missing` must be error or drop for connectomes, whose models need every modality, but got 'keep'."
            )
        if self.series is not None and self.series not in ORIENTATIONS:
            raise ValueError(f"`series` must be one of {', '.join(ORIENTATIONS)}, but got {self.series!r}.")
        for _, estimate in self.fc:
            if estimate not in ESTIMATES:
                raise ValueError(f"`fc` must be one of {', '.join(ESTIMATES)}, but got {estimate!r}.")
        if not isinstance(self.symmetrise, bool):
            raise ValueError(f"`symmetrise` must be true or false, but got {self.symmetrise!r}.")
        if self.regions is not None and (type(self.regions) is not int or self.regions < 2):
            raise ValueError(f"`regions` must be a whole number of at least 2, but got {self.regions!r}.")
        for rule in self.accept:
            if rule not in ACCEPTABLE:
                raise ValueError(f"`accept` must be rules among {', '.join(ACCEPTABLE)}, but got {rule!r}.")
        for option in self.shared.wanted:
            if len(option.columns) > 1:
                raise ValueError(
                    f"`modalities` must be NAME or NAME=PLACE for connectomes, but {option.name!r} has several places."
                )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ConnectomeOptions:
        """Return options as they come from a command line or a call: lists may be strings separated by commas.

        Raises:
            ValueError: If an option is unknown or its value is wrong.
        """
        own = [known.name for known in dataclasses.fields(cls) if known.name != "shared"]
        for key in options:
            if key not in own and key not in SHARED:
                known = [*SHARED, *own]
                hint = did_you_mean(key, known)
                raise ValueError(
                    f"`{key}` must be an option of a cohort of connectomes ({', '.join(known)}), but is none.{hint}"
                )
        given = {key: options[key] for key in own if options.get(key) is not None}
        given |= {key: _by_modality(key, given[key]) for key in ("key", "fc") if key in given}
        if "accept" in given:
            given["accept"] = _rules(given["accept"])
        return cls(shared=SourceOptions.of({key: value for key, value in options.items() if key in SHARED}), **given)

    @property
    def wanted(self) -> tuple[ModalityOption, ...]:
        """The modalities asked for, each with at most one place."""
        return self.shared.wanted

    def key_of(self, modality: str) -> str | None:
        """Return the array of a modality's `.mat` files, `None` for the only one."""
        return dict(self.key).get(modality, dict(self.key).get(""))

    def estimate_of(self, modality: str) -> str:
        """Return how the connectivity of a modality is estimated if its files are time series."""
        return dict(self.fc).get(modality, dict(self.fc).get("", "pearson"))


def _by_modality(option: str, value: Any) -> Named:
    """Return what `tc`, `SC=connectivity,FC=tc` or a mapping says, modality (`""` for all) to value."""
    if isinstance(value, Mapping):
        return tuple((str(name), str(said)) for name, said in value.items())
    pairs = [part.strip().partition("=") for part in str(value).split(",")]
    named = {name.strip() if equals else "": said.strip() if equals else name.strip() for name, equals, said in pairs}
    if "" in named.values() or len(named) < len(pairs):
        raise ValueError(f"`{option}` must be a name, or MODALITY=NAME once for each modality, but got {value!r}.")
    return tuple(named.items())


def _rules(value: Any) -> tuple[str, ...]:
    parts: Sequence[Any] = value.split(",") if isinstance(value, str) else value
    return tuple(str(part).strip() for part in parts)
