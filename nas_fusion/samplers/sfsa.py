"""Sequential forward search of fusion points."""

from __future__ import annotations

from nas_fusion.samplers.lattice_sampler import LatticeSampler
from nas_fusion.samplers.policy import Policy
from nas_fusion.samplers.rounds import Rounds


class SFSASampler(LatticeSampler):
    """Sequential forward search for activations: greedy, from the baseline, one parameter more in each round.

    The baseline A_0 is evaluated first. In round t every parameter that is still off is activated, one at a time, on top of
    A_{t-1}. The best of these becomes A_t if it is better than A_{t-1}; otherwise the search ends with A_{t-1}. That takes at
    most m + (m-1) + ... evaluations after the baseline for m parameters, against 2^m - 1 for all; with K modules to choose from
    at each, K times as many.

    Source: arXiv 2505.02467, section III.D, which inherits the weights of A_{t-1}: `parent_of(trial)` says whose they are.
    With `patience=None` it takes the same steps as mlxtend's `SequentialFeatureSelector(forward=True)`, which always goes on
    until every feature is in, and never looks at the empty set.

    The arguments are those of `LatticeSampler`, and nothing else.

    Example:
        >>> sampler = SFSASampler({f"layer{i}": ["none", "mmtm"] for i in (1, 2, 3, 4)})
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(objective)  # ends by itself
        >>> sampler.path(study)
    """

    def _make_policy(self) -> Policy:
        return Rounds(self.moves, self._rule, self._forward_opening())
