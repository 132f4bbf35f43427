"""Analysis: comparisons as tables, landscapes, paired statistics and a diagnosis in words. No torch here."""

from importlib import import_module
from typing import TYPE_CHECKING

from nas_fusion.analysis.anova import ParameterEffects, shapley_effects
from nas_fusion.analysis.arms import BASELINE, Arm, Comparison, Unfinished
from nas_fusion.analysis.availability import availability_summary, availability_table
from nas_fusion.analysis.bootstrap import Estimate, bootstrap_scores
from nas_fusion.analysis.cross_sentences import cross_validation_columns, cross_validation_findings
from nas_fusion.analysis.cross_validation import CrossValidation, cross_validation_table, fold_table
from nas_fusion.analysis.diagnosis import diagnose
from nas_fusion.analysis.families import FAMILIES, noisy, synergy_landscape
from nas_fusion.analysis.findings import Finding, findings_markdown, findings_text
from nas_fusion.analysis.landscape import Landscape
from nas_fusion.analysis.module_ranks import rank_correlations
from nas_fusion.analysis.module_sentences import module_findings
from nas_fusion.analysis.module_verdict import BestPoints, best_points
from nas_fusion.analysis.modules import Model, ModuleComparison, module_table, point_table
from nas_fusion.analysis.naming import points, search_title, short_points
from nas_fusion.analysis.paired import PairedDifference, chance_of_acceptance, paired_difference, subject_differences
from nas_fusion.analysis.regret import Shortfall, chance_regret, regret_curves, shortfall
from nas_fusion.analysis.routing import Adaptivity, LayerUse, Regions, RoutingEvidence
from nas_fusion.analysis.routing_statistics import class_test, lost_without, variance_shares
from nas_fusion.analysis.routing_tables import region_table, routing_summary, subject_table, usage_table
from nas_fusion.analysis.shapley import PointValues, point_values
from nas_fusion.analysis.tables import comparison_table, plain_table
from nas_fusion.analysis.traps import Deceptiveness, Escape, cheapest, deceptiveness
from nas_fusion.analysis.ways_out import WayOut, is_trapped, ways_out

if TYPE_CHECKING:
    from nas_fusion.analysis.importance import ShapleyImportanceEvaluator, as_study, importance_table

__all__ = [
    "BASELINE",
    "FAMILIES",
    "Adaptivity",
    "Arm",
    "BestPoints",
    "Comparison",
    "CrossValidation",
    "Deceptiveness",
    "Escape",
    "Estimate",
    "Finding",
    "Landscape",
    "LayerUse",
    "Model",
    "ModuleComparison",
    "PairedDifference",
    "ParameterEffects",
    "PointValues",
    "Regions",
    "RoutingEvidence",
    "ShapleyImportanceEvaluator",
    "Shortfall",
    "Unfinished",
    "WayOut",
    "as_study",
    "availability_summary",
    "availability_table",
    "best_points",
    "bootstrap_scores",
    "chance_of_acceptance",
    "chance_regret",
    "cheapest",
    "class_test",
    "comparison_table",
    "cross_validation_columns",
    "cross_validation_findings",
    "cross_validation_table",
    "deceptiveness",
    "diagnose",
    "findings_markdown",
    "findings_text",
    "fold_table",
    "importance_table",
    "is_trapped",
    "lost_without",
    "module_findings",
    "module_table",
    "noisy",
    "paired_difference",
    "plain_table",
    "point_table",
    "point_values",
    "points",
    "rank_correlations",
    "region_table",
    "regret_curves",
    "routing_summary",
    "search_title",
    "shapley_effects",
    "short_points",
    "shortfall",
    "subject_differences",
    "subject_table",
    "synergy_landscape",
    "usage_table",
    "variance_shares",
    "ways_out",
]


def __getattr__(name: str) -> object:
    if name in ("ShapleyImportanceEvaluator", "as_study", "importance_table"):  # Optuna's evaluators bring scikit-learn
        return getattr(import_module("nas_fusion.analysis.importance"), name)
    raise AttributeError(f"module 'nas_fusion.analysis' has no attribute {name!r}")
