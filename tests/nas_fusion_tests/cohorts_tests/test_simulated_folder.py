"""The embedded cohort written as files and read again is the same cohort."""

from __future__ import annotations

from pathlib import Path

import torch

from nas_fusion.cohorts import check_source, load_cohort
from nas_fusion.cohorts.simulated_mri import write_files


def test_the_folder_reproduces_the_embedded_cohort(tmp_path: Path) -> None:
    size = {"train": 6, "validation": 4, "test": 4, "shape": 16}
    embedded = load_cohort("simulated-mri", **size)
    root = write_files(tmp_path / "simulated", **size)
    options = {"modalities": ("T1w", "FLAIR"), "label": "group"}
    assert check_source(root, **options) == []
    cohort = load_cohort(root, **options)
    assert cohort.subjects == embedded.subjects and cohort.classes == embedded.classes
    assert cohort.splits == embedded.splits
    assert torch.equal(cohort.labels, embedded.labels)
    for name in ("T1w", "FLAIR"):
        torch.testing.assert_close(cohort.modalities[name], embedded.modalities[name], rtol=0, atol=1e-6)
