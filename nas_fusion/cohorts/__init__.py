"""Cohorts: subjects with modalities, labels, groups and splits, from any source."""

from nas_fusion.cohorts.cohort import Batch, Cohort, Inputs, Modality
from nas_fusion.cohorts.drawing import SplitPlan, draw_splits
from nas_fusion.cohorts.sources import load_cohort
from nas_fusion.cohorts.splits import Fold, Splits

__all__ = ["Batch", "Cohort", "Fold", "Inputs", "Modality", "SplitPlan", "Splits", "draw_splits", "load_cohort"]
