"""Floating search in the lattice of configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from nas_fusion.samplers.checks import check_switch
from nas_fusion.samplers.floating_rounds import Back, FloatingRounds
from nas_fusion.samplers.lattice_sampler import LatticeOptions, LatticeSampler
from nas_fusion.samplers.policy import Policy
from nas_fusion.space import SearchSpace

DIRECTIONS = ("forward", "backward")


class FloatingSampler(LatticeSampler):
    """Floating search: after each step along, steps back as long as they find a better set of their size.

    Forward (SFFS): the baseline A_0 is evaluated first. A step along activates the point (with the module) that is best, *also
    if that is worse than what was before*. Then points other than that one are switched off, one at a time the best, as long as
    what remains is better than the best set of the same size so far. So the search goes through all sizes, up to everything on,
    and corrects itself on its way; a form that stops at the first size without improvement would be trapped like greedy search
    (see `patience`). Backward (SBFS) is its mirror image: it begins with everything on, as `BackwardSampler` does, steps along
    by switching off and steps back by switching on. Selected is the best of all that it went through.

    The size is the number of active points (a group counts as one). To exchange one module for another, a step back takes the
    one off, and the next step along may put the other in; in the backward search, a step back may put another module in the
    place of the one just switched off. With `changes=True`, each step back may also exchange the choice of one point for
    another that is not off, which leaves the size as it is: where points have several choices, the search corrects these, too.
    A step back is the best of all moves that lead to a better set of their own size. Each configuration is evaluated at most
    once, from the parent from which the search first came to it: where weights are inherited, too, it never costs more than
    exhaustive search.

    Source: Pudil, Novovicova & Kittler, Floating search methods in feature selection, Pattern Recognition Letters 15 (1994).
    mlxtend's `SequentialFeatureSelector(floating=True)` demands two things more of a step back: that it also improves on the
    larger set (in the backward direction: the smaller one) that it is taken from, which forbids all steps back where every
    feature helps, and that it never undoes the last step along, where the paper says so only of the first one. `strict=True`
    takes mlxtend's steps. mlxtend never looks at the empty set; we do at the beginning, and compare with it in the end.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        direction: `"forward"` or `"backward"`.
        strict: Whether a step back must also improve on what it is taken from, and never undo the last step along, as in
            mlxtend.
        changes: Whether a step back may also exchange one choice for another; no other search of this kind does.
        **options: Those of `LatticeSampler`; `patience` counts steps along and is `None` here by default: all sizes.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> sampler = FloatingSampler({f"layer{i}": ["none", "mmtm"] for i in (1, 2, 3, 4)})
        >>> study = optuna.create_study(sampler=sampler)
        >>> study.optimize(objective)
        >>> sampler.path(study)
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Sequence[str]],
        *,
        direction: str = "forward",
        strict: bool = False,
        changes: bool = False,
        **options: Unpack[LatticeOptions],
    ) -> None:
        if direction not in DIRECTIONS:
            raise ValueError(f"`direction` must be one of {', '.join(DIRECTIONS)}, but got {direction!r}.")
        self._is_forward, self._strict = direction == "forward", check_switch("strict", strict)
        self._changes = check_switch("changes", changes)
        options.setdefault("patience", None)
        super().__init__(space, **options)

    def _make_policy(self) -> Policy:
        opening = self._forward_opening() if self._is_forward else self._backward_opening()
        back = Back(strict=self._strict, changes=self._changes)
        return FloatingRounds(self.moves, self._rule, opening, forward=self._is_forward, back=back)
