"""Summaries of a cohort as tables: who is in which part, and what is known of them."""

from __future__ import annotations

import pandas as pd
import torch

from nas_fusion.cohorts.cohort import Cohort


def parts_table(cohort: Cohort) -> pd.DataFrame:
    """Return a row for all subjects, each fold's two parts and the test part: subjects, groups, and subjects of each class.

    Columns: `part`, `subjects`, `groups` where there are any, and the classes.
    """
    parts = {"all": cohort.subjects}
    if cohort.splits is not None:
        for number, fold in enumerate(cohort.splits.folds, 1):
            word = f"fold {number}: " if len(cohort.splits.folds) > 1 else ""
            parts |= {f"{word}train": fold.train, f"{word}validation": fold.validation}
        parts["test"] = cohort.splits.test
    rows = []
    for part, subjects in parts.items():
        index = cohort.positions(subjects)
        counts = torch.bincount(cohort.labels[index], minlength=len(cohort.classes)).tolist()
        groups = {} if cohort.groups is None else {"groups": len({cohort.groups[i] for i in index.tolist()})}
        rows.append({"part": part, "subjects": len(subjects), **groups, **dict(zip(cohort.classes, counts, strict=True))})
    return pd.DataFrame(rows)


def modalities_table(cohort: Cohort) -> pd.DataFrame:
    """Return a row a modality: `modality`, `kind`, `shape` of one subject, `subjects` that have it, `megabytes` in memory."""
    rows = [
        {
            "modality": modality.name,
            "kind": modality.kind,
            "shape": " x ".join(str(size) for size in modality.shape),
            "subjects": int(cohort.present[:, position].sum()),
            "megabytes": round(values.numel() * values.element_size() / 1e6, 1),
        }
        for position, (modality, values) in enumerate(zip(cohort.inputs.modalities, cohort.modalities.values(), strict=True))
    ]
    return pd.DataFrame(rows)
