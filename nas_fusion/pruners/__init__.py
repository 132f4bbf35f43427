"""Pruners for Optuna that know the rounds of a search: they shorten it, and its result is then no longer exact."""

from nas_fusion.pruners.halving import HalvingPruner
from nas_fusion.pruners.racing import RacingPruner, least_folds

__all__ = ["HalvingPruner", "RacingPruner", "least_folds"]
