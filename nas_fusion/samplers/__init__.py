"""Samplers for Optuna that search the lattice of a search space."""

from nas_fusion.samplers._base import SearchSampler, SearchState
from nas_fusion.samplers.beam import BeamSampler
from nas_fusion.samplers.exhaustive import ExhaustiveSampler
from nas_fusion.samplers.loading import OPTUNA_SAMPLERS, load_sampler, state_of
from nas_fusion.samplers.sfsa import SFSASampler

__all__ = [
    "OPTUNA_SAMPLERS",
    "BeamSampler",
    "ExhaustiveSampler",
    "SFSASampler",
    "SearchSampler",
    "SearchState",
    "load_sampler",
    "state_of",
]
