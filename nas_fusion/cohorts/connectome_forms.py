"""Which modalities are time series, how many regions there are, and which axis of a series they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from nas_fusion.cohorts.connectome_checks import Fault, is_symmetric
from nas_fusion.cohorts.connectome_files import Array, is_named_series
from nas_fusion.cohorts.connectome_options import ConnectomeOptions
from nas_fusion.cohorts.problem import Problem


@dataclass(frozen=True)
class Look:
    """What is remembered of a connectome before the forms are known.

    Attributes:
        shape: As stored.
        symmetric: Whether it equals its transpose.
        named_series: Whether its file or array is called as time series are.
    """

    shape: tuple[int, ...]
    symmetric: bool
    named_series: bool

    @classmethod
    def at(cls, array: Array, stem: str) -> Look:
        """Return the look of what a file holds whose name is `stem`."""
        shape = array.values.shape
        symmetric = shape[0] == shape[1] and is_symmetric(array.values)
        return cls(shape, symmetric, is_named_series(array.name) or is_named_series(stem))

    def is_series(self, stated: bool) -> bool:
        """Return whether it is a time series; a square one only if it is not symmetric and called, or stated to be, one."""
        return self.shape[0] != self.shape[1] or (not self.symmetric and (self.named_series or stated))


@dataclass(frozen=True)
class Forms:
    """What the connectomes of all subjects agree on.

    Attributes:
        series: The modalities that are time series.
        regions: Modality to the number of its regions in the files; absent where that cannot be told.
        known: Numbers of regions that orient time series.
        stated: The orientation that was stated, `None` for none.
        keep: How many regions are kept, `None` for all.
        named: How many regions a table names, 0 without one.
    """

    series: frozenset[str]
    regions: Mapping[str, int]
    known: frozenset[int]
    stated: str | None
    keep: int | None
    named: int

    @classmethod
    def of(cls, looks: Mapping[tuple[int, str], Look], options: ConnectomeOptions, named: int) -> Forms:
        """Return the forms that most connectomes of each modality have.

        Args:
            looks: Of every connectome by row and modality.
            options: For `series` and `regions`.
            named: How many regions a table names, 0 without one.
        """
        by_modality: dict[str, list[Look]] = {}
        for (_, modality), look in looks.items():
            by_modality.setdefault(modality, []).append(look)
        stated = options.series is not None
        series = frozenset(
            name for name, held in by_modality.items() if 2 * sum(look.is_series(stated) for look in held) >= len(held)
        )
        matrices = {
            name: _usual(look.shape[0] for look in held if look.shape[0] == look.shape[1])
            for name, held in by_modality.items()
            if name not in series
        }
        known = frozenset({*matrices.values(), named} - {0})
        forms = cls(series, matrices, known, options.series, options.regions, named)
        oriented = {
            name: _usual(look.shape[axis] for look in by_modality[name] if (axis := forms.axis(look.shape)) is not None)
            for name in series
        }
        return replace(forms, regions={**matrices, **{name: n for name, n in oriented.items() if n}})

    def axis(self, shape: tuple[int, ...]) -> int | None:
        """Return the axis of the regions in time series, `None` if nothing decides."""
        if self.stated is not None:
            return 1 if self.stated == "TxN" else 0
        fitting = [axis for axis in (0, 1) if shape[axis] in self.known]
        return fitting[0] if len(fitting) == 1 else None

    def problems(self) -> list[Problem]:
        """Return what is wrong with the modalities as a whole."""
        found = []
        for name in sorted(self.series):
            if self.stated is None and not self.known:
                message = (
                    f"The orientation of {name} must be known, but no matrix of another modality tells the number of "
                    "regions: state it by the option series=TxN (a row a time point) or series=NxT (a row a region)."
                )
                found.append(Problem("ambiguous orientation", message))
        counts = {name: n if self.keep is None else min(n, self.keep) for name, n in self.regions.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{name} has {n}" for name, n in counts.items())
            hint = f"regions={min(counts.values())} keeps the first ones, if the atlases begin alike"
            found.append(
                Problem("different regions", f"All modalities must have the same regions, but {listed} (the option {hint}).")
            )
        elif self.keep is not None and counts and max(counts.values()) < self.keep:
            message = f"`regions` must be at most {max(counts.values())}, as there are in the files, but got {self.keep}."
            found.append(Problem("different regions", message))
        elif self.named and counts and self.named not in {*counts.values(), *self.regions.values()}:
            message = f"The table of regions must have {max(counts.values())} rows as the connectomes, but has {self.named}."
            found.append(Problem("unusable regions", message))
        return found

    def fault(self, modality: str, shape: tuple[int, ...]) -> Fault | None:
        """Return what is wrong with the shape of a connectome, `None` if it fits the others."""
        wanted = self.regions.get(modality)
        if modality not in self.series:
            if shape != (wanted, wanted):
                return Fault("wrong region count", f"be {wanted} x {wanted} as of most subjects", f"is {shape[0]} x {shape[1]}")
            return None
        axis = self.axis(shape)
        if axis is None:
            return self._unoriented(shape)
        if shape[axis] != wanted:
            return Fault(
                "wrong region count",
                f"have {wanted} regions as of most subjects",
                f"has {shape[axis]}, as it is {shape[0]} x {shape[1]}",
            )
        return None

    def contradiction(self, modality: str, shape: tuple[int, ...]) -> Fault | None:
        """Return why the orientation that was stated cannot be that of a series, `None` if nothing speaks against it.

        With fewer regions kept than there are, a series the wrong way round would have enough time points to pass for regions.
        """
        if self.stated is None or modality not in self.series:
            return None
        axis = 1 if self.stated == "TxN" else 0
        if shape[axis] in self.known or shape[1 - axis] not in self.known:
            return None
        other = f"is {shape[0]} x {shape[1]} and other modalities have {shape[1 - axis]} regions"
        return Fault("contradicted orientation", f"have its regions where series={self.stated} says", other)

    def _unoriented(self, shape: tuple[int, ...]) -> Fault | None:
        if not self.known:
            return None  # a problem of the modality as a whole
        counts = " or ".join(map(str, sorted(self.known)))
        how = "state it by the option series=TxN (a row a time point) or series=NxT (a row a region)"
        if not self.known & set(shape):
            return Fault(
                "wrong region count", f"have {counts} regions as other modalities have", f"is {shape[0]} x {shape[1]} ({how})"
            )
        return Fault("ambiguous orientation", "show which axis is the regions", f"is {shape[0]} x {shape[1]}: {how}")


def _usual(counts: Iterable[int]) -> int:
    """Return the most frequent count, of equally frequent ones the larger; 0 for none."""
    frequency = Counter(counts)
    return max(frequency, key=lambda count: (frequency[count], count), default=0)
