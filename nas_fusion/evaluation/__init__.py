"""The evaluation worker: trains every candidate of every search space."""

from nas_fusion.evaluation.artifacts import open_artifact_store
from nas_fusion.evaluation.estimate import StepEstimate
from nas_fusion.evaluation.stage import Reference, Stage, State, TrainingPlan, cross_entropy
from nas_fusion.evaluation.store import Store
from nas_fusion.evaluation.supernet import Supernet, SupernetPlan
from nas_fusion.evaluation.worker import EvaluationWorker

__all__ = [
    "EvaluationWorker",
    "Reference",
    "Stage",
    "State",
    "StepEstimate",
    "Store",
    "Supernet",
    "SupernetPlan",
    "TrainingPlan",
    "cross_entropy",
    "open_artifact_store",
]
