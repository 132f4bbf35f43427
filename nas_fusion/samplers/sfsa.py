"""Sequential forward search of fusion points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas_fusion.samplers.beam import BeamSampler
from nas_fusion.space import SearchSpace


class SFSASampler(BeamSampler):
    """Sequential forward search for activations: greedy, from the baseline, one parameter more in each round.

    The baseline A_0 is evaluated first. In round t every parameter that is still off is activated, one at a time, on top of
    A_{t-1}. The best of these becomes A_t if it is better than A_{t-1}; otherwise the search ends with A_{t-1}. That takes at
    most m + (m-1) + ... evaluations after the baseline for m parameters, against 2^m - 1 for all.

    Source: arXiv 2505.02467, section III.D, which inherits the weights of A_{t-1}: `parent_of(trial)` says whose they are.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        inherit: `"parent"`, `"baseline"` or `"none"`; `None` for the space's own rule.
        tolerance: How much better than A_{t-1} the best of a round must be, in the unit of the values, at least 0.
        patience: Rounds in a row without improvement after which the search ends, at least 1 (the paper's).
        max_retries: How often a failed configuration is repeated before it is skipped.
        speculate: Whether to begin the next round where it can be guessed, when all of a round is being evaluated by others.
        seed: Of the generator for parameters that are not the space's.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> sampler = SFSASampler({f"layer{i}": ["none", "mmtm"] for i in (1, 2, 3, 4)})
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(objective)  # ends by itself
        >>> sampler.path(study)
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        inherit: str | None = None,
        tolerance: float = 0.0,
        patience: int = 1,
        max_retries: int = 2,
        speculate: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            space,
            width=1,
            inherit=inherit,
            tolerance=tolerance,
            patience=patience,
            max_retries=max_retries,
            speculate=speculate,
            seed=seed,
        )
