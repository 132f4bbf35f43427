"""The ledger: what a study's trials tell a search, read once and kept up to date."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas_fusion import history
from nas_fusion.samplers.engine import Key, key_of
from nas_fusion.space import Configuration, SearchSpace

UNCLAIMED_S = 5.0  # a running trial without a claim is not ours, or its process is dead, after so long
_CHEAP_SINGLES = (InMemoryStorage, JournalStorage)  # read one trial in constant time
_ONE_BY_ONE = 64  # then so many at most are read singly


class _Outcome(NamedTuple):
    """An evaluation's end; of several of the same key, the least one counts."""

    is_worthless: bool  # pruned or not finite: any other evaluation says more
    number: int
    cost: float
    losses: tuple[float, ...]


class _Asked(NamedTuple):
    """What a trial was asked for by the ledger's owner."""

    trial_id: int
    key: Key
    parameters: dict[str, Any]


class Ledger:
    """What is evaluated, claimed, failed and surplus in a study. Knows trials, not searches.

    Reading takes time in proportion to the trials that are new or still open, not to the history (but for what the storage
    itself needs).

    Args:
        space: Trials with other parameters are ignored.
        inherit: With `parent`, an evaluation is known by its configuration and its parent.
        max_retries: A configuration that failed more often is skipped.
        direction: With `MAXIMIZE`, costs are negated values.
        root: Where the search begins: the parent of what no search came to. `None` for the baseline.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        inherit: str,
        max_retries: int,
        direction: StudyDirection,
        root: Configuration | None = None,
    ) -> None:
        self._space, self._inherit, self._max_retries = space, inherit, max_retries
        self._root = space.baseline if root is None else root
        self._sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
        self._first_id: int | None = None
        self.revision = 0  # grows when something that was known has changed
        self._forget()

    def _forget(self) -> None:
        self.revision += 1
        self._seen = 0
        self._open: dict[int, int] = {}  # number to id of unfinished trials
        self._outcomes: dict[Key, _Outcome] = {}
        self._failures: dict[Key, int] = {}
        self._given_up: dict[Key, None] = {}
        self._claims: dict[Key, list[int]] = {}
        self._pending: dict[int, float] = {}  # number to when it was first seen running without a claim
        self._asked: dict[int, _Asked] = {}  # what this ledger's owner asked for
        self._rounds: dict[Key, int] = {}
        self.evaluated: list[int] = []
        self.surplus: list[int] = []

    # --- what engines ask ---

    def cost(self, key: Key) -> float | None:
        """Return the value to be minimised, infinite if pruned, not finite or given up, `None` if there is none as yet."""
        outcome = self._outcomes.get(key)
        if outcome is not None:
            return outcome.cost
        return math.inf if key in self._given_up else None

    def losses(self, key: Key) -> tuple[float, ...]:
        """Return what the cost is the mean of, the cost alone where no more was written, nothing for an infinite cost."""
        outcome = self._outcomes.get(key)
        return () if outcome is None or outcome.is_worthless else outcome.losses or (outcome.cost,)

    def is_claimed(self, key: Key) -> bool:
        """Return whether a living process evaluates it, or a trial waits for that."""
        return key in self._claims

    def rounds(self) -> Mapping[Key, int]:
        """Return what searches chose, with the round in which they did, the last one if there are several."""
        return self._rounds

    def settled(self) -> Iterable[Key]:
        """Return the keys that have a cost."""
        yield from self._outcomes
        yield from (key for key in self._given_up if key not in self._outcomes)

    # --- what samplers ask ---

    def cost_of(self, value: float | None) -> float:
        """Return what is minimised for a trial's value: infinite for none, or one that is not finite."""
        return math.inf if value is None or not math.isfinite(value) else self._sign * value

    def losses_of(self, trial: FrozenTrial, cost: float) -> tuple[float, ...]:
        """Return what is minimised for the losses of a trial: nothing if its cost is infinite or nothing was written."""
        losses = () if math.isinf(cost) else history.losses_of(trial)
        return tuple([self._sign * loss for loss in losses]) if losses else ()

    def number(self, key: Key) -> int | None:
        """Return the number of the trial whose value counts for a key."""
        outcome = self._outcomes.get(key)
        return None if outcome is None else outcome.number

    def skipped(self) -> list[Configuration]:
        """Return the configurations that failed too often."""
        return [self._space.configuration(key.configuration) for key in self._given_up if key not in self._outcomes]

    def waits_for(self, number: int) -> bool:
        """Return whether a trial of a lower number may still write a claim."""
        if not self._pending:
            return False
        now = time.monotonic()
        return any(other < number and now - since < UNCLAIMED_S for other, since in self._pending.items())

    def lost_patience(self) -> bool:
        """Return whether trials without a claim were taken for foreign or dead because of their silence."""
        return bool(self._pending)

    def is_contested(self, key: Key, number: int) -> bool:
        """Return whether another trial than this one claims a key or has settled it."""
        return key in self._outcomes or any(other != number for other in self._claims.get(key, ()))

    def note(self, trial: FrozenTrial, key: Key, parameters: dict[str, Any], round_: int | None) -> None:
        """Remember what a trial was asked for, which saves working it out when it ends."""
        self._asked[trial.number] = _Asked(trial._trial_id, key, parameters)
        self._note_round(key, round_)

    def read(self, storage: BaseStorage, study_id: int, *, below: int | None = None) -> None:
        """Take in what has happened since the last reading.

        Args:
            storage: Where the study is.
            study_id: Which study.
            below: Trials of this number and above need not be read, `None` to read all.
        """
        trials = self._fetch(storage, study_id, below)
        known_pending = self._pending
        self._claims, self._open, self._pending = {}, {}, {}
        for trial in trials:
            if trial.state.is_finished():
                self._finish(trial)
                continue
            if trial.params and not history.is_own_claim(trial):
                # Relational storages read attributes and parameters one after the other: a claim that is missing beside
                # parameters is only missing for certain if it is so once more.
                trial = storage.get_trial(trial._trial_id)
            self._take_open(trial, known_pending)

    def _fetch(self, storage: BaseStorage, study_id: int, below: int | None) -> list[FrozenTrial]:
        if below is not None and self._reads_singly(storage, below):
            ids = list(self._open.values())
            for number in range(self._seen, below):
                own = self._asked.get(number)
                ids.append(own.trial_id if own else storage.get_trial_id_from_study_id_trial_number(study_id, number))
            self._seen = max(self._seen, below)
            return [storage.get_trial(trial_id) for trial_id in ids]
        trials = storage.get_all_trials(study_id, deepcopy=False)
        first_id = trials[0]._trial_id if trials else None
        if len(trials) < self._seen or first_id != (first_id if self._first_id is None else self._first_id):
            self._forget()  # the study was deleted, and another has its id
        self._first_id = first_id
        numbers = [*self._open, *range(self._seen, len(trials))]
        self._seen = len(trials)
        return [trials[number] for number in numbers]

    def _reads_singly(self, storage: BaseStorage, below: int) -> bool:
        """Return whether it is cheaper to read trials one by one than all at once.

        Relational storages answer for a trial that they saw finished, as Optuna looks for waiting ones, without the database.
        """
        n_trials = len(self._open) + below - self._seen
        if isinstance(storage, _CHEAP_SINGLES):
            return n_trials <= _ONE_BY_ONE
        return n_trials <= 1 and below >= self._seen

    def _take_open(self, trial: FrozenTrial, known_pending: dict[int, float]) -> None:
        is_ours = history.is_own_claim(trial)
        if is_ours and history.is_surplus(trial):
            self.surplus.append(trial.number)
            return
        self._open[trial.number] = trial._trial_id
        is_running = trial.state == TrialState.RUNNING
        if is_running and is_ours and history.is_dead(trial):
            return
        key = self._claimed_key(trial)
        if key is not None:
            self._claims.setdefault(key, []).append(trial.number)
        elif is_running and not is_ours and not trial.params and "fixed_params" not in trial.system_attrs:
            self._pending[trial.number] = known_pending.get(trial.number, time.monotonic())

    def _finish(self, trial: FrozenTrial) -> None:
        asked = self._asked.pop(trial.number, None)
        if asked is not None and trial.params == asked.parameters:
            self._end(trial, asked.key, asked.key)
        elif history.is_surplus(trial):
            self.surplus.append(trial.number)
        else:
            # A finished trial counts by its own parameters; its claim only says what it should have evaluated.
            self._end(trial, self._key(trial.params, history.claim_of(trial)), self._claimed_key(trial))

    def _end(self, trial: FrozenTrial, key: Key | None, asked: Key | None) -> None:
        if trial.state == TrialState.FAIL and not history.is_non_finite(trial):
            if not history.is_abandoned(trial):
                self._fail(key if asked is None else asked)
        elif key is not None:
            self._settle(trial, key)
            if asked is not None and asked != key:
                self._fail(asked)
        elif trial.state != TrialState.COMPLETE or not self._space.parameters.keys().isdisjoint(trial.params):
            self._fail(asked)

    def _settle(self, trial: FrozenTrial, key: Key) -> None:
        cost = self.cost_of(trial.value if trial.state == TrialState.COMPLETE else None)
        outcome = _Outcome(math.isinf(cost), trial.number, cost, self.losses_of(trial, cost))
        known = self._outcomes.get(key)
        self.evaluated.append(trial.number)
        if known is None or outcome < known:
            self._outcomes[key] = outcome
            self.revision += known is not None or key in self._given_up

    def _fail(self, key: Key | None) -> None:
        if key is None:
            return
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] > self._max_retries and key not in self._given_up:
            self._given_up[key] = None
            choices = self._space.active(self._space.configuration(key.configuration)) or "the baseline"
            warnings.warn(f"{choices} failed {self._failures[key]} times: the search goes on without it.", stacklevel=2)

    def _claimed_key(self, trial: FrozenTrial) -> Key | None:
        """Return what a trial was to evaluate by its claim, or else by the parameters that it was enqueued with."""
        claim = history.claim_of(trial)
        if claim is not None and claim.configuration is not None:
            key = self._key(claim.configuration, claim)
            self._note_round(key, claim.round)
            return key
        return (
            None
            if trial.state.is_finished()
            else self._key({**trial.system_attrs.get("fixed_params", {}), **trial.params}, claim)
        )

    def _note_round(self, key: Key | None, round_: int | None) -> None:
        if key is not None and round_ is not None:
            self._rounds[key] = max(round_, self._rounds.get(key, 0))

    def _key(self, choices: Mapping[str, Any], claim: history.Claim | None) -> Key | None:
        configuration = history.configuration_of(choices, self._space)
        if configuration is None:
            return None
        if claim is not None and claim.configuration == configuration:
            return key_of(self._space, configuration, claim.parent, self._inherit)
        return key_of(self._space, configuration, default_parent(self._root, configuration), self._inherit)


def default_parent(root: Configuration, configuration: Configuration) -> Configuration | None:
    """Return the parent of what no search came to: where the search begins, `None` for that itself."""
    return None if configuration == root else root
