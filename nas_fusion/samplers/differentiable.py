"""Differentiable search: the most probable configurations of a supernet that somebody else trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from nas_fusion import history
from nas_fusion.samplers._base import SearchSampler, _Decision, _View
from nas_fusion.samplers.checks import check_count, is_finite
from nas_fusion.samplers.engine import Engine
from nas_fusion.samplers.shortlist import Shortlist
from nas_fusion.space import SearchSpace


class DifferentiableSampler(SearchSampler):
    """Evaluates A_0 and the k configurations that a supernet holds for the most probable, each like any other trial.

    The supernet has every candidate module of every point behind a gate; training it once says how probable each choice is
    (Liu et al., DARTS, `arXiv 1806.09055 <https://arxiv.org/abs/1806.09055>`_; Xie et al., SNAS, `arXiv 1812.09926
    <https://arxiv.org/abs/1812.09926>`_). `EvaluationWorker.rank(study)` trains it and writes the ranking on the study; this
    sampler only reads that. Where weights are inherited, they come from the baseline.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        k: How many configurations are evaluated beside A_0, at least 1; fewer where the ranking holds fewer that are allowed.
        length: Epochs of the supernet as a multiple of those of the space's training plan; `None` for the worker's own default.
            It is `EvaluationWorker.rank(study)` that asks for it.
        forced: Choices that every configuration has; the start is then A_0 with these.
        groups: Lists of parameters that are switched together, each with the same choices: on with the same one, off together.
        inherit: `"parent"` and `"baseline"` (here the same) or `"none"`; `None` for the space's own rule.
        max_retries: How often a failed configuration is repeated before it is skipped.
        seed: Of the generator for parameters that are not the space's.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> worker = EvaluationWorker(space, cohort)
        >>> study = optuna.create_study(sampler=DifferentiableSampler(space, k=3))
        >>> worker.rank(study)
        >>> study.optimize(worker)  # ends after 4 trials
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        k: int = 3,
        length: float | None = None,
        forced: Mapping[str, str] | None = None,
        groups: Sequence[Sequence[str]] = (),
        inherit: str | None = None,
        max_retries: int = 2,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, inherit=inherit, forced=forced, groups=groups, max_retries=max_retries, seed=seed)
        if length is not None and not (is_finite(length) and length > 0):
            raise ValueError(f"`length` must be a finite number above 0, but got {length!r}.")
        self.k, self.length = check_count("k", k), length

    def _engine(self) -> Engine:
        return Shortlist(self.moves, self.inherit, self.k)

    @property
    def max_evaluations(self) -> int:
        return min(1 + self.k, self.moves.size)

    def needs_ranking(self, study: Study) -> bool:
        """Return whether the study has no ranking as yet: `EvaluationWorker.rank(study)` writes one."""
        return history.ranking_of(study) is None

    def _read(self, study: Study, *, below: int | None = None) -> _View:
        view = super()._read(study, below=below)
        engine = view.engine
        if isinstance(engine, Shortlist) and not engine.is_ranked:
            ranking = history.ranking_of(study)
            if ranking is not None:
                engine.take(ranking)
        return view

    def _decision(self, view: _View, *, is_last_call: bool) -> _Decision | None:
        unranked = isinstance(view.engine, Shortlist) and not view.engine.is_ranked
        return super()._decision(view, is_last_call=is_last_call or unranked)  # waiting would not bring a ranking

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random choice for a parameter that is not the space's.

        Raises:
            TrialPruned: If there is nothing to evaluate, as every sampler of ours.
            RuntimeError: If it is the space's and the study has no ranking.
        """
        choices = self.space.parameters.get(param_name)
        is_own = choices is not None and getattr(param_distribution, "choices", None) == choices
        if is_own and self._decision_of(study, trial).claim.surplus is not None and self.needs_ranking(study):
            raise RuntimeError(
                "`study` must have a ranking of the configurations, but has none; call `EvaluationWorker.rank(study)` "
                "before it is optimised (a table of losses has no model that could be trained for it)."
            )
        return super().sample_independent(study, trial, param_name, param_distribution)
