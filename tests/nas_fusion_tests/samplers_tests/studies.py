"""Studies on storages, and what their trials were asked for, for the tests of samplers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from nas_fusion import history
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, points

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE = SearchSpace(choices(4))


def sqlite(folder: Path) -> BaseStorage:
    return RDBStorage(f"sqlite:///{folder / 'study.db'}", engine_kwargs={"connect_args": {"timeout": 60}})


def journal(folder: Path) -> BaseStorage:
    return JournalStorage(JournalFileBackend(str(folder / "study.log")))


def claimed(trial: optuna.Trial) -> tuple[int, ...] | str:
    """What a trial was asked for: points, or why there was nothing."""
    claim = history.claim_of(trial)
    assert claim is not None
    return claim.surplus or "" if claim.configuration is None else points(claim.configuration)


def tell(study: optuna.Study, trial: optuna.Trial, value: float) -> None:
    SPACE.suggest(trial)
    study.tell(trial, value)


def ended(study: optuna.Study) -> Counter[tuple[object, ...]]:
    """How often each configuration was evaluated from each lineage of weights."""
    trials = [t for t in study.trials if t.state == TrialState.COMPLETE]
    return Counter((points(t.params), *map(points, history.lineage_of(t) or ())) for t in trials)
