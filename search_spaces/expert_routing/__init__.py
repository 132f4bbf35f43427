"""Expert routing: which mixtures of experts a model of several connectomes has (M3D-BFS, arXiv 2604.01667)."""

from search_spaces.expert_routing.architecture import Mixture, ModelOptions
from search_spaces.expert_routing.method import Method
from search_spaces.expert_routing.presets import PRESETS, Preset
from search_spaces.expert_routing.space import ExpertRoutingSpace

__all__ = ["PRESETS", "ExpertRoutingSpace", "Method", "Mixture", "ModelOptions", "Preset"]
