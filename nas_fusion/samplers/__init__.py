"""Samplers for Optuna that search the lattice of a search space."""

from nas_fusion.samplers._base import SearchSampler
from nas_fusion.samplers.backward import BackwardSampler
from nas_fusion.samplers.beam import BeamSampler
from nas_fusion.samplers.differentiable import DifferentiableSampler
from nas_fusion.samplers.exhaustive import ExhaustiveSampler
from nas_fusion.samplers.floating import FloatingSampler
from nas_fusion.samplers.lattice_sampler import LatticeSampler
from nas_fusion.samplers.loading import OPTUNA_SAMPLERS, load_sampler, state_of
from nas_fusion.samplers.sfsa import SFSASampler
from nas_fusion.samplers.state import SearchState
from nas_fusion.samplers.surrogate import SurrogateSampler

__all__ = [
    "OPTUNA_SAMPLERS",
    "BackwardSampler",
    "BeamSampler",
    "DifferentiableSampler",
    "ExhaustiveSampler",
    "FloatingSampler",
    "LatticeSampler",
    "SFSASampler",
    "SearchSampler",
    "SearchState",
    "SurrogateSampler",
    "load_sampler",
    "state_of",
]
