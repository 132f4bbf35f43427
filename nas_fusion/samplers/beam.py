"""Beam search in the lattice of configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from nas_fusion.samplers.lattice_sampler import LatticeOptions, LatticeSampler
from nas_fusion.samplers.policy import Policy
from nas_fusion.samplers.rounds import Rounds
from nas_fusion.space import SearchSpace


class BeamSampler(LatticeSampler):
    """Forward search that keeps the best few configurations of each round.

    The baseline is evaluated first, then in each round every configuration that is one forward move away from a survivor of
    the round before. The best `width` of the round survive. The search ends after the first round (or `patience` rounds in a
    row) whose best is not better than the best so far. With a width of 1 this is `SFSASampler`.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        width: Survivors of a round, at least 1.
        **options: Those of `LatticeSampler`.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> sampler = BeamSampler({"layer1": ["none", "mmtm"], "layer2": ["none", "mmtm"]}, width=2, patience=2)
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(objective)
        >>> sampler.path(study)
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        width: int = 2,
        **options: Unpack[LatticeOptions],
    ) -> None:
        self._width = width
        super().__init__(space, **options)

    def _make_policy(self) -> Policy:
        return Rounds(self.moves, self._rule, self._forward_opening(), width=self._width)
