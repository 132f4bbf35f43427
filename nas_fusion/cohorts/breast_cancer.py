"""The real cohort `breast-cancer`: nuclei of fine-needle aspirates in three tables; nothing has to be installed."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import numpy as np
from sklearn.datasets import load_breast_cancer

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.drawing import SplitPlan, divide
from nas_fusion.cohorts.packaged_cohort import Names, PackagedData, chosen

NAME, VERSION = "breast-cancer", 1
VIEWS = {"mean": slice(0, 10), "error": slice(10, 20), "worst": slice(20, 30)}
CLASSES = ("benign", "malignant")

TRAPS = (
    "scikit-learn calls malignant 0: here it is the second class, the positive one.",
    "The three views describe the same nuclei and overlap: `worst` alone tells about as much as all three.",
    "Nothing tells whether two aspirates are of one patient.",
)


def breast_cancer(
    *,
    modalities: Names = tuple(VIEWS),
    folds: int = 1,
    validation: float = 0.25,
    test: float = 0.2,
    split_seed: int = 0,
) -> Cohort:
    """Return 569 breast masses, 357 benign and 212 malignant, each described by three tables of ten features, with splits.

    Ten measures of the cell nuclei in an image of a fine-needle aspirate (radius, texture, perimeter, ...): their mean, its
    standard error, and the mean of the three largest.

    Source: Wisconsin Diagnostic Breast Cancer (W. H. Wolberg, W. N. Street, O. L. Mangasarian, 1995; UCI, CC BY 4.0), as
    scikit-learn carries it.

    Traps: see `TRAPS`, which are kept in the provenance. Each feature is standardised by mean and deviation over the
    development subjects.

    Args:
        modalities: Some of `mean`, `error`, `worst`, in the order of the streams, also as one text with commas.
        folds: 1 for a single division, k for k folds.
        validation: Share of the development subjects that validates where `folds` is 1.
        test: Share of subjects that no search sees, 0 for none.
        split_seed: Of the draws.

    Returns:
        Each modality `(569, 10)`, a vector.

    Raises:
        ValueError: If an option is unknown or out of its range.
    """
    names = chosen("modalities", modalities, tuple(VIEWS))
    held = load_breast_cancer()
    features = np.asarray(held.data, dtype=np.float64)
    labels = tuple(str(held.target_names[target]) for target in held.target)
    subjects = tuple(f"row{i + 1:03d}" for i in range(len(labels)))
    digest = hashlib.sha256(features.tobytes() + "".join(labels).encode()).hexdigest()
    return PackagedData(
        name=NAME,
        version=VERSION,
        subjects=subjects,
        labels=labels,
        classes=CLASSES,
        values={name: features[:, VIEWS[name]] for name in names},
        kinds=dict.fromkeys(names, "vector"),
        splits=divide(subjects, labels, None, plan=SplitPlan(folds, validation, test, split_seed)),
        scaled=dict.fromkeys(names, ()),
        options={"modalities": list(names), "sha256": digest},
        facts={
            "source": f"scikit-learn {version('scikit-learn')}, load_breast_cancer",
            "licence": "CC BY 4.0",
            "reference": "UCI Breast Cancer Wisconsin (Diagnostic)",
            "traps": list(TRAPS),
        },
    ).cohort()
