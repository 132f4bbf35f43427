"""Neural architecture search over multimodal fusion, as an Optuna plug-in.

Every public name is an attribute of this package. It is imported when it is first used, so that a sampler can be used in any
Optuna script without torch or MONAI being loaded.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_fusion.analysis import Landscape, ShapleyImportanceEvaluator
    from nas_fusion.cohorts import Batch, Cohort, load_cohort
    from nas_fusion.evaluation import EvaluationWorker, Reference, Stage, TrainingPlan
    from nas_fusion.export import ExportedModel, export_model, load_model
    from nas_fusion.fusion import (
        Backbone,
        FusionModule,
        FusionNetwork,
        Stream,
        Tap,
        TappedModule,
        build_backbone,
        build_module,
        find_taps,
        module_cost,
        register_backbone,
        register_module,
    )
    from nas_fusion.history import parent_of, write_losses
    from nas_fusion.pruners import HalvingPruner, RacingPruner
    from nas_fusion.routing import (
        MixtureOfExperts,
        Router,
        Routing,
        balance_loss,
        build_router,
        register_router,
        replaced_gates,
        routings,
    )
    from nas_fusion.samplers import (
        BackwardSampler,
        BeamSampler,
        DifferentiableSampler,
        ExhaustiveSampler,
        FloatingSampler,
        SFSASampler,
        SurrogateSampler,
        load_sampler,
    )
    from nas_fusion.space import Configuration, SearchSpace, load_space
    from nas_fusion.study.comparison import compare
    from nas_fusion.study.cross_validation import cross_validate
    from nas_fusion.study.module_comparison import compare_modules

_HOMES = {
    "space": ("Configuration", "SearchSpace", "load_space"),
    "samplers": (
        "BackwardSampler",
        "BeamSampler",
        "DifferentiableSampler",
        "ExhaustiveSampler",
        "FloatingSampler",
        "SFSASampler",
        "SurrogateSampler",
        "load_sampler",
    ),
    "history": ("parent_of", "write_losses"),
    "export": ("ExportedModel", "export_model", "load_model"),
    "fusion": (
        "Backbone",
        "FusionModule",
        "FusionNetwork",
        "Stream",
        "Tap",
        "TappedModule",
        "build_backbone",
        "build_module",
        "find_taps",
        "module_cost",
        "register_backbone",
        "register_module",
    ),
    "routing": (
        "MixtureOfExperts",
        "Router",
        "Routing",
        "balance_loss",
        "build_router",
        "register_router",
        "replaced_gates",
        "routings",
    ),
    "cohorts": ("Batch", "Cohort", "load_cohort"),
    "evaluation": ("EvaluationWorker", "Reference", "Stage", "TrainingPlan"),
    "analysis": ("Landscape", "ShapleyImportanceEvaluator"),
    "pruners": ("HalvingPruner", "RacingPruner"),
    "study.comparison": ("compare",),
    "study.cross_validation": ("cross_validate",),
    "study.module_comparison": ("compare_modules",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Backbone",
    "BackwardSampler",
    "Batch",
    "BeamSampler",
    "Cohort",
    "Configuration",
    "DifferentiableSampler",
    "EvaluationWorker",
    "ExhaustiveSampler",
    "ExportedModel",
    "FloatingSampler",
    "FusionModule",
    "FusionNetwork",
    "HalvingPruner",
    "Landscape",
    "MixtureOfExperts",
    "RacingPruner",
    "Reference",
    "Router",
    "Routing",
    "SFSASampler",
    "SearchSpace",
    "ShapleyImportanceEvaluator",
    "Stage",
    "Stream",
    "SurrogateSampler",
    "Tap",
    "TappedModule",
    "TrainingPlan",
    "balance_loss",
    "build_backbone",
    "build_module",
    "build_router",
    "compare",
    "compare_modules",
    "cross_validate",
    "export_model",
    "find_taps",
    "load_cohort",
    "load_model",
    "load_sampler",
    "load_space",
    "module_cost",
    "parent_of",
    "register_backbone",
    "register_module",
    "register_router",
    "replaced_gates",
    "routings",
    "write_losses",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return version("nas-fusion")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nas_fusion' has no attribute {name!r}")
    return getattr(import_module(f"nas_fusion.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
