"""Options of cohorts that are read from files."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_fusion.cohorts.drawing import SplitPlan
from nas_fusion.spelling import did_you_mean

MISSING = ("error", "drop", "keep")


@dataclass(frozen=True)
class ModalityOption:
    """Where a modality is found.

    Attributes:
        name: Its name, such as `T1w`.
        columns: Patterns of the numeric columns that are its features; empty for the column, or the BIDS suffix, of its name.
    """

    name: str
    columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> ModalityOption:
        """Return what `T1w` or `clinical=age+score_*` says.

        Raises:
            ValueError: If there is no name or no column.
        """
        name, equals, columns = text.partition("=")
        patterns = tuple(column.strip() for column in columns.split("+")) if equals else ()
        if not name.strip() or (equals and "" in patterns):
            raise ValueError(f"`modalities` must be of the form NAME or NAME=COLUMN+COLUMN, but got {text!r}.")
        return cls(name.strip(), patterns)

    def among(self, columns: Iterable[str]) -> list[str]:
        """Return the columns that match one of the patterns (`*` stands for any characters), in the patterns' order."""
        available = list(columns)
        found = [column for pattern in self.columns for column in available if fnmatch.fnmatchcase(column, pattern)]
        return list(dict.fromkeys(found))


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How files become a cohort.

    Attributes:
        modalities: What is fused, in the order of the streams; `None` for every column of files in a manifest or datalist.
        label: Column of the class; `None` for `label`, which a BIDS folder rarely has.
        group: Column of groups that no split tears apart, or `none`; `None` for `group` or `site` of a manifest, and for the
            participant where participants have several sessions.
        classes: The classes in their order, for binary tasks the positive one last; `None` for those found, sorted, with names
            of healthy controls (`hc`, `control`, ...) first.
        labels: A table with the labels of a BIDS folder, keyed by participant or by participant and session; `None` for its
            `participants.tsv` and `sessions.tsv`.
        session: Sessions to use, `None` for all.
        acq: Values of the BIDS entity in order of preference, where a scan exists in several acquisitions.
        run: The same for runs.
        missing: Subjects that lack a scan or a label: `error`, `drop` them, or `keep` them, absent modalities being marked so.
        resample: Whether scans of a subject on different grids are resampled to the grid of the first modality.
        shape: The common grid: one number of voxels for all axes, or one an axis; `None` for the data's own, at most 96.
        splits: A `splits_final.json` of nnU-Net to use instead of drawing splits.
        folds: See `draw_splits`; so `validation`, `test` and `split_seed`. `None` for the data's own splits, else the default.
        cache: Folder of decoded cohorts, `none` to decode anew each time.
    """

    modalities: tuple[str, ...] | None = None
    label: str | None = None
    group: str | None = None
    classes: tuple[str, ...] | None = None
    labels: str | None = None
    session: tuple[str, ...] | None = None
    acq: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    missing: str = "error"
    resample: bool = False
    shape: tuple[int, ...] | None = None
    splits: str | None = None
    folds: int | None = None
    validation: float | None = None
    test: float | None = None
    split_seed: int | None = None
    cache: str | None = None

    def __post_init__(self) -> None:
        if self.missing not in MISSING:
            raise ValueError(f"`missing` must be one of {', '.join(MISSING)}, but got {self.missing!r}.")
        if not isinstance(self.resample, bool):
            raise ValueError(f"`resample` must be true or false, but got {self.resample!r}.")
        if self.shape is not None and not all(type(n) is int and 4 <= n <= 1024 for n in self.shape):
            raise ValueError(f"`shape` must be one or more whole numbers from 4 to 1024, but got {self.shape}.")
        names = [option.name for option in self.wanted]
        if len(set(names)) < len(names):
            raise ValueError(f"`modalities` must be different names, but got {', '.join(names)}.")
        if self.splits is not None and self.draws:
            raise ValueError("`splits` must not be given together with `folds`, `validation`, `test` or `split_seed`.")
        self.plan()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> SourceOptions:
        """Return options as they come from a command line or a call: lists may be strings separated by commas.

        Raises:
            ValueError: If an option is unknown or its value is wrong.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in options:
            if key not in known:
                hint = did_you_mean(key, known)
                raise ValueError(f"`{key}` must be an option of a cohort from files ({', '.join(known)}), but is none.{hint}")
        given = {key: value for key, value in options.items() if value is not None}
        given |= {key: _names(key, given[key]) for key in ("modalities", "classes", "session", "acq", "run") if key in given}
        given |= {key: str(given[key]) for key in ("label", "group", "labels", "splits", "cache") if key in given}
        if "shape" in given:
            given["shape"] = _shape(given["shape"])
        return cls(**given)

    @property
    def wanted(self) -> tuple[ModalityOption, ...]:
        """Where each modality is found."""
        return tuple(ModalityOption.parse(text) for text in self.modalities or ())

    @property
    def draws(self) -> dict[str, Any]:
        """What was said of drawing splits."""
        said = {"folds": self.folds, "validation": self.validation, "test": self.test, "seed": self.split_seed}
        return {key: value for key, value in said.items() if value is not None}

    def plan(self) -> SplitPlan:
        """Return how splits are drawn."""
        return SplitPlan(**self.draws)


def _names(key: str, value: Any) -> tuple[str, ...]:
    parts: Sequence[Any] = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else (value,)
    names = tuple(str(part).strip() for part in parts)
    if not names or "" in names or len(set(names)) < len(names):
        raise ValueError(f"`{key}` must be different names separated by commas, but got {value!r}.")
    return names


def _shape(value: Any) -> tuple[int, ...]:
    parts: Sequence[Any] = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else (value,)
    try:
        return tuple(int(part) if isinstance(part, str) else part for part in parts)
    except ValueError:
        raise ValueError(f"`shape` must be one or more whole numbers from 4 to 1024, but got {value!r}.") from None
