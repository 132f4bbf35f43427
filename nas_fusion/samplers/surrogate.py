"""Budgeted search ordered by a surrogate: a second-order model of the history says what is worth evaluating next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas_fusion.history import Claim
from nas_fusion.samplers._base import SearchSampler
from nas_fusion.samplers.candidates import Candidates, Evaluation
from nas_fusion.samplers.checks import check_count
from nas_fusion.samplers.coding import Coding
from nas_fusion.samplers.engine import Engine, Key, Known, Move
from nas_fusion.space import Configuration, SearchSpace

_PER_COEFFICIENT = 9 / 8


@dataclass(frozen=True)
class Plan:
    """What a budgeted search is told.

    Attributes:
        n_trials: Configurations that are evaluated in all, at least 1.
        batch_size: Configurations that are decided together, at least 1.
        inherit: Where weights come from: `parent` and `baseline` are the same here.
    """

    n_trials: int
    batch_size: int
    inherit: str = "none"

    def __post_init__(self) -> None:
        check_count("n_trials", self.n_trials)
        check_count("batch_size", self.batch_size)


class Surrogate(Engine):
    """Evaluates in batches. What a batch holds follows from all evaluations but its own: not from who was first.

    The round of a claim is the number of its batch. A batch is over when all its members have a cost. What it did not ask for
    (enqueued, or evaluated by another sampler) is evidence as soon as it is known.

    Args:
        candidates: What may be evaluated.
        plan: How much, and how much at once.
    """

    def __init__(self, candidates: Candidates, plan: Plan) -> None:
        self._candidates, self._plan = candidates, plan
        self._start = candidates.index(np.zeros(len(candidates.sizes), dtype=np.intp))
        self._round = 0
        self._size = 0
        self._members: list[Key] = []
        self._evidence: tuple[Evaluation, ...] | None = None
        self._proposed: list[int] = []
        self._proposals: Iterator[int] = iter(())

    def refresh(self, known: Known) -> None:
        settled = self.used(known)
        chosen = {key: round_ for key, round_ in known.rounds().items() if self._is_own(key)}
        self._round = max(chosen.values(), default=0)
        self._members = sorted(key for key, round_ in chosen.items() if round_ == self._round)
        self._size = self._size_of_batch(len(settled) - sum(known.cost(key) is not None for key in self._members))
        if len(self._members) >= self._size and all(known.cost(key) is not None for key in self._members):
            self._round, self._members, self._size = self._round + 1, [], self._size_of_batch(len(settled))

    def next_move(self, known: Known) -> Move | None:
        begun = [key for key in self._members if known.cost(key) is None and not known.is_claimed(key)]
        if begun:  # who had claimed it gave up
            return self._move(begun[0])
        if len(self._members) >= self._size:
            return None
        self._propose(known)
        key = self._next_free(known)
        return key if key is None else self._move(key)

    def is_complete(self, known: Known) -> bool:
        return len(self.used(known)) >= min(self._plan.n_trials, self._candidates.count)

    def path(self, known: Known) -> list[Configuration]:
        space = self._candidates.moves.space
        ranked = [(cost, key.configuration) for key in self.used(known) if math.isfinite(cost := _cost(known, key))]
        if not ranked:
            return []
        least = min(cost for cost, _ in ranked)
        tied = (space.configuration(index) for cost, index in sorted(ranked) if cost == least)
        best = min(tied, key=lambda configuration: len(space.active(configuration)))
        return list(dict.fromkeys((self._candidates.moves.start, best)))

    def used(self, known: Known) -> list[Key]:
        return sorted(
            (key for key in known.settled() if self._is_own(key)), key=lambda key: (key != self._key(self._start), key)
        )

    # --- batches ---

    def _size_of_batch(self, n_before: int) -> int:
        return min(self._plan.batch_size, min(self._plan.n_trials, self._candidates.count) - n_before)

    def _propose(self, known: Known) -> None:
        """Begin to decide the batch, unless that has been done with the same evidence."""
        members = {*self._members}
        before = (key for key in self.used(known) if key not in members)
        evidence = tuple(Evaluation(key.configuration, _cost(known, key), known.losses(key)) for key in before)
        if evidence != self._evidence:
            from nas_fusion.samplers.proposals import proposals  # its libraries take long to load: only for who searches

            self._evidence, self._proposed = evidence, []
            self._proposals = proposals(self._candidates, evidence)

    def _next_free(self, known: Known) -> Key | None:
        """Return the first proposal that nobody evaluates; what others were asked for by hand is passed over."""
        for position in range(self._candidates.count):
            if position == len(self._proposed):
                proposal = next(self._proposals, None)
                if proposal is None:
                    return None
                self._proposed.append(proposal)
            key = self._key(self._proposed[position])
            if position > 0 and not self._may_follow(known):
                return None
            if known.cost(key) is None and not known.is_claimed(key):
                return key
        return None

    def _may_follow(self, known: Known) -> bool:
        """Return whether others than the start can be evaluated: weights come from it."""
        return self._plan.inherit == "none" or known.cost(self._key(self._start)) is not None

    # --- keys ---

    def _key(self, index: int) -> Key:
        inherits = self._plan.inherit == "parent" and index != self._start
        return Key(index, self._start if inherits else -1)

    def _is_own(self, key: Key) -> bool:
        return key == self._key(key.configuration) and self._candidates.contains(key.configuration)

    def _move(self, key: Key) -> Move:
        start = self._candidates.moves.start
        if key.configuration == self._start:
            return Move(key, Claim(start, None, (), self._round))
        lineage = () if self._plan.inherit == "none" else (start,)
        return Move(key, Claim(self._candidates.moves.space.configuration(key.configuration), start, lineage, self._round))


def _cost(known: Known, key: Key) -> float:
    cost = known.cost(key)
    assert cost is not None, "Should not reach."
    return cost


class SurrogateSampler(SearchSampler):
    """Spends a budget where a model of second order expects the most: synergy is found without trying all subsets.

    The baseline is evaluated first. After that, a Bayesian model of the loss (a constant, an effect of each parameter, an
    interaction of each pair, a small remainder of higher order; see `nas_fusion.samplers.quadratic`) is fitted to all
    evaluations, and the configurations with the largest expected improvement of the best are evaluated next. Where trials tell
    the losses of folds or training seeds (`nas_fusion.write_losses`), their noise is estimated and allowed for.

    It decides in batches: what a batch holds follows from the evaluations before it. Therefore any number of workers evaluates
    the same configurations, but more workers than `batch_size` find nothing to do, and so do those who wait for the last of a
    batch. A landscape of m parameters with one module
    each has 1 + m + m (m - 1) / 2 coefficients up to second order; the default budget is 9/8 of that number.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        n_trials: Configurations that are evaluated in all, those included that were before; `None` for 9/8 of the coefficients.
        batch_size: Configurations that are decided together, at least 1: as many as workers; fewer take fewer evaluations.
        inherit: `"parent"` and `"baseline"` (here the same) or `"none"`; `None` for the space's own rule.
        forced: Choices that every configuration has.
        groups: Lists of parameters that are switched together.
        max_retries: How often a failed configuration is repeated before it is skipped.
        seed: Of the generator for parameters that are not the space's; the search itself is not random.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> sampler = SurrogateSampler({f"layer{i}": ["none", "mmtm"] for i in range(1, 9)})
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(objective)  # ends after 42 of 256 trials
        >>> sampler.best(study)
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        n_trials: int | None = None,
        batch_size: int = 2,
        inherit: str | None = None,
        forced: Mapping[str, str] | None = None,
        groups: Sequence[Sequence[str]] = (),
        max_retries: int = 2,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, inherit=inherit, forced=forced, groups=groups, max_retries=max_retries, seed=seed)
        self._candidates = Candidates(self.moves)
        self._plan = Plan(default_budget(self._candidates) if n_trials is None else n_trials, batch_size, self.inherit)

    def _engine(self) -> Engine:
        return Surrogate(self._candidates, self._plan)

    @property
    def max_evaluations(self) -> int:
        return min(self._plan.n_trials, self._candidates.count)


def default_budget(candidates: Candidates) -> int:
    """Return 9/8 of the number of coefficients of a landscape of second order, and no more than there are configurations."""
    return min(math.ceil(_PER_COEFFICIENT * Coding(candidates.sizes).n_coefficients), candidates.count)
