"""The real cohort `mouse-connectomes`: structural connectomes and measures of regions of 32 mice of four strains."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.drawing import SplitPlan, divide
from nas_fusion.cohorts.packaged import Package
from nas_fusion.cohorts.packaged_cohort import Array, Names, PackagedData, chosen, one_of

NAME, VERSION = "mouse-connectomes", 1
PACKAGE = Package(
    "graspologic", "3.4.4", "pip install --no-deps --ignore-requires-python graspologic==3.4.4", "MIT (of the package)"
)
PARTICIPANTS = "a3b7aa4de77ba8bc2e326fb33d7e96581f96b34be5d6a8dad0909617e6a0086e"
SHA256 = {
    "SC": "ffb9fe8dd8716dd43118677aff73ae363af507238f1f5176b17ce8bf07d4aef2",
    "regions": "a101a58b248c76c93e8b486abd784d446f3fc850fc99a6dc7672684fb032421d",
}
MEASURES = ("volume_mm3", "adc", "dwi", "e1", "e2", "e3", "fa", "rd")
LABELS = ("strain-sex", "strain", "sex")
COUNTS = ("log1p", "raw")
REGIONS = 332

TRAPS = (
    "32 mice: too few to rank anything. Strain is saturated, sex near chance.",
    "Each strain was registered to an atlas of its own: telling strains apart is in part telling atlases apart.",
    "The first row of a table of regions, ROI 0, is the exterior, two lines of preamble before the header: both are left out.",
    "Lists of edges name each pair once, from 0; tables number the left hemisphere 1 to 166, the right 1001 to 1166.",
    "Nothing says that row i of a table is node i of the lists; left-right differences of volume and strength agree with it.",
    "Nothing tells who are littermates.",
)


@dataclass(frozen=True)
class _Mouse:
    """One line of the table of participants."""

    id: str
    strain: str
    sex: str

    def label(self, which: str) -> str:
        """Return its class."""
        return {"strain": self.strain, "sex": self.sex}.get(which, f"{self.strain} {self.sex}")


def mouse_connectomes(
    *,
    modalities: Names = tuple(SHA256),
    label: str = "strain-sex",
    counts: str = "log1p",
    measures: Names = MEASURES,
    folds: int = 1,
    validation: float = 1 / 3,
    test: float = 0.25,
    split_seed: int = 0,
) -> Cohort:
    """Return connectomes and tables of regions of 32 mice, four of each sex of each of four strains, with splits.

    Source: N. Wang et al., Variability and heritability of mouse brain structure: microscopic MRI atlases and connectomes for
    diverse strains, NeuroImage 222 (2020) 117274, as the Python package graspologic (MIT) carries it; the data name no licence
    of their own. Its pins of old numpy forbid a plain installation beside this package, but its files need none.

    Traps: see `TRAPS`, which are kept in the provenance. Each measure of each region is standardised by mean and deviation over
    the development subjects.

    Args:
        modalities: Some of `SC`, `regions`, in the order of the streams, also as one text with commas.
        label: `strain-sex` (eight classes), `strain` (BTBR, B6, CAST, DBA2) or `sex`.
        counts: `log1p` of the streamline counts, or `raw` (up to 161176; for spaces that transform them themselves).
        measures: Columns of the tables, some of `MEASURES`: volume, and diffusivities from diffusion MRI.
        folds: 1 for a single division, k for k folds.
        validation: Share of the development subjects that validates where `folds` is 1.
        test: Share of subjects that no search sees, 0 for none.
        split_seed: Of the draws.

    Returns:
        `SC` `(32, 332, 332)`, a symmetric matrix; `regions` `(32, 332 * measures)`, a vector, region after region.

    Raises:
        ValueError: If the package is missing, or an option is unknown or out of its range.
    """
    names, columns = chosen("modalities", modalities, tuple(SHA256)), chosen("measures", measures, MEASURES)
    one_of("label", label, LABELS)
    one_of("counts", counts, COUNTS)
    mice = _mice()
    labels = tuple(mouse.label(label) for mouse in mice)
    subjects = tuple(mouse.id for mouse in mice)
    read = {"SC": lambda: _connectomes(mice, counts), "regions": lambda: _tables(mice, columns)}
    options = {"modalities": list(names), "label": label, "counts": counts, "measures": list(columns)}
    return PackagedData(
        name=NAME,
        version=VERSION,
        subjects=subjects,
        labels=labels,
        classes=tuple(sorted(set(labels))),
        values={name: read[name]() for name in names},
        kinds={name: "matrix" if name == "SC" else "vector" for name in names},
        splits=divide(subjects, labels, None, plan=SplitPlan(folds, validation, test, split_seed)),
        scaled={"regions": ()} if "regions" in names else {},
        options=options,
        facts={
            "source": f"{PACKAGE.name} {PACKAGE.version}, graspologic/datasets/mice",
            "sha256": {name: SHA256[name] for name in names},
            "licence": PACKAGE.licence,
            "reference": "NeuroImage 222 (2020) 117274, doi 10.1016/j.neuroimage.2020.117274",
            "units": {"SC": "streamline counts" if counts == "raw" else "logarithm of 1 + streamline counts"},
            "traps": list(TRAPS),
        },
    ).cohort()


def _mice() -> list[_Mouse]:
    (content,) = PACKAGE.read([_file("participants.csv")], PARTICIPANTS)
    rows = csv.DictReader(io.StringIO(content.decode()))
    return [_Mouse(row["participant_id"], row["genotype"], row["sex"]) for row in rows]


def _connectomes(mice: list[_Mouse], counts: str) -> Array:
    """Return the symmetric counts `(mice, 332, 332)`, or their logarithms."""
    files = [_file(f"edgelists/{mouse.id}_ses-1_dti.edgelist") for mouse in mice]
    found = np.zeros((len(mice), REGIONS, REGIONS))
    for matrix, content in zip(found, PACKAGE.read(files, SHA256["SC"]), strict=True):
        edges = np.loadtxt(io.BytesIO(content))
        rows, columns = edges[:, 0].astype(int), edges[:, 1].astype(int)
        matrix[rows, columns] = matrix[columns, rows] = edges[:, 2]
    return found if counts == "raw" else np.log1p(found)


def _tables(mice: list[_Mouse], measures: tuple[str, ...]) -> Array:
    """Return the measures of all regions but the exterior `(mice, 332 * measures)`."""
    files = [_file(f"features/{mouse.id.removeprefix('sub-')}.csv") for mouse in mice]
    contents = PACKAGE.read(files, SHA256["regions"])
    tables = [pd.read_csv(io.BytesIO(content), skiprows=2) for content in contents]
    return np.stack([table.loc[table["ROI"] > 0, list(measures)].to_numpy(np.float64).ravel() for table in tables])


def _file(path: str) -> str:
    return f"graspologic/datasets/mice/{path}"
