"""Studies: what one is made of, and how it is created, resumed and refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.storages import BaseStorage

from nas_fusion import history
from nas_fusion.differences import differences
from nas_fusion.pruners import least_folds
from nas_fusion.space import check_inherit
from nas_fusion.spelling import did_you_mean

JOINT = "joint"
"""`StudySpec.module` of a study that chooses among all modules of a comparison of modules."""

# What may change between two runs of one study: none of it changes a number.
_FREE = ("source", "device", "artifacts", "command", "trials", "plugins")
_LEFT_OUT = ("plugins", "local_code")  # where they are empty


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """All that a process needs to work on a study: data only, JSON in and out, kept on the study itself.

    Attributes:
        space: Name of the search space.
        space_options: Its options, see `load_space`.
        source: Name of a cohort, or the path of a user's data.
        source_options: Options of `load_cohort`: modalities, label, folds, shape, ...
        sampler: Name of the sampler.
        sampler_options: Its options, such as `width`.
        trials: Evaluations of a sampler without an end of its own, `None` for one that has one.
        inherit: `parent`, `baseline` or `none`.
        plan: Overrides of every stage's training plan, such as `{"epochs": 5}`.
        seed: Of initialisation, data order and sampler.
        seeds: Training seeds of each fold.
        racing: Level of the tests by which a candidate of a round is ended before its last fold, `None` for no racing.
        halving: Whether candidates that are not in the better half of their round after 1, 2, 4, ... folds are ended.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        artifacts: Folder or URL of the store.
        fingerprint: Of the cohort.
        split: Digest of the cohort's splits.
        command: The command line that made the study.
        module: Of a comparison of modules: the one choice that the study keeps to, `joint` for all of them; else empty.
        plugins: What it is made of, see `nas_fusion.ingredients`.
        local_code: What of that is code of files, with `kind`, `name`, `path` and `sha256` each.
    """

    space: str
    source: str
    fingerprint: str
    split: str
    space_options: Mapping[str, Any] = field(default_factory=dict)
    source_options: Mapping[str, Any] = field(default_factory=dict)
    sampler: str = "sfsa"
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    trials: int | None = None
    inherit: str = "parent"
    plan: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    seeds: int = 1
    racing: float | None = None
    halving: bool = False
    device: str = "auto"
    artifacts: str = ""
    command: str = ""
    module: str = ""
    plugins: Sequence[Mapping[str, Any]] = ()
    local_code: Sequence[Mapping[str, str]] = ()

    def __post_init__(self) -> None:
        check_inherit(self.inherit)
        if self.trials is not None and self.trials < 1:
            raise ValueError(f"`trials` must be at least 1, but got {self.trials}.")
        if self.seeds < 1:
            raise ValueError(f"`seeds` must be at least 1, but got {self.seeds}.")
        if self.racing is not None:
            least_folds(self.racing)
            if self.halving:
                raise ValueError("`racing` and `halving` must not be given together: an Optuna study has one pruner.")

    def to_json(self) -> dict[str, Any]:
        """Return the specification as a JSON-compatible mapping."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value or name not in _LEFT_OUT}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StudySpec:
        """Return the specification that `to_json` gave; what a later version added is ignored.

        Raises:
            ValueError: If something that cannot be guessed is missing.
        """
        known = {f.name: f for f in dataclasses.fields(cls)}
        missing = [name for name, f in known.items() if name not in values and _required(f)]
        if missing:
            raise ValueError(f"`study` must be one that nas-fusion made, but its record lacks {', '.join(missing)}.")
        given = {name: value for name, value in values.items() if name in known}
        return cls(**given | {name: tuple(given[name]) for name in _LEFT_OUT if name in given})

    def replace(self, **changes: Any) -> StudySpec:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same when a study is resumed."""
        code = {f"{row['kind']}.{row['name']}": row["sha256"] for row in self.local_code}  # wherever the file is
        values = {name: value for name, value in self.to_json().items() if name not in (*_FREE, "local_code")}
        return values | ({"local_code": code} if code else {})


def open_study(spec: StudySpec, storage: BaseStorage, name: str) -> optuna.Study:
    """Return a study, created if there is none of that name, else resumed.

    Raises:
        ValueError: If a study of that name is not nas-fusion's or was made with other settings; the message names each
            difference, and the study is left as it is.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage, study_name=name, direction="minimize", load_if_exists=True, pruner=optuna.pruners.NopPruner()
    )
    stored = history.description(study)
    if stored is None:
        if study.get_trials(deepcopy=False):
            raise ValueError(f"`study` must be one that nas-fusion made, but {name!r} holds other trials; choose another name.")
        history.describe(study, spec.to_json())
        return study
    before = StudySpec.from_json(stored)
    found = _changed_code(before, spec) or differences(before.identity, spec.identity)
    if found:
        raise ValueError(f"`study` {name!r} cannot be resumed: {'; '.join(found)}. Choose another name with --study.")
    return study


def _changed_code(before: StudySpec, spec: StudySpec) -> list[str]:
    """Return which local code is not what it was, a sentence without its full stop each."""
    now = {(row["kind"], row["name"]): row for row in spec.local_code}
    kept = [(row, now.get((row["kind"], row["name"]), row)) for row in before.local_code]
    return [
        f"the {row['kind'][:-1]} {row['name']!r} is code of {new['path']}, which has changed since the study was made"
        for row, new in kept
        if new["sha256"] != row["sha256"]
    ]


def load_study(storage: BaseStorage, name: str) -> tuple[optuna.Study, StudySpec]:
    """Return a study that exists, and its specification.

    Raises:
        ValueError: If there is no study of that name, or nas-fusion did not make it.
    """
    known = optuna.get_all_study_names(storage)
    if name not in known:
        hint = did_you_mean(name, known) or f" There are: {', '.join(sorted(known)) or 'none'}."
        raise ValueError(f"`study` must be in the storage, but there is no {name!r}.{hint}")
    # Optuna's default pruner compares trials by the time at which they end: the result would depend on chance.
    study = optuna.load_study(storage=storage, study_name=name, pruner=optuna.pruners.NopPruner())
    stored = history.description(study)
    if stored is None:
        raise ValueError(f"`study` must be one that nas-fusion made, but {name!r} is somebody else's.")
    return study, StudySpec.from_json(stored)


def arms_of(storage: BaseStorage, name: str | None) -> tuple[str, tuple[str, ...]]:
    """Return a name and the studies that it means: one study, or the arms of a comparison.

    The arms of a comparison of samplers are `<name>-<sampler>`, those of one of modules `<name>-<module>-<sampler>`, of which
    those of a single module are a comparison of samplers themselves.

    Args:
        storage: Where the studies are.
        name: A study or comparison, `None` for the only one there is; a comparison whose arms are all there is counts as one.

    Raises:
        ValueError: If there is none of that name, or there are several to choose from.
    """
    own = own_studies(storage)
    specs = {study: load_study(storage, study)[1] for study in own}
    comparisons = {study: _comparison_of(study, spec) for study, spec in specs.items()}
    if name is None:
        if len(own) == 1:
            return own[0], (own[0],)
        if len(set(comparisons.values())) != 1 or own[0] in comparisons.values():
            choice = f"one of {', '.join(own)}" if own else "one that exists, but the storage holds none of nas-fusion's"
            raise ValueError(f"`--study` must name {choice}.")
        name = comparisons[own[0]]
    arms = tuple(study for study in own if comparisons[study] == name != study)
    arms = arms or tuple(study for study, spec in specs.items() if study.removesuffix(f"-{spec.sampler}") == name != study)
    if name not in own and arms:
        return name, arms
    load_study(storage, name)
    return name, (name,)


def _comparison_of(study: str, spec: StudySpec) -> str:
    """Return the name of the comparison that a study is an arm of, if it is one."""
    name = study.removesuffix(f"-{spec.sampler}")
    return name.removesuffix(f"-{spec.module}") if spec.module else name


def own_studies(storage: BaseStorage) -> list[str]:
    """Return the names of the studies in a storage that nas-fusion made, in the order of their creation."""
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    names = [summary.study_name for summary in sorted(summaries, key=lambda summary: summary._study_id)]
    return [name for name in names if history.description(optuna.load_study(storage=storage, study_name=name)) is not None]


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
