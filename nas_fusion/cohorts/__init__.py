"""Cohorts: subjects with modalities, labels, groups and splits, from any source."""

from nas_fusion.cohorts.cohort import Batch, Cohort, Inputs, Modality
from nas_fusion.cohorts.connectome_options import ConnectomeOptions
from nas_fusion.cohorts.drawing import SplitPlan, draw_splits
from nas_fusion.cohorts.options import SourceOptions
from nas_fusion.cohorts.problem import CohortError, Problem
from nas_fusion.cohorts.sources import check_source, load_cohort
from nas_fusion.cohorts.splits import Fold, Splits
from nas_fusion.cohorts.summary import modalities_table, parts_table

__all__ = [
    "Batch",
    "Cohort",
    "CohortError",
    "ConnectomeOptions",
    "Fold",
    "Inputs",
    "Modality",
    "Problem",
    "SourceOptions",
    "SplitPlan",
    "Splits",
    "check_source",
    "draw_splits",
    "load_cohort",
    "modalities_table",
    "parts_table",
]
