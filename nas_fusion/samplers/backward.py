"""Backward elimination in the lattice of configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from nas_fusion.samplers.lattice_sampler import LatticeOptions, LatticeSampler
from nas_fusion.samplers.policy import Policy
from nas_fusion.samplers.rounds import Rounds
from nas_fusion.space import SearchSpace


class BackwardSampler(LatticeSampler):
    """Backward elimination: from everything on, one parameter less in each round.

    The baseline A_0 is evaluated first, then the configuration with every parameter on (each at its first choice after off,
    unless `start` says otherwise). In each round every active parameter of the survivors is switched off, one at a time; the
    best `width` of these survive. The search ends after the first round (or `patience` rounds in a row) whose best is not
    better than the best on the way down; with a tolerance of 0, fewer parameters at the same value are better. In the end the
    best on the way down is selected if it is an improvement on A_0, otherwise A_0. Since it sees points together from the
    beginning, it finds pairs that help only together, which greedy search misses; it pays with the largest models first.

    Modules are not exchanged: with several to choose from, those of the start remain. In a space of more than 2^14
    configurations a warning asks for a `start` where it is left to the order of the choices.

    With `patience=None` it takes the same steps as mlxtend's `SequentialFeatureSelector(forward=False)`, which always goes down
    to one feature and never looks at the empty set.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        width: Survivors of a round, at least 1.
        **options: Those of `LatticeSampler`.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> sampler = BackwardSampler({f"layer{i}": ["none", "mmtm"] for i in (1, 2, 3, 4)})
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(objective)
        >>> sampler.path(study)
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        width: int = 1,
        **options: Unpack[LatticeOptions],
    ) -> None:
        self._width = width
        super().__init__(space, **options)

    def _make_policy(self) -> Policy:
        return Rounds(self.moves, self._rule, self._backward_opening(), width=self._width, forward=False)
