"""Visualization: figures of a comparison, the report, and publishing into optuna-dashboard."""

from nas_fusion.visualization.arms import arms_figure
from nas_fusion.visualization.cross_validation import differences_figure, write_cross_validation
from nas_fusion.visualization.curves import curves_figure
from nas_fusion.visualization.dashboard import publish
from nas_fusion.visualization.figures import NamedFigure, all_figures
from nas_fusion.visualization.folds import folds_figure
from nas_fusion.visualization.importance import importance_figure
from nas_fusion.visualization.lattice import lattice_figure
from nas_fusion.visualization.losses import losses_figure
from nas_fusion.visualization.module_report import write_module_report
from nas_fusion.visualization.modules import module_intervals_figure, modules_figure
from nas_fusion.visualization.regret import regret_figure
from nas_fusion.visualization.report import write_report
from nas_fusion.visualization.routing import routing_figures

__all__ = [
    "NamedFigure",
    "all_figures",
    "arms_figure",
    "curves_figure",
    "differences_figure",
    "folds_figure",
    "importance_figure",
    "lattice_figure",
    "losses_figure",
    "module_intervals_figure",
    "modules_figure",
    "publish",
    "regret_figure",
    "routing_figures",
    "write_cross_validation",
    "write_module_report",
    "write_report",
]
