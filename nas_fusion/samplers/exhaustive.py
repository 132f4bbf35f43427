"""Exhaustive search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas_fusion.samplers._base import SearchSampler
from nas_fusion.samplers.checks import check_enumerable
from nas_fusion.samplers.engine import Engine
from nas_fusion.samplers.enumeration import Enumeration
from nas_fusion.space import SearchSpace


class ExhaustiveSampler(SearchSampler):
    """Evaluates every canonical configuration once, by index, the baseline first.

    Completed configurations are counted, not trials: one that failed is repeated up to `max_retries` times, one that was
    abandoned or interrupted always; what was enqueued or evaluated before is not evaluated again. Where weights are inherited,
    they come from the baseline: all configurations are trained by the same rule.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        inherit: `"parent"` and `"baseline"` (here the same) or `"none"`; `None` for the space's own rule.
        forced: Choices that every configuration has; the enumeration then begins with these alone instead of the baseline.
        groups: Lists of parameters that are switched together, each with the same choices: on with the same one, off together.
        max_retries: How often a failed configuration is repeated before it is skipped.
        seed: Of the generator for parameters that are not the space's.

    Raises:
        ValueError: If an option is out of its range, or the space has more than 2^20 configurations.

    Example:
        >>> sampler = ExhaustiveSampler({"layer1": ["none", "mmtm"], "layer2": ["none", "mmtm", "concat_conv"]})
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(objective)  # ends after 6 trials
        >>> sampler.best(study)
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        inherit: str | None = None,
        forced: Mapping[str, str] | None = None,
        groups: Sequence[Sequence[str]] = (),
        max_retries: int = 2,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, inherit=inherit, forced=forced, groups=groups, max_retries=max_retries, seed=seed)
        check_enumerable(self.moves.size)

    def _engine(self) -> Engine:
        return Enumeration(self.moves, self.inherit)

    @property
    def max_evaluations(self) -> int:
        return self.moves.n_configurations
