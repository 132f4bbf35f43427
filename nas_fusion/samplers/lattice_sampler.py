"""What the samplers that search in rounds share: their options."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict

from nas_fusion.samplers._base import SearchSampler
from nas_fusion.samplers.acceptance import Acceptance
from nas_fusion.samplers.engine import Engine
from nas_fusion.samplers.lattice import Lattice
from nas_fusion.samplers.policy import Policy, Rule
from nas_fusion.samplers.rounds import Rounds
from nas_fusion.space import LISTED, Configuration, SearchSpace


class LatticeOptions(TypedDict, total=False):
    """The options of `LatticeSampler`, for samplers that hand them on."""

    inherit: str | None
    forced: Mapping[str, str] | None
    groups: Sequence[Sequence[str]]
    start: Mapping[str, str] | None
    accept: str
    tolerance: float
    level: float
    control: bool
    patience: int | None
    max_retries: int
    speculate: bool
    seed: int | None


class Contest(NamedTuple):
    """How the candidates of a round compete.

    Attributes:
        first_round: The first round that has candidates; before it everything is evaluated whatever it brings.
        survivors: How many of a round survive.
        must_improve: Whether a candidate that does not improve on its parent is in vain.
    """

    first_round: int
    survivors: int
    must_improve: bool


class LatticeSampler(SearchSampler):
    """A search in rounds through the lattice of configurations: evaluate all of a round, keep the best, move on.

    Ties are broken by fewer active parameters, then by the configuration's index. What is pruned or not finite is not better.
    A forward move chooses a module for a point that is off, a move back switches a point off; to exchange one module for
    another takes two moves.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        inherit: Where the objective starts a candidate's weights from: `"parent"`, `"baseline"` or `"none"`; `None` for the
            space's own rule. `"baseline"` means the configuration that the search begins with.
        forced: Choices that every configuration has; `{"layer4": "none"}` leaves a point out.
        groups: Lists of parameters that are switched together, each with the same choices: on with the same one, off together.
        start: Where the search starts instead of the baseline (a backward one: instead of everything on): the choices that are
            not off.
        accept: `"best"`: what has the lower mean is better. `"one_se"`: the search is the same, but of all that it has
            evaluated the fewest active parameters within one standard error of the best are selected. `"paired"`: only what
            is significantly better in a paired test, corrected for overlapping training sets, is an improvement; a move back
            must be one, too. The last two need the losses of folds or training seeds (`nas_fusion.write_losses`).
        tolerance: How much better an improvement must be, in the unit of the values, at least 0.
        level: Of the one-sided test of `"paired"`, in (0, 0.5).
        control: Whether a move must also improve on its parent trained on without a new module for the same budget, which each
            round then evaluates beside the moves. Needs `inherit="parent"`. Controls are never selected.
        patience: Rounds in a row without improvement after which the search ends, at least 1; `None` to go on to the end of the
            lattice.
        max_retries: How often a failed configuration is repeated before it is skipped.
        speculate: Whether to begin the next round where it can be guessed, when all of a round is being evaluated by others.
            What was guessed wrong is ignored by the search.
        seed: Of the generator for parameters that are not the space's.

    Raises:
        ValueError: If an option is out of its range.
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        inherit: str | None = None,
        forced: Mapping[str, str] | None = None,
        groups: Sequence[Sequence[str]] = (),
        start: Mapping[str, str] | None = None,
        accept: str = "best",
        tolerance: float = 0.0,
        level: float = 0.05,
        control: bool = False,
        patience: int | None = 1,
        max_retries: int = 2,
        speculate: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(space, inherit=inherit, forced=forced, groups=groups, max_retries=max_retries, seed=seed)
        acceptance = Acceptance(accept, tolerance, level)
        self._rule = Rule(patience, self.inherit, speculate=speculate, acceptance=acceptance, control=control)
        self._start = None if start is None else self.moves.complete(start)
        self._policy = self._make_policy()

    @abstractmethod
    def _make_policy(self) -> Policy:
        """Return which rounds the search consists of."""

    def _engine(self) -> Engine:
        return Lattice(self._policy)

    @property
    def root(self) -> Configuration:
        return self._policy.opening[0]

    @property
    def max_evaluations(self) -> int:
        return self._policy.max_evaluations

    @property
    def contest(self) -> Contest:
        """How the candidates of a round compete: what pruners that know rounds go by."""
        width = self._policy.width if isinstance(self._policy, Rounds) else 1
        must_improve = isinstance(self._policy, Rounds) and width == 1 and self._rule.patience == 1
        return Contest(len(self._policy.opening), width, must_improve)

    def _forward_opening(self) -> tuple[Configuration]:
        return (self.moves.start if self._start is None else self._start,)

    def _backward_opening(self) -> tuple[Configuration, Configuration]:
        if self._start is not None:
            return self.moves.start, self._start
        if self.moves.size > LISTED and max(self.moves.n_modules(self.moves.start), default=1) > 1:
            warnings.warn(
                "Backward search begins with every parameter at its first choice after off, one of very many ways to have "
                "everything on: name another one by `start`.",
                stacklevel=4,
            )
        return self.moves.start, self.moves.everything()
