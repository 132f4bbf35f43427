"""Whom a trial competes with: the other candidates of its round, and what its round must improve on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas_fusion import history


@dataclass(frozen=True)
class Round:
    """A trial that runs, seen among those it competes with.

    Attributes:
        trial: As the storage has it.
        mates: Ended trials of the same round that the search uses, controls left out.
        must_beat: Completed trials that a round's result has to improve on or be in vain: the parent, and the parent trained
            on without a new module. Empty where a candidate may survive without an improvement.
        survivors: How many of a round survive.
        sign: What makes values costs: -1 where the study maximises.
    """

    trial: FrozenTrial
    mates: tuple[FrozenTrial, ...]
    must_beat: tuple[FrozenTrial, ...]
    survivors: int
    sign: float

    def losses(self, trial: FrozenTrial) -> tuple[float, ...]:
        """Return the losses of a trial so far, fold after fold, to be minimised: as written, else as reported."""
        found = history.losses_of(trial) or tuple(value for _, value in sorted(trial.intermediate_values.items()))
        return tuple(self.sign * loss for loss in found)

    def reports(self, trial: FrozenTrial) -> tuple[float, ...]:
        """Return what a trial has reported so far, step after step, to be minimised."""
        return tuple(self.sign * value for _, value in sorted(trial.intermediate_values.items()))

    def cost(self, trial: FrozenTrial) -> float:
        """Return the value of a completed trial, to be minimised."""
        assert trial.value is not None, "Should not reach."
        return self.sign * trial.value


def n_done(trial: FrozenTrial) -> int:
    """Return how many losses a trial has so far: as written, else as reported."""
    return len(history.losses_of(trial)) or len(trial.intermediate_values)


def round_of(study: Study, trial: FrozenTrial) -> Round | None:
    """Return a running trial among those it competes with, `None` if it is no candidate of a round.

    A sampler works in rounds if it says how their candidates compete (`contest`), as those of ours that search the lattice do.
    What was speculated and is not used (as yet) competes with nobody; what is evaluated before the first round and controls
    are no candidates.
    """
    sampler: Any = study.sampler
    contest = getattr(sampler, "contest", None)
    stored = study._storage.get_trial(trial._trial_id)  # claims are written behind the back of Optuna's trial object
    claim = history.claim_of(stored)
    if contest is None or claim is None or claim.round is None or claim.parent is None or _is_control(claim):
        return None
    if claim.round < contest.first_round:
        return None
    used = set(sampler.state(study).used)
    trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
    others = [(other, of) for other in trials if other.number in used and (of := history.claim_of(other)) is not None]
    mates = tuple(other for other, of in others if of.round == claim.round and not _is_control(of))
    to_beat = [
        other
        for other, of in others
        if of.configuration == claim.parent
        and other.state == TrialState.COMPLETE
        and (not _is_control(of) or of.round == claim.round)
    ]
    return Round(
        trial=stored,
        mates=mates,
        must_beat=tuple(to_beat) if contest.must_improve else (),
        survivors=contest.survivors,
        sign=-1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0,
    )


def _is_control(claim: history.Claim) -> bool:
    return claim.parent is not None and claim.parent == claim.configuration
