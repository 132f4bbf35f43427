"""What all our samplers share: the claims, by which any number of processes, threads and asks train nothing twice."""

from __future__ import annotations

import contextlib
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn
from weakref import ReferenceType, WeakKeyDictionary, ref

from optuna import Study, TrialPruned
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from nas_fusion import history
from nas_fusion.history import Claim
from nas_fusion.samplers.checks import check_count
from nas_fusion.samplers.engine import Engine, Key, Supposing
from nas_fusion.samplers.ledger import Ledger, default_parent
from nas_fusion.samplers.moves import Moves
from nas_fusion.samplers.state import SearchState, best_configurations, read_state
from nas_fusion.space import Configuration, SearchSpace, check_inherit

WAIT_S = 1.0  # so long an ask waits for others at most when there is nothing to claim
_SLOW_S = 2.0  # who took longer to decide looks whether others have decided meanwhile
_PAUSES_S = (0.001, 0.05)


class _Decision(NamedTuple):
    """What was decided for a trial; surplus trials have no key."""

    key: Key | None
    claim: Claim
    parameters: dict[str, Any]


@dataclass
class _View:
    """What a sampler keeps of one study. All of it can be read again."""

    ledger: Ledger
    engine: Engine
    revision: int
    decided: dict[int, _Decision] = field(default_factory=dict)  # by trial id, until the trial ends


class _Recent(NamedTuple):
    """The study that was looked at last."""

    storage: ReferenceType[BaseStorage]
    study_id: int
    view: _View


class SearchSampler(BaseSampler):
    """A sampler that is a pure function of the study's history: another process continues where one ended.

    Each trial is decided before it runs, in the order of trial numbers, and its decision (the *claim*) is written on it.
    A trial that finds nothing to claim is *surplus*: it is pruned when it asks for one of the space's parameters, inside the
    objective, and if the search is complete the study is stopped. With `ask` and `tell`, that `TrialPruned` reaches the caller:
    tell the trial as pruned, and end when `sampler.outlook(study)` is `"complete"`. While others evaluate all that can be
    evaluated now, an ask waits a second at most, and is surplus then; a loop of one's own looks at `outlook` instead.

    Parameters that are not the space's are drawn independently at random.

    Args:
        space: A search space, or a mapping of parameters to choices, the first of which means off.
        inherit: Where the objective starts a candidate's weights from: `"parent"`, `"baseline"` or `"none"`; `None` for the
            space's own rule, which is `"none"` for a mapping.
        forced: Choices that every configuration has; `{"layer4": "none"}` leaves a point out.
        groups: Lists of parameters that are switched together, each with the same choices: on with the same one, off together.
        max_retries: How often a failed configuration is repeated before it is skipped.
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
        max_retries: int = 2,
        seed: int | None = None,
    ) -> None:
        self.space = SearchSpace.of(space)
        self.inherit = check_inherit(self.space.inherit if inherit is None else inherit)
        self.moves = Moves(self.space, forced, groups)
        self._max_retries = check_count("max_retries", max_retries, least=0)
        self._random = RandomSampler(seed=seed)
        self._lock = threading.RLock()
        self._views: WeakKeyDictionary[BaseStorage, dict[int, _View]] = WeakKeyDictionary()
        self._recent: _Recent | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_views", "_recent")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.RLock(), _views=WeakKeyDictionary(), _recent=None)

    @abstractmethod
    def _engine(self) -> Engine:
        """Return the engine of a search that has not begun."""

    @property
    @abstractmethod
    def max_evaluations(self) -> int:
        """The largest number of evaluations that the search can ask for, repetitions and speculation not counted."""

    @property
    def root(self) -> Configuration:
        """The configuration that the search begins with: the baseline, unless something is forced."""
        return self.moves.start

    # --- what is known of a study ---

    def state(self, study: Study) -> SearchState:
        """Return how far the search has come in a study."""
        with self._lock:
            view = self._read(study)
            return read_state(view.engine, view.ledger)

    def path(self, study: Study) -> list[Configuration]:
        """Return the accepted configurations in order, what the search began with first; empty before the first evaluation."""
        return list(self.state(study).path)

    def best(self, study: Study) -> Configuration | None:
        """Return the best configuration that the search has accepted, `None` before the first evaluation."""
        return self.state(study).best

    def n_best(self, study: Study, n: int) -> list[Configuration]:
        """Return the best configurations of all that the search used, each once, the best first.

        Ties are broken by fewer active parameters, then by index. What comes first is what has the least mean, whatever the
        search's rule of acceptance: `best` returns what is accepted.

        Args:
            study: What the sampler searched.
            n: How many at most, at least 1.

        Raises:
            ValueError: If `n` is less than 1.
        """
        with self._lock:
            view = self._read(study)
            return best_configurations(self.space, view.engine, view.ledger, n)

    def outlook(self, study: Study) -> str:
        """Return what a new trial would find: `"open"`, something to evaluate; `"waiting"`, for others; or `"complete"`."""
        with self._lock:
            view = self._read(study)
            if view.engine.next_move(view.ledger) is not None:
                return "open"
            return history.COMPLETE if view.engine.is_complete(view.ledger) else history.WAITING

    def _view(self, study: Study) -> _View | None:
        recent = self._recent
        if recent is not None and recent.storage() is study._storage and recent.study_id == study._study_id:
            return recent.view
        view = self._views.get(study._storage, {}).get(study._study_id)
        if view is not None:
            self._recent = _Recent(ref(study._storage), study._study_id, view)
        return view

    def _read(self, study: Study, *, below: int | None = None) -> _View:
        view = self._view(study)
        if view is None:
            self._raise_error_if_multi_objective(study)
            ledger = Ledger(
                self.space,
                inherit=self.inherit,
                max_retries=self._max_retries,
                direction=study.direction,
                root=self.root,
            )
            view = _View(ledger, self._engine(), ledger.revision)
            self._views.setdefault(study._storage, {})[study._study_id] = view
        view.ledger.read(study._storage, study._study_id, below=below)
        if view.revision != view.ledger.revision:
            view.engine, view.revision = self._engine(), view.ledger.revision
        view.engine.refresh(view.ledger)
        return view

    # --- deciding ---

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Claim what the trial evaluates, or mark it as surplus. Writes one attribute."""
        self._raise_error_if_multi_objective(study)
        if history.is_own_claim(trial):
            return  # a trial object made anew from the storage
        if trial.params or trial.system_attrs.get("fixed_params"):
            history.write_claim(study, trial, self._claim_of_fixed(trial))
            return
        started = time.monotonic()
        while True:
            decision = self._decide(study, trial, started)
            history.write_claim(study, trial, decision.claim)
            if decision.key is None or not self._must_repeat(study, trial, started, decision.key):
                return

    def _claim_of_fixed(self, trial: FrozenTrial) -> Claim:
        """Return the claim of a trial whose parameters were given: enqueued, or the repetition of a failed one."""
        given = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        configuration = history.configuration_of(given, self.space)
        if configuration is None:
            return Claim()
        copied = history.claim_of(trial)
        if copied is not None and copied.configuration == configuration:
            return copied
        parent = default_parent(self.root, configuration)
        lineage = () if self.inherit == "none" or parent is None else (parent,)
        return Claim(configuration, parent, lineage)

    def _decide(self, study: Study, trial: FrozenTrial, started: float) -> _Decision:
        pause, longest = _PAUSES_S
        while True:
            with self._lock:
                view = self._read(study, below=trial.number)
                if not view.ledger.waits_for(trial.number):
                    decision = self._decision(view, is_last_call=time.monotonic() - started >= WAIT_S)
                    if decision is not None:
                        view.decided[trial._trial_id] = decision
                        if decision.key is not None:
                            view.ledger.note(trial, decision.key, decision.parameters, decision.claim.round)
                        return decision
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def _decision(self, view: _View, *, is_last_call: bool) -> _Decision | None:
        move = view.engine.next_move(view.ledger)
        if move is not None and move.claim.configuration is not None:
            return _Decision(move.key, move.claim, move.claim.configuration.to_dict())
        if view.engine.is_complete(view.ledger):
            return _Decision(None, Claim(surplus=history.COMPLETE), {})
        return _Decision(None, Claim(surplus=history.WAITING), {}) if is_last_call else None

    def _must_repeat(self, study: Study, trial: FrozenTrial, started: float, key: Key) -> bool:
        """Return whether another trial decided for the same, each having taken the other for dead: only slowness allows it."""
        view = self._view(study)
        assert view is not None, "Should not reach."
        if not view.ledger.lost_patience() and time.monotonic() - started < _SLOW_S:
            return False
        with self._lock:
            return self._read(study).ledger.is_contested(key, trial.number)

    # --- Optuna's questions ---

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: Optuna asks for one parameter at a time more quickly than for all at once."""
        self._raise_error_if_multi_objective(study)
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Return what the trial was decided to evaluate; parameters that are not the space's are drawn independently."""
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        decided = self._decision_of(study, trial).parameters
        return {
            name: decided[name] if name in decided else self.sample_independent(study, trial, name, distribution)
            for name, distribution in search_space.items()
        }

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return what was decided for one of the space's parameters, a random choice for any other.

        Raises:
            TrialPruned: If there is nothing to evaluate; the study is stopped if that is because the search is complete.
            ValueError: If a parameter of the space is asked for with other choices.
        """
        choices = self.space.parameters.get(param_name)
        if choices is not None:
            decision = self._decision_of(study, trial)
            is_own = getattr(param_distribution, "choices", None) == choices
            if param_name in decision.parameters:
                if is_own:
                    return decision.parameters[param_name]
                raise ValueError(f"`{param_name}` must be suggested with the choices {choices}, but got {param_distribution}.")
            if is_own and decision.claim.surplus is not None:
                _end_surplus(study, decision.claim.surplus)
        self._raise_error_if_multi_objective(study)
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Stop the study if this trial's end completes the search, so that no surplus trial is asked for."""
        with self._lock:
            view = self._view(study)
            decision = None if view is None else view.decided.pop(trial._trial_id, None)
            if view is None or decision is None or decision.key is None or trial.params != decision.parameters:
                return
            if state == TrialState.FAIL and not history.is_non_finite(trial):
                return
            cost = view.ledger.cost_of(values[0] if state == TrialState.COMPLETE and values else None)
            losses = view.ledger.losses_of(trial, cost)
            is_complete = view.engine.is_complete(Supposing(view.ledger, decision.key, cost, losses))
        if is_complete:
            _stop(study)

    def reseed_rng(self) -> None:
        """Give the generator for parameters that are not the space's a new seed."""
        self._random.reseed_rng()

    def _decision_of(self, study: Study, trial: FrozenTrial) -> _Decision:
        view = self._view(study)
        decided = None if view is None else view.decided.get(trial._trial_id)
        if decided is not None:
            return decided
        claim = history.claim_of(study._storage.get_trial(trial._trial_id)) or Claim()
        is_decided = claim.round is not None  # or else its parameters were given, and what was not is drawn
        return _Decision(None, claim, claim.configuration.to_dict() if claim.configuration and is_decided else {})


def _end_surplus(study: Study, reason: str) -> NoReturn:
    if reason == history.COMPLETE:
        _stop(study)
        raise TrialPruned("The search is complete.")
    raise TrialPruned("All that can be evaluated now is being evaluated by others.")


def _stop(study: Study) -> None:
    with contextlib.suppress(RuntimeError):  # outside `optimize` there is nothing to stop
        study.stop()
