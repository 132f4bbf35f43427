"""The loop of one worker on one study: ask, evaluate, tell, until the search is complete."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import optuna
from optuna.trial import Trial, TrialState

from nas_fusion import history
from nas_fusion.study.budget import outlook
from nas_fusion.study.progress import EpochDone, EvaluationDone, EvaluationFailed, EvaluationPruned, Listener
from nas_fusion.study.ranking import ensure_ranking

if TYPE_CHECKING:
    from nas_fusion.study.laboratory import Laboratory
    from nas_fusion.study.spec import StudySpec

_POLL_S = 0.2


def search(study: optuna.Study, spec: StudySpec, laboratory: Laboratory, listener: Listener, *, worker: int = 0) -> None:
    """Work on a study until its search is complete; other workers, here or elsewhere, may do so too.

    An evaluation that fails is told as failed, with the reason, and the search goes on. Trials of workers that died on this
    host are failed, so that the search repeats them.

    Args:
        study: The study.
        spec: Its specification, with the sampler.
        laboratory: Space and worker.
        listener: Is told each epoch, evaluation and failure.
        worker: Index of this worker, for the listener.
    """
    study.sampler, study.pruner = laboratory.sampler(spec), laboratory.pruner(spec)
    ensure_ranking(study, laboratory, listener, worker=worker)
    while True:
        history.fail_dead_trials(study)
        ahead = outlook(study, spec, laboratory.space)
        if ahead == history.COMPLETE:
            return
        if ahead == history.WAITING:  # each ask that finds nothing to do would leave a trial behind
            time.sleep(_POLL_S)
            continue
        trial = study.ask()
        try:
            goes_on = _evaluate(study, trial, laboratory, listener, worker)
        except BaseException:
            history.abandon(study, trial)  # unless it has ended: whoever resumes, even in this process, repeats it
            raise
        if not goes_on:
            return


def _evaluate(study: optuna.Study, trial: Trial, laboratory: Laboratory, listener: Listener, worker: int) -> bool:
    """Evaluate what a trial was asked for, tell the outcome, and return whether the sampler goes on."""
    if history.is_surplus(trial):
        return _tell(study, trial, TrialState.PRUNED)
    label, epochs = "", 0

    def on_epoch(fold: int, epoch: int, loss: float) -> None:
        listener(EpochDone(worker, label, fold, epoch, loss, epochs))

    try:
        configuration = laboratory.space.suggest(trial)
        label, epochs = laboratory.label(configuration), laboratory.epochs(configuration)
        value = laboratory.worker(trial, on_epoch=on_epoch)
    except optuna.TrialPruned as reason:
        listener(EvaluationPruned(worker, label, str(reason)))
        return _tell(study, trial, TrialState.PRUNED)
    except Exception as error:  # noqa: BLE001  # a model may fail in any way; the search goes on without it
        message = f"{type(error).__name__}: {error}"
        history.write_error(trial, message)
        listener(EvaluationFailed(worker, label, message))
        return _tell(study, trial, TrialState.FAIL)
    listener(EvaluationDone(worker, label, value, history.was_trained(trial)))
    if not math.isfinite(value):
        return _tell(study, trial, TrialState.FAIL)
    return _tell(study, trial, TrialState.COMPLETE, [value])


def _tell(study: optuna.Study, trial: Trial, state: TrialState, values: Sequence[float] | None = None) -> bool:
    """Tell an outcome and return whether the sampler goes on; what somebody else has ended stays as it is."""
    try:
        study.tell(trial, values, state, skip_if_finished=True)
    except RuntimeError as error:
        if "`Study.stop`" not in str(error):
            raise
        return False  # Optuna's samplers of finite spaces say so when they have been everywhere
    return True
