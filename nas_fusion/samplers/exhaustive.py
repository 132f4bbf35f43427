"""Exhaustive search."""

from __future__ import annotations

from nas_fusion.samplers._base import SearchSampler
from nas_fusion.samplers.engine import Engine
from nas_fusion.samplers.enumeration import Enumeration


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
        ValueError: If an option is out of its range.

    Example:
        >>> sampler = ExhaustiveSampler({"layer1": ["none", "mmtm"], "layer2": ["none", "mmtm", "concat_conv"]})
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(objective)  # ends after 6 trials
        >>> sampler.best(study)
    """

    def _engine(self) -> Engine:
        return Enumeration(self.moves, self.inherit)

    @property
    def max_evaluations(self) -> int:
        return self.moves.n_configurations
