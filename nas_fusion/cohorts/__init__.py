"""Cohorts: subjects with modalities, labels, groups and splits, from any source."""

from nas_fusion.cohorts.cohort import Batch, Cohort, Inputs, Modality
from nas_fusion.cohorts.splits import Fold, Splits

__all__ = ["Batch", "Cohort", "Fold", "Inputs", "Modality", "Splits"]
