"""Beam search in the lattice of configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas_fusion.samplers._base import SearchSampler
from nas_fusion.samplers.engine import Engine
from nas_fusion.samplers.lattice import Lattice, Rule, max_evaluations
from nas_fusion.space import SearchSpace


class BeamSampler(SearchSampler):
    """Forward search that keeps the best few configurations of each round.

    The baseline is evaluated first, then in each round every configuration that is one forward move away from a survivor of
    the round before. The best `width` of the round survive. The search ends after the first round (or `patience` rounds in a
    row) whose best is not better than the best so far. With a width of 1 this is `SFSASampler`.

    Ties are broken by fewer active parameters, then by the configuration's index. What is pruned or not finite is not better.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        width: Survivors of a round, at least 1.
        inherit: `"parent"`, `"baseline"` or `"none"`; `None` for the space's own rule.
        tolerance: How much better than the best so far a round's best must be, in the unit of the values, at least 0.
        patience: Rounds in a row without improvement after which the search ends, at least 1.
        max_retries: How often a failed configuration is repeated before it is skipped.
        speculate: Whether to begin the next round where it can be guessed, when all of a round is being evaluated by others.
            What was guessed wrong is ignored by the search.
        seed: Of the generator for parameters that are not the space's.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> sampler = BeamSampler({"layer1": ["none", "mmtm"], "layer2": ["none", "mmtm"]}, width=2)
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(objective)
        >>> sampler.path(study)
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        width: int = 2,
        inherit: str | None = None,
        tolerance: float = 0.0,
        patience: int = 1,
        max_retries: int = 2,
        speculate: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, inherit=inherit, max_retries=max_retries, seed=seed)
        self._rule = Rule(width, tolerance, patience, inherit=self.inherit, speculate=speculate)

    def _engine(self) -> Engine:
        return Lattice(self.space, self._rule)

    @property
    def max_evaluations(self) -> int:
        return max_evaluations(self.space, self._rule.width)
